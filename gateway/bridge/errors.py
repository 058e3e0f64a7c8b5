"""The error table, its HTTP side: a status with a reason becomes a status code, a body and headers (pure)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from types import MappingProxyType

from google.rpc import code_pb2

INVALID, SERVER = "invalid_request_error", "server_error"
DENIED, AUTHENTICATION, RATE = "permission_error", "authentication_error", "rate_limit_error"
MAX_RETRY_AFTER_S = 86_400.0
# Where the gateway names no time: at once would be a storm.
DEFAULT_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an HTTP caller is told instead of an answer.

    `kind` and `code` are `error.type` and `error.code`; `param` names the field of the caller's own request.
    """

    status: int
    kind: str
    code: str
    message: str
    param: str | None = None
    retryable: bool = False
    retry_after_s: float | None = None
    receipt_id: str = ""
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - it carries an answer, and not every one is an error of ours
    """Ends a request with this refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    status: int
    kind: str
    code: str


_NO_KEY = Row(401, AUTHENTICATION, "invalid_api_key")
_UPSTREAM = Row(503, SERVER, "upstream_unavailable")
_TABLE: Mapping[str, Row] = MappingProxyType(
    {
        "TOKEN_INVALID": _NO_KEY,
        "TOKEN_EXPIRED": _NO_KEY,
        "REVOKED": _NO_KEY,
        "IDP_UNAVAILABLE": Row(503, SERVER, "idp_unavailable"),
        "SCOPE_MISSING": Row(403, DENIED, "scope_missing"),
        "MODEL_NOT_ALLOWED": Row(403, DENIED, "model_not_allowed"),
        "TENANT_SUSPENDED": Row(403, DENIED, "tenant_suspended"),
        "CREDENTIAL_MISMATCH": Row(403, DENIED, "credential_mismatch"),
        "NOT_FOUND": Row(404, INVALID, "not_found"),
        "MODEL_NOT_FOUND": Row(404, INVALID, "model_not_found"),
        "INVALID_REQUEST": Row(400, INVALID, "invalid_request"),
        "CONTEXT_LENGTH_EXCEEDED": Row(400, INVALID, "context_length_exceeded"),
        "PROTOCOL_STATE": Row(400, INVALID, "protocol_state"),
        # Not 409, which clients would try again.
        "IDEMPOTENCY_CONFLICT": Row(422, INVALID, "idempotency_conflict"),
        "TURN_IN_PROGRESS": Row(422, INVALID, "turn_in_progress"),
        "TURN_SETTLED": Row(422, INVALID, "turn_settled"),
        "IDEMPOTENCY_UNAVAILABLE": Row(503, SERVER, "idempotency_unavailable"),
        "RATE_LIMITED": Row(429, RATE, "rate_limit_exceeded"),
        "BUDGET_EXHAUSTED": Row(429, "insufficient_quota", "insufficient_quota"),
        "OVERLOADED": Row(503, SERVER, "overloaded"),
        "DRAINING": Row(503, SERVER, "draining"),
        "AUDIT_UNAVAILABLE": Row(503, SERVER, "audit_unavailable"),
        "UPSTREAM_REJECTED": Row(502, SERVER, "upstream_rejected"),
        "UPSTREAM_CREDENTIALS": _UPSTREAM,
        "UPSTREAM_BALANCE": _UPSTREAM,
        "UPSTREAM_MODEL_GONE": _UPSTREAM,
        "UPSTREAM_RATE_LIMITED": Row(503, SERVER, "upstream_rate_limited"),
        "UPSTREAM_UNAVAILABLE": _UPSTREAM,
        "UPSTREAM_TLS": Row(502, SERVER, "upstream_unavailable"),
        "UPSTREAM_TTFT_TIMEOUT": Row(504, SERVER, "timeout"),
        "UPSTREAM_PROTOCOL": Row(502, SERVER, "upstream_protocol"),
        "STREAM_INTERRUPTED": Row(502, SERVER, "stream_interrupted"),
        "CLIENT_TOO_SLOW": Row(408, INVALID, "client_too_slow"),
        "DEADLINE": Row(504, SERVER, "timeout"),
        "ENRICHMENT_FAILED": Row(503, SERVER, "enrichment_failed"),
        "CANCELLED": Row(499, INVALID, "cancelled"),
        "UNIMPLEMENTED": Row(404, INVALID, "unimplemented"),
        "INTERNAL": Row(500, SERVER, "internal_error"),
    }
)
# A status that the gRPC library made: its own words name addresses, so ours stand here.
_BARE: Mapping[int, tuple[Row, str]] = MappingProxyType(
    {
        code_pb2.UNAVAILABLE: (Row(503, SERVER, "unavailable"), "the gateway cannot be reached; try again"),
        code_pb2.DEADLINE_EXCEEDED: (Row(504, SERVER, "timeout"), "the gateway did not answer in time"),
        code_pb2.RESOURCE_EXHAUSTED: (
            Row(413, INVALID, "request_too_large"),
            "the message is larger than the gateway takes; send less",
        ),
        code_pb2.UNIMPLEMENTED: (Row(404, INVALID, "unimplemented"), "the gateway does not offer this call"),
        code_pb2.CANCELLED: (Row(499, INVALID, "cancelled"), "the call was cancelled"),
    }
)
_UNKNOWN = (Row(500, SERVER, "internal_error"), "internal error; report it with the request id")

# The contract's names and those of the caller's own request; longer ones first.
_NAMES = (
    ("generation.json_schema", "response_format.json_schema"),
    ("generation.response_format", "response_format"),
    ("generation.top_logprobs", "top_logprobs"),
    ("generation.temperature", "temperature"),
    ("generation.max_tokens", "max_tokens"),
    ("generation.tool_mode", "tool_choice"),
    ("generation.tool_name", "tool_choice.function.name"),
    ("generation.thinking", "thinking"),
    ("generation.top_p", "top_p"),
    ("generation.stop", "stop"),
    ("search.only_domains", "tools.filters.allowed_domains"),
    ("search.providers", "knowledge_id"),
    ("options.providers", "knowledge_id"),
    ("search.", "web_search_options."),
    ("turn_id", "Idempotency-Key"),
    (".parameters_json", ".function.parameters"),
    (".call_id", ".id"),
    ("ListModels", "GET /v1/models"),
)
_TOOL_NAME = re.compile(r"(tools\[\d+\])\.name")
_PART = re.compile(r"(messages\[\d+\])\.parts")
_LABELS = re.compile(r"\blabels\b")


def callers_words(text: str) -> str:
    """A message of the gateway in the words of a chat request: its own field names instead of the contract's."""
    for ours, theirs in _NAMES:
        text = text.replace(ours, theirs)
    text = _TOOL_NAME.sub(r"\1.function.name", text)
    return _LABELS.sub("metadata", _PART.sub(r"\1.content", text))


