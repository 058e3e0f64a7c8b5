"""One turn as the caller asked for it: messages in, options, limits. Absent options are None."""

from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Role(StrEnum):
    """Who said a message, in the words of the chat wire format."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Thinking(Enum):
    """How hard the model may reason before it answers."""

    OFF = "off"
    LOW = "low"
    HIGH = "high"
    MAX = "max"


class ToolMode(Enum):
    """Whether the model may, must or must not call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class SearchMode(Enum):
    """Whether the turn is enriched with search results."""

    NEVER = "never"
    AUTO = "auto"
    ALWAYS = "always"


class CacheUse(Enum):
    """How the turn uses the answer cache."""

    READ_WRITE = "read_write"
    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"
    BYPASS = "bypass"


class Place(Enum):
    """Where the model may run."""

    ANY = "any"
    LOCAL_ONLY = "local_only"
    CLOUD_ONLY = "cloud_only"
    LOCAL_FIRST = "local_first"


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a message: bytes with their MIME type, or a URL the model provider fetches."""

    mime_type: str = ""
    data: bytes = b""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole tool call of the model; `arguments_json` is the raw string, valid JSON or not."""

    index: int
    call_id: str
    name: str
    arguments_json: str
    after_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation. `parts` (text or images, in order) excludes `content`."""

    role: Role
    content: str = ""
    parts: tuple[str | Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    reasoning: str = ""
    name: str = ""
    refusal: str = ""

    @property
    def text(self) -> str:
        """The text of the message, with the parts that are text joined by newlines."""
        return self.content or "\n".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function of the caller's that the model may ask for; `parameters_json` is a JSON schema."""

    name: str
    description: str = ""
    parameters_json: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """How the model shall answer. `max_tokens` 0 = the gateway's default; reasoning counts in it."""

    max_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    thinking: Thinking | None = None
    include_reasoning: bool = False
    json_object: bool = False
    json_schema: str = ""
    tool_mode: ToolMode | None = None
    tool_name: str = ""
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What the turn wants of search; 0, empty and None mean the default of `api.md`.

    Times are seconds since the epoch; `timeout_s` is the search's slice of the turn.
    """

    mode: SearchMode | None = None
    providers: tuple[str, ...] = ()
    max_results: int = 0
    max_calls: int = 0
    pages: bool = False
    evidence_token_budget: int = 0
    timeout_s: float | None = None
    required: bool = False
    only_domains: tuple[str, ...] = ()
    skip_domains: tuple[str, ...] = ()
    not_before: float | None = None
    not_after: float | None = None
    locale: str = ""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How old an answer may be, and whether identical questions in flight may be joined."""

    use: CacheUse = CacheUse.READ_WRITE
    max_age_s: float | None = None
    join_in_flight: bool = True


@dataclass(frozen=True, slots=True)
class TurnLimit:
    """The caller's own ceiling for one turn; 0 = none."""

    max_cost_nano_usd: int = 0
    max_search_calls: int = 0
    max_tool_rounds: int = 0


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the turn may run. `allow_degraded` None = the tenant's setting."""

    place: Place = Place.ANY
    region: str = ""
    allow_degraded: bool | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One whole turn. `turn_id` is never empty here; `named` says whether the caller chose it.

    `body_sha256` is the digest of the request as sent, so that the same id with another body is seen.
    """

    turn_id: str
    named: bool
    body_sha256: bytes
    model: str
    messages: tuple[Message, ...]
    generation: Generation = field(default_factory=Generation)
    search: SearchOptions = field(default_factory=SearchOptions)
    tools: tuple[Tool, ...] = ()
    cache: CachePolicy = field(default_factory=CachePolicy)
    limit: TurnLimit = field(default_factory=TurnLimit)
    routing: Routing = field(default_factory=Routing)
    timeout_s: float | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """The texts of the user's messages, oldest first; the last one is the question."""
        return [m.text for m in self.messages if m.role is Role.USER]

    @property
    def question(self) -> str:
        """The text of the last user message: what a search or an extractive answer is about."""
        return next((m.text for m in reversed(self.messages) if m.role is Role.USER), "")
