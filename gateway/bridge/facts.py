"""Facts about an answer: usage, finish, and the headers that say what became of the request (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from gateway.bridge.errors import callers_words
from gateway.v1 import account_pb2, content_pb2, inference_pb2

MAX_NOTICES, MAX_NOTICE = 16, 240
FINISHES = {
    inference_pb2.FINISH_STOP: "stop",
    inference_pb2.FINISH_LENGTH: "length",
    inference_pb2.FINISH_TOOL_CALLS: "tool_calls",
    inference_pb2.FINISH_CONTENT_FILTER: "content_filter",
    # A ceiling of the caller's own; clients know no other word for an answer that was cut.
    inference_pb2.FINISH_LIMIT: "length",
}
_DIMENSIONS = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}


@dataclass(slots=True)
class Facts:
    """What is known about one answer so far."""

    receipt_id: str = ""
    model: str = ""
    served_by: str = ""
    degraded: bool = False
    cache: str = "miss"
    notices: list[str] = field(default_factory=list)
    cost_nano_usd: int = 0
    after_evidence: bool = False

    def note(self, notice: inference_pb2.Notice) -> None:
        """One notice of the gateway."""
        match notice.kind:
            case inference_pb2.NOTICE_KIND_DEGRADED:
                self.degraded = True
                self.model = notice.facts.get("model", self.model)
            case inference_pb2.NOTICE_KIND_FROM_CACHE:
                self.cache = "hit"
            case inference_pb2.NOTICE_KIND_JOINED_IN_FLIGHT:
                self.cache = "joined"
        name = inference_pb2.NoticeKind.Name(notice.kind).removeprefix("NOTICE_KIND_").lower()
        self.notices.append(f"{name}: {callers_words(notice.message)}")

    def ended(self, end: inference_pb2.TurnEnd) -> None:
        """The end of the turn."""
        self.receipt_id = end.receipt_id or self.receipt_id
        self.model = end.model or self.model
        self.served_by = end.served_by
        self.degraded = self.degraded or end.degraded
        self.cost_nano_usd = end.usage.cost_nano_usd

    def headers(self) -> list[tuple[str, str]]:
        """Response headers; a fact that is not known yet has none."""
        named = {
            "x-gateway-receipt-id": self.receipt_id,
            "x-gateway-model": self.model,
            "x-gateway-served-by": self.served_by,
            "x-gateway-cache": self.cache,
            "x-gateway-degraded": str(self.degraded).lower(),
        }
        found = [(name, header_text(value)) for name, value in named.items() if value]
        return found + [("x-gateway-notice", header_text(notice)) for notice in self.notices[:MAX_NOTICES]]

    def as_object(self) -> dict[str, object]:
        """The same for the body, where a stream tells what its headers could not know."""
        return {
            "receipt_id": self.receipt_id,
            "served_by": self.served_by,
            "degraded": self.degraded,
            "cache": self.cache,
            "cost_nano_usd": self.cost_nano_usd,
            "after_evidence": self.after_evidence,
            "notices": self.notices,
        }


def header_text(value: str) -> str:
    """Text as it may stand in a header: printable ASCII, short."""
    line = " ".join(value.split())
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in line)[:MAX_NOTICE]


def usage(used: content_pb2.Usage) -> dict[str, object]:
    """`usage` with OpenAI's details and DeepSeek's two cache fields."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_prompt_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        "prompt_cache_hit_tokens": used.cached_prompt_tokens,
        "prompt_cache_miss_tokens": max(used.prompt_tokens - used.cached_prompt_tokens, 0),
    }


def limit_headers(allowances: Iterable[account_pb2.Allowance]) -> dict[str, str]:
    """`x-ratelimit-…` of requests and tokens; of several limits of a kind, the one that is nearest."""
    nearest: dict[str, account_pb2.Allowance] = {}
    for allowance in allowances:
        kind = _DIMENSIONS.get(allowance.dimension)
        if kind and (kind not in nearest or allowance.remaining < nearest[kind].remaining):
            nearest[kind] = allowance
    return {name: value for kind, item in nearest.items() for name, value in _limit(kind, item).items()}


def _limit(kind: str, item: account_pb2.Allowance) -> Mapping[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(item.limit),
        f"x-ratelimit-remaining-{kind}": str(max(item.remaining, 0)),
        f"x-ratelimit-reset-{kind}": _span(item.resets_in),
    }


def _span(duration: Duration) -> str:
    """Seconds as OpenAI writes them: `0s`, `12ms`, `6.5s`, `1m30s`."""
    milliseconds = duration.seconds * 1000 + duration.nanos // 1_000_000
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:g}s"
    return f"{minutes}m{seconds}" if minutes else seconds
