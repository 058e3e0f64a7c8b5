"""Who is calling, and what one call may still spend of its time."""

from dataclasses import dataclass, field

from gateway.domain.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC as the door saw it.

    `deadline` is a moment on the event loop's clock (seconds), made once at the door. `caller_ip` is where the
    caller is, as far as that is known; nothing is decided by it.
    """

    method: str
    request_id: str
    deadline: float
    peer: str = ""
    session_id: str = ""
    trace_id: str = ""
    caller_ip: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the caller showed: the bearer token as sent, or None when there was none.

    `certificate` is the client certificate (PEM) that the TLS handshake verified; a bearer token comes before it.
    """

    bearer: str | None = field(repr=False)
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity. Only an authenticator makes one.

    `expires_at` is in seconds since the epoch; `credential_id` names the credential for revocation
    (`jti` of a token, the prefix of an API key), never the credential itself.
    """

    tenant: str
    subject: str
    client_id: str
    scopes: frozenset[str]
    expires_at: float
    credential_id: str
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A call that was let in: who calls, as what, and what their tenant may do."""

    call: Call
    caller: Caller
    tenant: Tenant
