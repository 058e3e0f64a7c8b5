"""What a person can do about a failed call: pure, one sentence per cause."""

import grpc

# Only where the gateway's own message leaves the next step open.
_BY_REASON = {
    "TOKEN_INVALID": "set GATEWAY_TOKEN to a valid token",
    "TOKEN_EXPIRED": "get a new token",
    "REVOKED": "ask the operator for another credential",
    "SCOPE_MISSING": "use a token that has it",
    "NOT_FOUND": "check the id",
    "TURN_IN_PROGRESS": "wait for it, or use a new turn_id",
    "TURN_SETTLED": "read its receipt, or ask again under a new turn_id",
    "DEADLINE": "allow more time",
    "UPSTREAM_CREDENTIALS": "the operator must act",
    "UPSTREAM_BALANCE": "the operator must act",
    "UPSTREAM_MODEL_GONE": "choose another model, the operator must act",
    "UPSTREAM_TLS": "the operator must act",
    "UPSTREAM_REJECTED": "report the request id to the operator",
}

_BY_CODE = {
    grpc.StatusCode.DEADLINE_EXCEEDED: ("no answer in time", "allow more time"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("the message is larger than the gateway takes", "send less text"),
    grpc.StatusCode.UNAUTHENTICATED: ("the credential was refused", "set GATEWAY_TOKEN to a valid token"),
    grpc.StatusCode.UNIMPLEMENTED: ("this server does not offer that call", "check that it is a gateway"),
    grpc.StatusCode.CANCELLED: ("the call was cancelled", ""),
}

_CONNECT = ("connection refused", "failed to connect", "resolving", "connect", "name resolution")


def advice_for(reason: str, message: str, *, retryable: bool, retry_after_s: float | None) -> str:
    """The next step for a failure the gateway explained; empty when its message says it all."""
    if retryable and any(words in message.lower() for words in ("retry", "try again")):
        return ""
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
