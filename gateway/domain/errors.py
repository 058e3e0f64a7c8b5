"""One tree of errors, sorted by who must act; `server/status.py` turns each reason into a status."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a call or turn failed: the `reason` of `google.rpc.ErrorInfo`, stable for callers."""

    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 - a reason word, not a secret
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    REVOKED = "REVOKED"
    IDP_UNAVAILABLE = "IDP_UNAVAILABLE"
    SCOPE_MISSING = "SCOPE_MISSING"
    MODEL_NOT_ALLOWED = "MODEL_NOT_ALLOWED"
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    CREDENTIAL_MISMATCH = "CREDENTIAL_MISMATCH"
    NOT_FOUND = "NOT_FOUND"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    INVALID_REQUEST = "INVALID_REQUEST"
    CONTEXT_LENGTH_EXCEEDED = "CONTEXT_LENGTH_EXCEEDED"
    PROTOCOL_STATE = "PROTOCOL_STATE"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    TURN_IN_PROGRESS = "TURN_IN_PROGRESS"
    TURN_SETTLED = "TURN_SETTLED"
    IDEMPOTENCY_UNAVAILABLE = "IDEMPOTENCY_UNAVAILABLE"
    RATE_LIMITED = "RATE_LIMITED"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    OVERLOADED = "OVERLOADED"
    DRAINING = "DRAINING"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    UPSTREAM_REJECTED = "UPSTREAM_REJECTED"
    UPSTREAM_CREDENTIALS = "UPSTREAM_CREDENTIALS"
    UPSTREAM_BALANCE = "UPSTREAM_BALANCE"
    UPSTREAM_MODEL_GONE = "UPSTREAM_MODEL_GONE"
    UPSTREAM_RATE_LIMITED = "UPSTREAM_RATE_LIMITED"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_TLS = "UPSTREAM_TLS"
    UPSTREAM_TTFT_TIMEOUT = "UPSTREAM_TTFT_TIMEOUT"
    UPSTREAM_PROTOCOL = "UPSTREAM_PROTOCOL"
    STREAM_INTERRUPTED = "STREAM_INTERRUPTED"
    CLIENT_TOO_SLOW = "CLIENT_TOO_SLOW"
    DEADLINE = "DEADLINE"
    ENRICHMENT_FAILED = "ENRICHMENT_FAILED"
    CANCELLED = "CANCELLED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong: its proto path (`messages[2].tool_call_id`) and what to do about it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """One limit that was met: whose (`tenant:acme`) and which (`requests_per_minute`)."""

    subject: str
    description: str


class GatewayError(Exception):
    """A failure with a reason the caller may see.

    `message` is written for people, names no internals and holds nothing of another tenant.
    `facts` go to ErrorInfo.metadata. `retry_after_s` is set only where a retry helps.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        facts: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        fields: tuple[FieldViolation, ...] = (),
        quotas: tuple[QuotaViolation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.facts = dict(facts or {})
        self.retry_after_s = retry_after_s
        self.fields = fields
        self.quotas = quotas


class CallerError(GatewayError):
    """The caller must act: another token, another field, another model, less of it."""


class LimitError(CallerError):
    """A limit of the caller's tenant was met; nothing was consumed."""


class UpstreamError(GatewayError):
    """A model or search provider failed; a retry or another provider may help."""

    named_limit = 0
    """The calls at once that the upstream said it takes, 0 where it named none; no caller is told."""


class OperatorError(GatewayError):
    """The operator must act: a key, a balance, a disk, a server that the gateway depends on."""


class CallerLeft(Exception):  # noqa: N818 - not an error: nobody must act
    """The caller cancelled, disconnected or stopped reading; there is nobody left to tell."""


def invalid(field: str, description: str) -> CallerError:
    """INVALID_REQUEST for one field, named by its proto path."""
    return CallerError(
        Reason.INVALID_REQUEST,
        f"{field}: {description}" if field else description,
        fields=(FieldViolation(field, description),),
    )


def internal() -> GatewayError:
    """What a caller is told of a bug: nothing."""
    return GatewayError(Reason.INTERNAL, "internal error; report it with the request id")
