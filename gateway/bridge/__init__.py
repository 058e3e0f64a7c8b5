"""The HTTP bridge: OpenAI's and Dify's requests as calls of this gateway's gRPC contract, and its answers back.

It is a client like any other: it passes the caller's bearer token through and decides nothing about identity,
limits or money. What translates is pure (`openai`, `chunks`, `answer`, `errors`, `dify` …); what waits is beside
it (`chat`, `calls`, `server` …).
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Moderation:
    """Words that an application must not receive or say; matched without regard to case.

    A text with a `blocked` word is refused with `reply`; a `masked` word is replaced by asterisks.
    """

    blocked: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    reply: str = "This text is not allowed here."


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """What an operator may choose.

    `public_url` is how callers reach this port, without a slash at its end; `cors_origins` are the origins whose
    pages may call it ("*" = all, none = CORS off). `source_lines` appends readable sources to every answer, not
    only to those under `/dify`. `user_key` keys the digests of callers' user names. `max_message_bytes` is the
    gateway's own limit. `shares_port` = other processes of the same user may listen on this port too. Times are in
    seconds.
    """

    public_url: str = ""
    cors_origins: tuple[str, ...] = ()
    source_lines: bool = False
    moderation: Moderation = field(default_factory=Moderation)
    user_key: bytes = field(default=b"", repr=False)
    max_message_bytes: int = 4 * 1024 * 1024
    heartbeat_s: float = 15.0
    stall_s: float = 30.0
    body_s: float = 60.0
    turn_s: float = 900.0
    close_s: float = 5.0
    shares_port: bool = False


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway is. Plain text on loopback, else TLS unless `insecure`; files are PEM.

    By `secret` the gateway of the same process knows this bridge, and believes what it says of callers' addresses.
    """

    target: str
    insecure: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""
    secret: str = field(default="", repr=False)
