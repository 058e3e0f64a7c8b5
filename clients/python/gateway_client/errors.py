"""What a call can fail with. Every message is one line that says what happened and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One request field that is wrong: its proto path and what to do about it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """One limit that was met: whose (`tenant:acme`) and which (`requests_per_minute`)."""

    subject: str
    description: str


class GatewayClientError(Exception):
    """The base of everything that this package raises on purpose."""


class SettingsError(GatewayClientError):
    """The environment or an argument cannot be used; the message lists every fault."""


class TokenUnavailable(GatewayClientError):  # noqa: N818 - says what is missing, as the field's clients do
    """No token could be had, so no call was made."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known about a failed call or turn.

    `reason` is the word of `google.rpc.ErrorInfo` (`RATE_LIMITED`), empty where the gRPC library itself
    failed. `retryable` says whether the same request may succeed later. `retry_after_s` is the server's wish
    in seconds; `pushback_s` the same from `grpc-retry-pushback-ms`, negative for "do not". `billed` is true
    when the failed turn costs something; its receipt is `receipt_id`. `advice` is the next step, for people.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    retryable: bool = False
    retry_after_s: float | None = None
    pushback_s: float | None = None
    request_id: str = ""
    receipt_id: str = ""
    billed: bool = False
    advice: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[FieldViolation, ...] = ()
    quotas: tuple[QuotaViolation, ...] = ()


class GatewayCallError(GatewayClientError):
    """A call, or one turn of a conversation, failed. The facts stand in `failure` and as attributes."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.code = failure.code
        self.reason = failure.reason
        self.message = failure.message
        self.retryable = failure.retryable
        self.retry_after_s = failure.retry_after_s
        self.request_id = failure.request_id
        self.receipt_id = failure.receipt_id
        self.billed = failure.billed
        self.fields = failure.fields
        self.quotas = failure.quotas

    def __str__(self) -> str:
        """`REASON: what happened: what to do (request …, receipt …)`, on one line."""
        words = [part.rstrip(".") for part in (self.reason, self.message, self.failure.advice) if part]
        marks = [
            f"{name} {value}"
            for name, value in (("request", self.request_id), ("receipt", self.receipt_id))
            if value and self.reason
        ]
        line = ": ".join(words) + (f" ({', '.join(marks)})" if marks else "")
        return " ".join(line.split())
