/** Version of this client, which is that of the gateway it was made with. */
export const VERSION = "0.1.0";

/** How calls are balanced, retried and limited in time; the same for every language. */
export const SERVICE_CONFIG = {
  "loadBalancingConfig": [{ "round_robin": {} }],
  "healthCheckConfig": { "serviceName": "" },
  "methodConfig": [
    {
      "name": [
        { "service": "gateway.v1.Inference", "method": "Generate" },
        { "service": "gateway.v1.Inference", "method": "Complete" },
        { "service": "deepseek.DeepSeek" }
      ],
      "timeout": "900s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
      }
    },
    {
      "name": [{ "service": "gateway.v1.Inference", "method": "Converse" }],
      "timeout": "900s"
    },
    {
      "name": [
        { "service": "gateway.v1.Inference", "method": "ListModels" },
        { "service": "gateway.v1.Search" },
        { "service": "gateway.v1.Account" }
      ],
      "timeout": "30s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
      }
    }
  ]
};
