"""The one error table: a reason to its gRPC code, whether a repeat helps, and the `google.rpc` details (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.domain.errors import GatewayError, Reason

DOMAIN = "gateway.v1"
MAX_MESSAGE = 1024
NO_RETRY = "-1"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the `google.rpc.Code` and whether the same call may succeed later.

    `wait_s` is how long to wait before that where the error itself does not say.
    """

    code: int
    retryable: bool = False
    wait_s: float | None = None


_UNAUTHENTICATED = Row(code_pb2.UNAUTHENTICATED)
_DENIED = Row(code_pb2.PERMISSION_DENIED)
_NOT_FOUND = Row(code_pb2.NOT_FOUND)
_INVALID = Row(code_pb2.INVALID_ARGUMENT)
_EXISTS = Row(code_pb2.ALREADY_EXISTS)
_ABORTED = Row(code_pb2.ABORTED)
_LATER = Row(code_pb2.UNAVAILABLE, retryable=True)
_SOON = Row(code_pb2.UNAVAILABLE, retryable=True, wait_s=1.0)
_BROKEN = Row(code_pb2.UNAVAILABLE)

TABLE: Mapping[Reason, Row] = MappingProxyType(
    {
        Reason.TOKEN_INVALID: _UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED: _UNAUTHENTICATED,
        Reason.REVOKED: _UNAUTHENTICATED,
        Reason.IDP_UNAVAILABLE: _LATER,
        Reason.SCOPE_MISSING: _DENIED,
        Reason.MODEL_NOT_ALLOWED: _DENIED,
        Reason.TENANT_SUSPENDED: _DENIED,
        Reason.CREDENTIAL_MISMATCH: _DENIED,
        Reason.NOT_FOUND: _NOT_FOUND,
        Reason.MODEL_NOT_FOUND: _NOT_FOUND,
        Reason.INVALID_REQUEST: _INVALID,
        Reason.CONTEXT_LENGTH_EXCEEDED: _INVALID,
        Reason.PROTOCOL_STATE: Row(code_pb2.FAILED_PRECONDITION),
        Reason.IDEMPOTENCY_CONFLICT: _EXISTS,
        Reason.TURN_IN_PROGRESS: _EXISTS,
        Reason.TURN_SETTLED: _EXISTS,
        Reason.IDEMPOTENCY_UNAVAILABLE: _LATER,
        Reason.RATE_LIMITED: Row(code_pb2.RESOURCE_EXHAUSTED, retryable=True),
        Reason.BUDGET_EXHAUSTED: Row(code_pb2.RESOURCE_EXHAUSTED),
        Reason.OVERLOADED: _LATER,
        Reason.DRAINING: _LATER,
        Reason.AUDIT_UNAVAILABLE: _LATER,
        Reason.UPSTREAM_REJECTED: Row(code_pb2.INTERNAL),
        Reason.UPSTREAM_CREDENTIALS: _BROKEN,
        Reason.UPSTREAM_BALANCE: _BROKEN,
        Reason.UPSTREAM_MODEL_GONE: _BROKEN,
        Reason.UPSTREAM_RATE_LIMITED: _SOON,
        Reason.UPSTREAM_UNAVAILABLE: _SOON,
        Reason.UPSTREAM_TLS: _BROKEN,
        Reason.UPSTREAM_TTFT_TIMEOUT: _SOON,
        Reason.UPSTREAM_PROTOCOL: _LATER,
        Reason.STREAM_INTERRUPTED: _ABORTED,
        Reason.CLIENT_TOO_SLOW: _ABORTED,
        Reason.DEADLINE: Row(code_pb2.DEADLINE_EXCEEDED),
        Reason.ENRICHMENT_FAILED: _LATER,
        Reason.CANCELLED: Row(code_pb2.CANCELLED),
        Reason.UNIMPLEMENTED: Row(code_pb2.UNIMPLEMENTED),
        Reason.INTERNAL: Row(code_pb2.INTERNAL),
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ends: code, text, and the trailing metadata that carries the details."""

    code: int
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]


def ending(error: GatewayError, request_id: str, receipt_id: str = "", billed: bool = False) -> Ending:
    """The status of an error with ErrorInfo always, and RetryInfo, BadRequest, QuotaFailure where they apply.

    Details by https://google.aip.dev/193; push-back by gRFC A6 (`-1` stops a client library's own retries).
    """
    row = row_of(error)
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=DOMAIN, metadata=_facts(error, row, request_id, receipt_id, billed)
    )
    details: list[Message] = [info]
    wait_s = wait_of(error)
    if wait_s is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration(wait_s)))
    if error.fields:
        details.append(_bad_request(error))
    if error.quotas:
        details.append(_quota_failure(error))
    status = status_pb2.Status(code=row.code, message=error.message[:MAX_MESSAGE])
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers: tuple[tuple[str, str | bytes], ...] = (("grpc-status-details-bin", status.SerializeToString()),)
    return Ending(row.code, status.message, trailers + _pushback(error, row))


def row_of(error: GatewayError) -> Row:
    """The line of the table for an error; a limit that no waiting can satisfy is not to be retried."""
    row = TABLE[error.reason]
    hopeless = error.reason is Reason.RATE_LIMITED and error.retry_after_s is None
    return Row(row.code) if hopeless else row


def wait_of(error: GatewayError) -> float | None:
    """How long to wait before a repeat, in seconds; None where there is nothing to wait for."""
    return TABLE[error.reason].wait_s if error.retry_after_s is None else error.retry_after_s


def duration(seconds: float) -> duration_pb2.Duration:
    """Seconds as a protobuf duration, to the millisecond, never negative."""
    milliseconds = max(0, ceil(seconds * 1000))
    return duration_pb2.Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def _facts(error: GatewayError, row: Row, request_id: str, receipt_id: str, billed: bool) -> dict[str, str]:
    facts = {
        **error.facts,
        "request_id": request_id,
        "retryable": str(row.retryable).lower(),
        "billed": str(billed).lower(),
    }
    if receipt_id:
        facts["receipt_id"] = receipt_id
    return facts


def _bad_request(error: GatewayError) -> Message:
    detail: Message = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=f.field, description=f.description)
            for f in error.fields
        ]
    )
    return detail


def _quota_failure(error: GatewayError) -> Message:
    detail: Message = error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(subject=q.subject, description=q.description)
            for q in error.quotas
        ]
    )
    return detail


def _pushback(error: GatewayError, row: Row) -> tuple[tuple[str, str | bytes], ...]:
    if not row.retryable:
        return (("grpc-retry-pushback-ms", NO_RETRY),) if row.code == code_pb2.RESOURCE_EXHAUSTED else ()
    if error.reason is Reason.DRAINING:
        # Not 0: grpcio 1.85.1, told to retry at once, was seen to hang until its deadline.
        return (("grpc-retry-pushback-ms", "1"),)
    wait_s = wait_of(error)
    return () if wait_s is None else (("grpc-retry-pushback-ms", str(ceil(wait_s * 1000))),)
