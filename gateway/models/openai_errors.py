"""What an OpenAI-compatible server's refusal means: one table from its words to ours (pure).

Servers say it in three ways: an HTTP status, an `{"error": …}` body, or an error object inside the stream.
The status decides first, then the texts that are known. Nothing they wrote about keys, accounts or balance is
ever passed on.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from gateway.domain.errors import CallerError, FieldViolation, GatewayError, Reason, UpstreamError

RETRY_AFTER_MIN_S, RETRY_AFTER_MAX_S = 1.0, 60.0
MAX_TEXT = 300

_MESSAGES = {
    Reason.UPSTREAM_REJECTED: "The model provider rejected the gateway's request.",
    Reason.UPSTREAM_CREDENTIALS: "The model provider is not available to this gateway at the moment.",
    Reason.UPSTREAM_BALANCE: "The model provider is not available to this gateway at the moment.",
    Reason.UPSTREAM_MODEL_GONE: "The model provider no longer serves this model.",
    Reason.UPSTREAM_RATE_LIMITED: "The model provider is at its limit; try again shortly.",
    Reason.UPSTREAM_UNAVAILABLE: "The model provider could not answer; try again.",
    Reason.UPSTREAM_TLS: "The model provider could not be reached securely.",
    Reason.UPSTREAM_PROTOCOL: "The model provider sent an answer that could not be understood.",
}
_BY_STATUS = {
    401: Reason.UPSTREAM_CREDENTIALS,
    402: Reason.UPSTREAM_BALANCE,
    403: Reason.UPSTREAM_CREDENTIALS,
    404: Reason.UPSTREAM_MODEL_GONE,
    408: Reason.UPSTREAM_UNAVAILABLE,
    425: Reason.UPSTREAM_UNAVAILABLE,
    429: Reason.UPSTREAM_RATE_LIMITED,
}
_CALLERS_STATUS = frozenset({400, 413, 422})
# The words of `code` and `type`, and the status that says the same.
_STATUS_OF_WORD = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "request_too_large": 413,
    "invalid_request_error": 400,
}
# Texts that mean something else than their status, as recorded from DeepSeek, llama.cpp and OpenAI.
_KNOWN_TEXTS = (
    (re.compile(r"insufficient balance", re.I), Reason.UPSTREAM_BALANCE),
    (re.compile(r"supported API model names are", re.I), Reason.UPSTREAM_MODEL_GONE),
    (re.compile(r"`reasoning_content` in the thinking mode must be passed back", re.I), Reason.UPSTREAM_REJECTED),
    (re.compile(r"context[ _](length|size|window)|context_length_exceeded", re.I), Reason.CONTEXT_LENGTH_EXCEEDED),
)
_UNSPEAKABLE = re.compile(
    r"api[ _-]?key|bearer|token is|credential|authenticat|authoriz|secret|password"
    r"|balance|billing|top[ -]?up|payment|quota|credits?\b|account|organi[sz]ation|\bsk-|://|[A-Za-z0-9+/_-]{32,}",
    re.I,
)
_CONCURRENCY = re.compile(r"concurrency limit of (\d{1,6})\b")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said when it refused: HTTP status (0 = none stated), its message and its two words."""

    status: int
    message: str = ""
    code: str = ""
    kind: str = ""

    @property
    def concurrency_limit(self) -> int | None:
        """The live account limit that DeepSeek names in its 429 text, or None."""
        found = _CONCURRENCY.search(self.message)
        return int(found[1]) if found else None


def read_refusal(status: int, body: object) -> Refusal:
    """Reads the shapes in use: `{"error": {…}}`, `{"error": "text"}` and a bare `{"message": …}`."""
    error = body.get("error") or body if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return Refusal(status, error if isinstance(error, str) else "")
    code, kind = error.get("code"), error.get("type")
    return Refusal(status, _word(error.get("message")), _word(code).lower(), _word(kind).lower())


def failure_of(refusal: Refusal, retry_after_s: float | None = None) -> GatewayError:
    """The error to raise for a refusal. A status that is not stated is told from the words."""
    status = refusal.status or _status_of_words(refusal)
    cause = f"http_{refusal.status}" if refusal.status else "error_object"
    reason = _reason(status, refusal)
    if reason in (Reason.INVALID_REQUEST, Reason.CONTEXT_LENGTH_EXCEEDED):
        return _callers_fault(reason, refusal.message, cause)
    wait_s = retry_after_s if reason is Reason.UPSTREAM_RATE_LIMITED or status >= 500 else None
    failure = upstream_failure(reason, cause, retry_after_s=wait_s)
    failure.named_limit = refusal.concurrency_limit or 0
    return failure


def upstream_failure(reason: Reason, cause: str, *, retry_after_s: float | None = None) -> UpstreamError:
    """An UpstreamError with our own words; `cause` is the machine word in `facts["upstream_cause"]`."""
    return UpstreamError(reason, _MESSAGES[reason], facts={"upstream_cause": cause}, retry_after_s=retry_after_s)


def protocol_failure(cause: str) -> UpstreamError:
    """UPSTREAM_PROTOCOL: an answer that is not what the wire format allows."""
    return upstream_failure(Reason.UPSTREAM_PROTOCOL, cause)


def parse_retry_after(value: str, now: float) -> float | None:
    """Seconds to wait, clamped to 1-60; None where the header is absent or means nothing.

    Seconds or an HTTP date (RFC 9110 section 10.2.3); `now` is in seconds since the epoch.
    """
    text = value.strip()[:64]
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, OSError):
            return None
    if math.isnan(wait_s):
        return None
    return min(max(wait_s, RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S)


def _word(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _status_of_words(refusal: Refusal) -> int:
    for word in (refusal.code, refusal.kind):
        if word.isascii() and word.isdigit() and len(word) == 3:
            return int(word)
    # `code` of DeepSeek says invalid_request_error for nearly everything: `type` is more exact there.
    statuses = [_STATUS_OF_WORD[word] for word in (refusal.code, refusal.kind) if word in _STATUS_OF_WORD]
    return next((status for status in statuses if status != 400), statuses[0] if statuses else 503)


def _reason(status: int, refusal: Refusal) -> Reason:
    if status in _CALLERS_STATUS or status == 402:
        text = f"{refusal.message} {refusal.code} {refusal.kind}"
        known = next((reason for pattern, reason in _KNOWN_TEXTS if pattern.search(text)), None)
        return known or _BY_STATUS.get(status, Reason.INVALID_REQUEST)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < 400:
        return Reason.UPSTREAM_PROTOCOL
    return Reason.UPSTREAM_REJECTED if status < 500 else Reason.UPSTREAM_UNAVAILABLE


def _callers_fault(reason: Reason, message: str, cause: str) -> CallerError:
    text = sanitised(message) or "The model provider does not accept this request."
    if reason is Reason.CONTEXT_LENGTH_EXCEEDED:
        text = "The conversation is longer than the model's context; send less of it."
    facts: Mapping[str, str] = {"upstream_cause": cause}
    return CallerError(reason, text, facts=facts, fields=(FieldViolation("", text),))


def sanitised(message: str) -> str:
    """The upstream's text for a caller: one line, short, and empty where it speaks of keys or money."""
    if _UNSPEAKABLE.search(message):
        return ""
    line = " ".join("".join(char if char.isprintable() else " " for char in message).split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"
