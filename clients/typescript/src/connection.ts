import {
  credentials,
  InterceptingCall,
  type ChannelCredentials,
  type ClientOptions,
  type Interceptor,
} from "@grpc/grpc-js";
import { SERVICE_CONFIG, VERSION } from "./stamped.js";
import type { Tokens } from "./tokens.js";

/** What every stub's constructor takes: an address, its credentials and its options. */
export type Connection = [address: string, credentials: ChannelCredentials, options: ClientOptions];

/**
 * How to reach `target`, such as `dns:///gateway.example:50051`, with calls that carry tokens:
 * `new InferenceClient(...connection(target, tokens))`.
 *
 * A loopback target is reached in plain text, every other one with TLS and the roots of Node.js, or as `secure`
 * says. Stubs with the same target and options share their connections.
 */
export function connection(target: string, tokens: Tokens, secure?: ChannelCredentials): Connection {
  const transport = secure ?? (isLoopback(target) ? credentials.createInsecure() : credentials.createSsl());
  return [
    target,
    transport,
    {
      interceptors: [bearing(tokens)],
      "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
      // A service config from DNS would replace the retries of ours.
      "grpc.service_config_disable_resolution": 1,
      // The gateway allows a ping every 10 s and ends connections that ping more often.
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      "grpc.primary_user_agent": `gateway-client-node/${VERSION}`,
    },
  ];
}

/** Puts the token into the metadata of every call; call credentials would refuse plain text on this machine too. */
function bearing(tokens: Tokens): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        tokens.bearer().then(
          (token) => {
            metadata.set("authorization", `Bearer ${token}`);
            next(metadata, listener);
          },
          // Without a token the gateway says who may call, in words that are better than ours.
          () => next(metadata, listener),
        );
      },
    });
}

function isLoopback(target: string): boolean {
  const host = target.slice(target.lastIndexOf("/") + 1).replace(/:\d+$/, "");
  return host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}
