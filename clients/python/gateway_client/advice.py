"""What a person can do about a failed call: pure, one sentence per cause."""

import grpc

_BY_REASON = {
    "TOKEN_INVALID": "set GATEWAY_TOKEN to a valid token",
    "TOKEN_EXPIRED": "get a new token and set GATEWAY_TOKEN",
    "REVOKED": "this credential was revoked, ask the operator for another one",
    "SCOPE_MISSING": "use a token that has the scope this call needs",
    "MODEL_NOT_ALLOWED": "choose one of the models that ListModels shows",
    "MODEL_NOT_FOUND": "choose one of the models that ListModels shows",
    "TENANT_SUSPENDED": "ask the operator",
    "NOT_FOUND": "check the id",
    "CONTEXT_LENGTH_EXCEEDED": "shorten the messages or lower max_tokens",
    "IDEMPOTENCY_CONFLICT": "give a changed turn a new turn_id",
    "TURN_IN_PROGRESS": "wait for it, or use a new turn_id",
    "TURN_SETTLED": "read its receipt, or ask again under a new turn_id",
    "BUDGET_EXHAUSTED": "wait until the budget resets, or have it raised",
    "STREAM_INTERRUPTED": "ask again under a new turn_id; what was delivered may be billed",
    "CLIENT_TOO_SLOW": "read the frames as they arrive",
    "DEADLINE": "allow more time",
    "UPSTREAM_CREDENTIALS": "the operator must act",
    "UPSTREAM_BALANCE": "the operator must act",
    "UPSTREAM_MODEL_GONE": "choose another model, the operator must act",
    "UPSTREAM_TLS": "the operator must act",
    "UPSTREAM_REJECTED": "report the request id to the operator",
    "INTERNAL": "report the request id to the operator",
}

_BY_CODE = {
    grpc.StatusCode.DEADLINE_EXCEEDED: ("no answer in time", "allow more time"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("the message is larger than the gateway takes", "send less text"),
    grpc.StatusCode.UNAUTHENTICATED: ("the credential was refused", "set GATEWAY_TOKEN to a valid token"),
    grpc.StatusCode.UNIMPLEMENTED: ("this server does not offer that call", "check that it is a gateway"),
    grpc.StatusCode.CANCELLED: ("the call was cancelled", ""),
}

_CONNECT = ("connection refused", "failed to connect", "resolving", "connect", "name resolution")


def advice_for(reason: str, *, retryable: bool, retry_after_s: float | None) -> str:
    """The next step for a failure the gateway explained; empty when its message says it all."""
    if retry_after_s is not None and retryable:
        return f"try again in {retry_after_s:.3g} s"
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    return "try again" if retryable else ""


def transport_advice(code: grpc.StatusCode, details: str, target: str, *, local: bool) -> tuple[str, str]:
    """(what happened, what to do) for a status that the gRPC library made, without the gateway's details."""
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unreachable(details.lower(), target, local=local)
    if code in _BY_CODE:
        return _BY_CODE[code]
    return details or code.name, ""


def _unreachable(details: str, target: str, *, local: bool) -> tuple[str, str]:
    if "handshake" in details or "ssl" in details:
        return f"no TLS with {target}", "check its certificate and the CA file, or ask for plain text"
    if any(word in details for word in _CONNECT):
        start = "start the gateway with `make run` or " if local else "check that it runs there, or "
        return f"nothing answers at {target}", f"{start}set GATEWAY_GRPC_TARGET"
    return f"the connection to {target} broke", "try again"
