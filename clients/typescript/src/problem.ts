import { status, type ServiceError } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "./stubs/google/rpc/error_details.js";
import { Status } from "./stubs/google/rpc/status.js";

/** A failed call in the gateway's own words. */
export interface Problem {
  /** The gRPC code by its name, such as `UNAVAILABLE`. */
  code: string;
  message: string;
  /** A stable word such as `RATE_LIMITED`; empty when no gateway answered. */
  reason: string;
  /** The metadata of ErrorInfo: `request_id` and `retryable` always, `receipt_id` once there is one. */
  facts: { [name: string]: string };
  /** How long to wait before the next try; absent when waiting does not help. */
  retryAfterMs?: number;
  /** What is wrong with which field of the request, by its proto path. */
  fields: { [path: string]: string };
}

/** Whether something that was thrown is a failed call. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}

/** Reads the status of a failed call and its google.rpc details. */
export function problemOf(error: ServiceError): Problem {
  const problem: Problem = { code: status[error.code], message: error.details, reason: "", facts: {}, fields: {} };
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!(packed instanceof Uint8Array)) return problem;
  for (const { typeUrl, value } of Status.decode(packed).details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
      case "google.rpc.ErrorInfo": {
        const info = ErrorInfo.decode(value);
        problem.reason = info.reason;
        problem.facts = info.metadata;
        break;
      }
      case "google.rpc.RetryInfo": {
        const wait = RetryInfo.decode(value).retryDelay;
        problem.retryAfterMs = Number(wait?.seconds ?? 0n) * 1000 + (wait?.nanos ?? 0) / 1_000_000;
        break;
      }
      case "google.rpc.BadRequest":
        for (const { field, description } of BadRequest.decode(value).fieldViolations) {
          problem.fields[field] = description;
        }
    }
  }
  return problem;
}
