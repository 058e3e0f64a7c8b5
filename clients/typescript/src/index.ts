export * from "./connection.js";
export * from "./problem.js";
export * from "./stamped.js";
export * from "./tokens.js";
export * from "./stubs/gateway/v1/account.js";
export * from "./stubs/gateway/v1/content.js";
export * from "./stubs/gateway/v1/inference.js";
export * from "./stubs/gateway/v1/search.js";
