"""Writes docs/errors.md from the gateway's own error table.

.venv/bin/python docs/generate_errors.py
"""

from pathlib import Path

from google.rpc import code_pb2

from gateway.domain.errors import Reason
from gateway.server.status import DOMAIN, TABLE

PAGE = Path(__file__).with_name("errors.md")
HEAD = f"""<!-- Written by docs/generate_errors.py from the table in gateway/server/status.py: edit those. -->
# Errors

A failed call ends with a gRPC status whose details hold a `google.rpc.ErrorInfo` with the domain `{DOMAIN}` and
one of the reasons below. Programs branch on the reason: it is stable, and the message is for people. On
`Converse`, trouble with one turn is a `fault` frame with the same code and reason, and the stream lives on.

`ErrorInfo.metadata` holds `request_id`, `retryable` and `billed` always, and `receipt_id` once there is a
receipt. `retryable` says whether the same call may succeed later; `RetryInfo` says how long to wait where that
is known, and the trailing metadata `grpc-retry-pushback-ms` tells the same to gRPC libraries (-1: do not try
again). Repeat a turn with its own `turn_id`, and it is charged once whatever happened.
[debugging.md](debugging.md) shows errors on a terminal.

A failed call is never silently an empty answer: once anything was delivered, a failure is `ABORTED`, which no
retry policy of a gRPC library repeats.

"""
TAIL = """
## Without a reason

These come from a gRPC library, not from the gateway, and have no ErrorInfo.

| code | it means |
|---|---|
| `UNAVAILABLE` | nobody listens there, TLS failed, or the connection broke; it may be tried again |
| `DEADLINE_EXCEEDED` | the caller's own deadline was up before the gateway's answer |
| `RESOURCE_EXHAUSTED` | a message is larger than 4 MiB, or than the operator's `grpc.max_message_bytes` |
| `UNIMPLEMENTED` | no service or method of that name |
| `CANCELLED` | the caller left |
"""

CALLER = "The caller must act"
WAIT = "Waiting helps"
OPERATOR = "The operator must act"
ANSWER = "The answer broke"
NOBODY = "Nobody must act"

