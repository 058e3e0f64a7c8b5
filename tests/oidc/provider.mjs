// A certified OpenID provider with one client, for a test: node provider.mjs
// Listens on a free port of 127.0.0.1 and prints {"issuer": …}. A line on standard input changes its keys:
// "publish" shows a new key without signing with it, "switch" signs with it, "retire" withdraws the older ones.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";
import Provider from "oidc-provider";

const AUDIENCE = "https://gateway.test";
const OPAQUE = "https://opaque.gateway.test";

let count = 0;
async function makeKey() {
  const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  count += 1;
  return { ...(await webcrypto.subtle.exportKey("jwk", pair.privateKey)), kid: `key-${count}`, alg: "ES256", use: "sig" };
}

function configuration(keys) {
  return {
    // The first key signs.
    jwks: { keys: keys.map(({ key_ops, ext, ...jwk }) => jwk) },
    clients: [
      {
        client_id: "billing",
        client_secret: "a-secret-for-tests-only",
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: "client_secret_basic",
        id_token_signed_response_alg: "ES256",
      },
    ],
    scopes: ["model.read", "model.stream", "search"],
    extraTokenClaims: () => ({ tenant: "acme" }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, _client, oneOf) => oneOf ?? AUDIENCE,
        useGrantedResource: () => true,
        // The resource chooses the form of the token: signed, or opaque.
        getResourceServerInfo: (_context, resource) => ({
          scope: "model.read model.stream search",
          audience: AUDIENCE,
          accessTokenTTL: 600,
          accessTokenFormat: resource === OPAQUE ? "opaque" : "jwt",
          ...(resource === OPAQUE ? {} : { jwt: { sign: { alg: "ES256" } } }),
        }),
      },
    },
  };
}

let keys = [await makeKey()];
let answer;
const server = createServer((request, response) => answer(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
function install() {
  answer = new Provider(issuer, configuration(keys)).callback();
}
install();
console.log(JSON.stringify({ issuer }));

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "publish") keys = [...keys, await makeKey()];
  if (line === "switch") keys = [keys.at(-1), ...keys.slice(0, -1)];
  if (line === "retire") keys = keys.slice(0, 1);
  install();
  console.log(JSON.stringify({ kids: keys.map((key) => key.kid) }));
}
server.close();
server.closeAllConnections();