def from_status(
    code: int,
    reason: str,
    message: str,
    *,
    retryable: bool,
    retry_after_s: float | None = None,
    receipt_id: str = "",
    facts: Mapping[str, str] | None = None,
    fields: Sequence[str] = (),
) -> Refusal:
    """The refusal for a gRPC status; `reason` is empty where the gRPC library itself made it."""
    facts = dict(facts or {})
    if not reason:
        row, message = _BARE.get(code, _UNKNOWN)
        retryable = code == code_pb2.UNAVAILABLE
    else:
        row = _TABLE.get(reason, _UNKNOWN[0])
    if reason == "UPSTREAM_UNAVAILABLE" and facts.get("upstream_cause", "").startswith("http_5"):
        row = replace(row, status=502)
    return Refusal(
        status=row.status,
        kind=row.kind,
        code=row.code,
        message=callers_words(message),
        param=callers_words(fields[0]) if fields and fields[0] else None,
        retryable=retryable,
        retry_after_s=retry_after_s,
        receipt_id=receipt_id,
        reason=reason,
        facts=facts,
    )


def bad(param: str, message: str) -> Refused:
    """400 for one field of the request, by the caller's own name for it."""
    text = f"{param}: {message}" if param else message
    return Refused(Refusal(400, INVALID, "invalid_request", text, param=param or None))


def too_large(limit: int) -> Refused:
    """413."""
    text = f"the request is larger than {limit} bytes; send less"
    return Refused(Refusal(413, INVALID, "request_too_large", text))


def refused(status: int, code: str, message: str) -> Refused:
    """A refusal of the bridge's own."""
    return Refused(Refusal(status, INVALID if status < 500 else SERVER, code, message))


def body(refusal: Refusal) -> dict[str, object]:
    """OpenAI's error object. It never holds `choices`, or stream readers take it for a chunk."""
    error: dict[str, object] = {
        "message": refusal.message,
        "type": refusal.kind,
        "param": refusal.param,
        "code": refusal.code,
    }
    if refusal.receipt_id:
        error["receipt_id"] = refusal.receipt_id
    return {"error": error}


def headers(refusal: Refusal) -> dict[str, str]:
    """What client libraries read: whether and when to try again, and the challenge of a 401."""
    found: dict[str, str] = {}
    if refusal.status == 429 or refusal.status >= 500 or refusal.status in (408, 409):
        # Without it clients try all of these again, also those that cannot succeed.
        found["x-should-retry"] = str(refusal.retryable).lower()
    if refusal.retryable and (refusal.retry_after_s is not None or refusal.status in (429, 503)):
        wished_s = DEFAULT_RETRY_AFTER_S if refusal.retry_after_s is None else refusal.retry_after_s
        wait_s = min(max(wished_s, 0.0), MAX_RETRY_AFTER_S)
        found["retry-after"] = str(ceil(wait_s))
        found["retry-after-ms"] = str(ceil(wait_s * 1000))
    if refusal.status == 401:
        found["www-authenticate"] = 'Bearer error="invalid_token"'
    if refusal.receipt_id:
        found["x-gateway-receipt-id"] = refusal.receipt_id
    return found