# Who must act, what happened, and what to do.
WORDS: dict[Reason, tuple[str, str, str]] = {
    Reason.TOKEN_INVALID: (CALLER, "there is no token, or it is not one that this gateway trusts", "get a token"),
    Reason.TOKEN_EXPIRED: (
        CALLER,
        "the token ran out, perhaps in the middle of a stream",
        "get a fresh token; on `Converse`, send it in a `credential` frame before the old one ends",
    ),
    Reason.REVOKED: (CALLER, "the token or key was taken back", "get another one"),
    Reason.SCOPE_MISSING: (
        CALLER,
        "the token lacks the scope that the method needs",
        "ask for a token with the scope that the message names",
    ),
    Reason.MODEL_NOT_ALLOWED: (
        CALLER,
        "the tenant may not use this model",
        "take one of `ListModels`, or ask the operator",
    ),
    Reason.TENANT_SUSPENDED: (CALLER, "the tenant is switched off or unknown", "ask the operator"),
    Reason.CREDENTIAL_MISMATCH: (
        CALLER,
        "a new credential names another subject or tenant than the stream began with",
        "open a new stream for it",
    ),
    Reason.NOT_FOUND: (CALLER, "there is no such thing, or it belongs to another tenant", "check the id"),
    Reason.MODEL_NOT_FOUND: (CALLER, "no model has this name", "take one of `ListModels`"),
    Reason.INVALID_REQUEST: (
        CALLER,
        "a field is missing or wrong; `BadRequest` names it",
        "change what the details name",
    ),
    Reason.CONTEXT_LENGTH_EXCEEDED: (
        CALLER,
        "the conversation and the room for the answer do not fit into the model's context",
        "send less of the history, ask for fewer tokens, or take a model with a larger context",
    ),
    Reason.PROTOCOL_STATE: (
        CALLER,
        "a frame came where it may not come, such as `open` after a turn",
        "open a new stream and keep to the order",
    ),
    Reason.IDEMPOTENCY_CONFLICT: (
        CALLER,
        "the `turn_id` was used for another request",
        "give every turn an id of its own",
    ),
    Reason.TURN_IN_PROGRESS: (CALLER, "the turn of this `turn_id` still runs", "wait for the call that runs it"),
    Reason.TURN_SETTLED: (
        CALLER,
        "the turn of this `turn_id` has ended, and its answer is no longer kept",
        "read its receipt, by `receipt_id`; ask again under a new id",
    ),
    Reason.BUDGET_EXHAUSTED: (
        CALLER,
        "the money of the tenant's day or month is spent; `QuotaFailure` says which",
        "wait for the next day or month, or ask for a higher budget",
    ),
    Reason.UNIMPLEMENTED: (CALLER, "this gateway does not do this", "use what the message names instead"),
    Reason.RATE_LIMITED: (
        WAIT,
        "a limit of the tenant's is met, such as requests a minute; `QuotaFailure` says which",
        "wait as long as `RetryInfo` says; without it, the request is larger than the whole limit",
    ),
    Reason.OVERLOADED: (WAIT, "the gateway has more work than it can do", "wait as long as `RetryInfo` says"),
    Reason.DRAINING: (
        WAIT,
        "this gateway is being shut down or replaced",
        "call again at once: another one takes the call",
    ),
    Reason.IDP_UNAVAILABLE: (
        WAIT,
        "the keys that tokens are checked with cannot be fetched",
        "wait; the token may be good",
    ),
    Reason.IDEMPOTENCY_UNAVAILABLE: (WAIT, "it cannot be told whether the turn has run before", "try again later"),
    Reason.UPSTREAM_RATE_LIMITED: (
        WAIT,
        "the model provider takes no more calls of the gateway's",
        "wait as long as `RetryInfo` says",
    ),
    Reason.UPSTREAM_UNAVAILABLE: (WAIT, "the model provider cannot be reached or failed", "try again later"),
    Reason.UPSTREAM_TTFT_TIMEOUT: (WAIT, "the model did not begin in time", "try again later"),
    Reason.UPSTREAM_PROTOCOL: (WAIT, "the model provider answered what cannot be read", "try again later"),
    Reason.ENRICHMENT_FAILED: (
        WAIT,
        "search was required and failed",
        "try again later, or make search optional",
    ),
    Reason.AUDIT_UNAVAILABLE: (
        OPERATOR,
        "the receipt of the turn cannot be written, and nothing runs without one",
        "look at the disk or database of the data directory",
    ),
    Reason.UPSTREAM_CREDENTIALS: (
        OPERATOR,
        "the model provider refused the gateway's own key",
        "renew the key; callers' tokens are not the cause",
    ),
    Reason.UPSTREAM_BALANCE: (
        OPERATOR,
        "the gateway's account with the model provider is empty",
        "add money to that account",
    ),
    Reason.UPSTREAM_MODEL_GONE: (
        OPERATOR,
        "the model provider no longer has this model",
        "change the configuration; callers take another model",
    ),
    Reason.UPSTREAM_TLS: (
        OPERATOR,
        "the certificate of the model provider cannot be trusted",
        "look at the network between; do not switch the check off",
    ),
    Reason.UPSTREAM_REJECTED: (
        OPERATOR,
        "the model provider refused a request that the gateway made wrongly",
        "report it with the request id",
    ),
    Reason.INTERNAL: (OPERATOR, "a bug of the gateway's", "report it with the request id"),
    Reason.STREAM_INTERRUPTED: (
        ANSWER,
        "the answer broke off after it had begun; what was delivered is charged, as the receipt says",
        "keep what arrived, or ask again under a new `turn_id`",
    ),
    Reason.CLIENT_TOO_SLOW: (
        ANSWER,
        "the caller did not read for so long that the turn was ended",
        "read the stream as it comes, and work on what was read elsewhere",
    ),
    Reason.DEADLINE: (
        ANSWER,
        "the deadline of the call or the turn's `timeout` was up",
        "allow more time, or ask for fewer tokens",
    ),
    Reason.CANCELLED: (NOBODY, "the caller cancelled", "nothing"),
}


def page() -> str:
    """The whole page. Raises KeyError for a reason that has no words yet."""
    sections = []
    for who in dict.fromkeys(words[0] for words in WORDS.values()):
        rows = [row(reason) for reason in TABLE if WORDS[reason][0] == who]
        table = "\n".join(
            ["| reason | code | retryable | it means | what to do |", "|---|---|---|---|---|", *rows]
        )
        sections.append(f"## {who}\n\n{table}\n")
    return HEAD + "\n".join(sections) + TAIL


def row(reason: Reason) -> str:
    """One line of a table."""
    _, means, act = WORDS[reason]
    code = code_pb2.Code.Name(TABLE[reason].code)
    return f"| `{reason}` | `{code}` | {'yes' if TABLE[reason].retryable else 'no'} | {means} | {act} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
