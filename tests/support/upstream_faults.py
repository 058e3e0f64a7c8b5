"""The ways in which an upstream goes wrong, as data: what it sends, and what a caller must be told instead.

Numbers such as U-6 name the rows of the fault matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from tests.support.chat_events import DONE, chat_chunk, sse, text_chunk
from tests.support.upstream import FIN, RESET, STALL, Drip, Raw, Reply, Step

KEY = "sk-canary-5f2b7c9d"
TEXT = "canary-of-the-upstream"
SAYS = {"error": {"message": f"{TEXT}: the api key {KEY} is bad", "type": TEXT, "code": TEXT}}
HTML, JSON = {"Content-Type": "text/html"}, {"Content-Type": "application/json"}
MIB = 1 << 20
UNAVAILABLE, PROTOCOL = "UPSTREAM_UNAVAILABLE", "UPSTREAM_PROTOCOL"
TTFT, SILENCE = "UPSTREAM_TTFT_TIMEOUT", "silence"
# Reason → code, whether the same call may succeed later, and how long to wait before that where no header says.
TABLE = {
    UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, "true", 1.0),
    PROTOCOL: (grpc.StatusCode.UNAVAILABLE, "true", None),
    TTFT: (grpc.StatusCode.UNAVAILABLE, "true", 1.0),
    "UPSTREAM_RATE_LIMITED": (grpc.StatusCode.UNAVAILABLE, "true", 1.0),
    "UPSTREAM_CREDENTIALS": (grpc.StatusCode.UNAVAILABLE, "false", None),
    "UPSTREAM_BALANCE": (grpc.StatusCode.UNAVAILABLE, "false", None),
    "UPSTREAM_MODEL_GONE": (grpc.StatusCode.UNAVAILABLE, "false", None),
    "UPSTREAM_TLS": (grpc.StatusCode.UNAVAILABLE, "false", None),
    "UPSTREAM_REJECTED": (grpc.StatusCode.INTERNAL, "false", None),
    "INVALID_REQUEST": (grpc.StatusCode.INVALID_ARGUMENT, "false", None),
    "CONTEXT_LENGTH_EXCEEDED": (grpc.StatusCode.INVALID_ARGUMENT, "false", None),
    "STREAM_INTERRUPTED": (grpc.StatusCode.ABORTED, "false", None),
}


@dataclass(frozen=True)
class Fault:
    """One way to go wrong in the middle of a 200, and what is said of it before and after the first output.

    `head` are the same fault's bytes in the place of a head, where it has such a form.
    """

    name: str
    steps: Sequence[Step | str | dict[str, Any]]  # Any: JSON
    reason: str
    cause: str
    cause_after: str = ""
    head: Sequence[Step] = ()
    head_says: tuple[str, str] = (UNAVAILABLE, "disconnected")


BY_TIMER: dict[str, Any] = {"reason": TTFT, "cause": "first_output_timeout", "cause_after": SILENCE}
OVER_TIME = (TTFT, "first_output_timeout")
BAD_HTTP = (PROTOCOL, "bad_http")
LOST: dict[str, Any] = {"reason": UNAVAILABLE, "cause": "connection_lost"}
AGAIN = 400
FAULTS = [
    Fault("U-6 reset", [RESET], **LOST, head=[RESET]),
    Fault("U-6 end of the connection", [FIN], **LOST, head=[FIN]),
    Fault("U-6 cut inside a chunk", [Raw(b"ff\r\nhalf a chunk"), FIN], **LOST),
    Fault("U-6 broken chunk framing", [Raw(b"no chunk size\r\n"), STALL], **LOST),
    Fault("U-7 end without a finish reason", [], PROTOCOL, "blank_body", "eof_without_finish"),
    Fault("U-7 [DONE] without a finish reason", [DONE], PROTOCOL, "blank_body", "eof_without_finish"),
    Fault("U-7 cut inside an event", [sse(text_chunk("cut"))[:40]], PROTOCOL, "blank_body", "eof_without_finish"),
    Fault("U-8 stall", [STALL], **BY_TIMER, head=[STALL], head_says=OVER_TIME),
    Fault("U-9 comments only", [b": keep-alive\n\n", 0.02] * AGAIN, **BY_TIMER),
    Fault("U-9 blank lines only", [b"\n\n", 0.02] * AGAIN, **BY_TIMER),
    Fault("U-9 empty deltas only", [chat_chunk({"content": ""}), 0.02] * AGAIN, **BY_TIMER),
    Fault("U-11 an event over 1 MiB", [b"data: " + b"x" * MIB, b"x\n\n", STALL], PROTOCOL, "event_too_large"),
    Fault(
        "U-11 a line without an end",
        [b": " + b"x" * MIB, b"x" * MIB, STALL],
        PROTOCOL,
        "event_too_large",
        head=[Raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * MIB + b"\r\n\r\n"), STALL],
        head_says=BAD_HTTP,
    ),
    Fault(
        "U-12 a byte at a time",
        [Drip(b"data: " + b"x" * AGAIN, 0.02)],
        **BY_TIMER,
        head=[Drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * AGAIN, 0.02)],
        head_says=OVER_TIME,
    ),
    Fault(
        "U-13 no JSON",
        [f"{{{TEXT}", STALL],
        PROTOCOL,
        "not_json",
        head=[Raw(f"SSH-2.0-{TEXT}\r\n\r\n".encode()), STALL],
        head_says=BAD_HTTP,
    ),
    Fault("U-13 no object", ["[]", STALL], PROTOCOL, "not_an_object"),
    Fault("U-13 null choices", [{"choices": None}, STALL], PROTOCOL, "bad_schema"),
    Fault("U-13 content that is no text", [chat_chunk({"content": {"a": 1}}), STALL], PROTOCOL, "bad_schema"),
    Fault(
        "U-13 an unknown finish reason", [chat_chunk({}, finish="banana"), DONE], PROTOCOL, "unknown_finish_reason"
    ),
    Fault("U-16 an error object", [SAYS, STALL], UNAVAILABLE, "error_object"),
    Fault(
        "U-16 an error object: limit", [{"error": {"code": 429}}, STALL], "UPSTREAM_RATE_LIMITED", "error_object"
    ),
    Fault("U-16 an error object: key", [{"error": {"code": 401}}, STALL], "UPSTREAM_CREDENTIALS", "error_object"),
    Fault("U-16 an error object: request", [{"error": {"code": 400}}, STALL], "INVALID_REQUEST", "error_object"),
    Fault(
        "U-20 out of resources",
        [chat_chunk({}, finish="insufficient_system_resource"), DONE],
        UNAVAILABLE,
        "finish_insufficient_system_resource",
    ),
]

REDIRECT = {"Location": "http://127.0.0.1:1/elsewhere"}
MANY_HEADERS = b"".join(b"X-%d: a\r\n" % number for number in range(10_000))
HEADS = [
    *[(f"U-2 {code}", Reply.json(code, SAYS), UNAVAILABLE, f"http_{code}") for code in (500, 502, 503, 504, 529)],
    ("U-2 503 in HTML", Reply([f"<html>{TEXT}".encode()], status=503, headers=HTML), UNAVAILABLE, "http_503"),
    ("U-3 429", Reply.json(429, SAYS), "UPSTREAM_RATE_LIMITED", "http_429"),
    ("U-4 400", Reply.json(400, SAYS), "INVALID_REQUEST", "http_400"),
    ("U-4 422", Reply.json(422, SAYS), "INVALID_REQUEST", "http_422"),
    ("U-4 400, our fault", Reply.json(405, SAYS), "UPSTREAM_REJECTED", "http_405"),
    ("U-5 401", Reply.json(401, SAYS), "UPSTREAM_CREDENTIALS", "http_401"),
    ("U-5 402", Reply.json(402, SAYS), "UPSTREAM_BALANCE", "http_402"),
    ("U-5 403", Reply.json(403, SAYS), "UPSTREAM_CREDENTIALS", "http_403"),
    ("404", Reply.json(404, SAYS), "UPSTREAM_MODEL_GONE", "http_404"),
    ("U-7 empty body", Reply(headers=JSON), PROTOCOL, "blank_body"),
    ("U-7 blank body", Reply([b"\n\n\n"], headers=JSON), PROTOCOL, "blank_body"),
    ("U-10 encoded body", Reply([b"\x1f\x8b"], headers={"Content-Encoding": "gzip"}), PROTOCOL, "encoded_body"),
    ("U-14 HTML", Reply([f"<html>{TEXT}".encode()], headers=HTML), PROTOCOL, "content_type"),
    ("U-14 JSON", Reply.json(200, {"said": TEXT}), PROTOCOL, "content_type"),
    ("U-18 redirect", Reply(status=307, headers=REDIRECT), PROTOCOL, "http_307"),
    (
        "U-18 many headers",
        Reply([Raw(b"HTTP/1.1 200 OK\r\n" + MANY_HEADERS + b"\r\n"), STALL], status=None),
        PROTOCOL,
        "bad_http",
    ),
    (
        "U-18 interim answers without end",
        Reply([Raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), 0.01] * AGAIN, status=None),
        TTFT,
        "first_output_timeout",
    ),
]
