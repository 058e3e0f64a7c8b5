"""A gRPC status or a `fault` frame as a `GatewayCallError`: pure."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from gateway.v1 import inference_pb2
from gateway_client.advice import advice_for, transport_advice
from gateway_client.errors import Failure, FieldViolation, GatewayCallError, QuotaViolation
from gateway_client.targets import is_loopback

Trailing = Mapping[str, str | bytes]

Detail: TypeAlias = (
    error_details_pb2.ErrorInfo
    | error_details_pb2.RetryInfo
    | error_details_pb2.BadRequest
    | error_details_pb2.QuotaFailure
)

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def call_error(
    code: grpc.StatusCode, details: str, trailing: Trailing, *, target: str, request_id: str
) -> GatewayCallError:
    """The error for a status, with the `google.rpc` details of `grpc-status-details-bin` where it has any."""
    attached = _attached(trailing)
    if attached.info is None:
        return _transport_error(code, details, target=target, request_id=request_id)
    facts = dict(attached.info.metadata)
    retryable = facts.get("retryable", "").lower() == "true"
    reason = attached.info.reason
    return GatewayCallError(
        Failure(
            code=code,
            message=details,
            reason=reason,
            retryable=retryable,
            retry_after_s=attached.retry_after_s,
            pushback_s=_pushback_s(trailing),
            request_id=facts.get("request_id", request_id),
            receipt_id=facts.get("receipt_id", ""),
            billed=facts.get("billed", "").lower() == "true",
            advice=advice_for(reason, details, retryable=retryable, retry_after_s=attached.retry_after_s),
            facts=facts,
            fields=attached.fields,
            quotas=attached.quotas,
        )
    )


def fault_error(fault: inference_pb2.Fault, receipt_id: str = "") -> GatewayCallError:
    """The error for the `fault` frame of one turn; `receipt_id` is that of its `end`."""
    wait = seconds(fault.retry_after) if fault.HasField("retry_after") else None
    return GatewayCallError(
        Failure(
            code=_CODES.get(fault.code, grpc.StatusCode.UNKNOWN),
            message=fault.message,
            reason=fault.reason,
            retryable=fault.retryable,
            retry_after_s=wait,
            request_id=fault.facts.get("request_id", ""),
            receipt_id=receipt_id or fault.facts.get("receipt_id", ""),
            billed=fault.charged,
            advice=advice_for(fault.reason, fault.message, retryable=fault.retryable, retry_after_s=wait),
            facts=dict(fault.facts),
        )
    )


def local_error(code: grpc.StatusCode, message: str, advice: str = "") -> GatewayCallError:
    """An error that this side noticed: the conversation was closed, or ended too early."""
    return GatewayCallError(Failure(code=code, message=message, advice=advice))


def seconds(duration: Duration) -> float:
    """A protobuf duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def _transport_error(code: grpc.StatusCode, details: str, *, target: str, request_id: str) -> GatewayCallError:
    message, advice = transport_advice(code, details, target, local=is_loopback(target))
    retryable = code is grpc.StatusCode.UNAVAILABLE
    return GatewayCallError(Failure(code, message, retryable=retryable, advice=advice, request_id=request_id))


class _Attached:
    """The details we know, picked out of a `google.rpc.Status`; the first of each kind counts."""

    __slots__ = ("fields", "info", "quotas", "retry_after_s")

    def __init__(self, status: status_pb2.Status) -> None:
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        bad = error_details_pb2.BadRequest()
        quota = error_details_pb2.QuotaFailure()
        found = {type(kind).__name__ for kind in (info, retry, bad, quota) if _unpack_first(status, kind)}
        self.info = info if "ErrorInfo" in found else None
        self.retry_after_s = seconds(retry.retry_delay) if "RetryInfo" in found else None
        self.fields = tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)
        self.quotas = tuple(QuotaViolation(v.subject, v.description) for v in quota.violations)


def _unpack_first(status: status_pb2.Status, kind: Detail) -> bool:
    return any(detail.Is(kind.DESCRIPTOR) and detail.Unpack(kind) for detail in status.details)


def _attached(trailing: Trailing) -> _Attached:
    raw = trailing.get("grpc-status-details-bin", b"")
    try:
        return _Attached(status_pb2.Status.FromString(raw if isinstance(raw, bytes) else raw.encode("latin-1")))
    except DecodeError:
        # Another server's own use of the key: its status still counts, without details.
        return _Attached(status_pb2.Status())


def _pushback_s(trailing: Trailing) -> float | None:
    """gRFC A6: milliseconds to wait; what cannot be read counts as "do not retry"."""
    value = trailing.get("grpc-retry-pushback-ms")
    if value is None:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return int(text) / 1000 if text.isdecimal() and len(text) < 10 else -1.0


def by_name(metadata: Iterable[tuple[str, str | bytes]] | None) -> Trailing:
    """Metadata as a mapping; of a repeated key the first value counts."""
    found: dict[str, str | bytes] = {}
    for key, value in metadata or ():
        found.setdefault(key, value)
    return found
