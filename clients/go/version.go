package inferencegateway

// Version of this client, which is that of the gateway it was made with.
const Version = "0.1.0"
