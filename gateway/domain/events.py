"""What happens inside a turn: what a model sends, and what the caller is told."""

from dataclasses import dataclass, field
from enum import Enum

from gateway.domain.usage import Usage


class Finish(Enum):
    """Why a turn ended; the values are the numbers of the wire."""

    STOP = 1
    LENGTH = 2
    TOOL_CALLS = 3
    CONTENT_FILTER = 4
    LIMIT = 5
    CANCELLED = 6
    DEADLINE = 7
    ERROR = 8


# --- what a model provider yields, and what the caller sees unchanged -------------------------------


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Answer text, reasoning or refusal that arrived together.

    When both texts are set, the reasoning came first. `events` counts the upstream events folded into it.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    events: int = 1


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A fragment of one tool call: `arguments_json` is to be appended to what came before at `index`."""

    index: int
    call_id: str = ""
    name: str = ""
    arguments_json: str = ""
    events: int = 1
    after_evidence: bool = False


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """Token counts as the provider reported them, after clamping to sane numbers; the last one wins.

    `completion_tokens` includes `reasoning_tokens`; `cached_prompt_tokens` is part of `prompt_tokens`.
    """

    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The provider's own end of the answer, with the name of the model that served it (may be empty)."""

    finish: Finish
    model: str = ""


ModelEvent = TextDelta | ToolCallDelta | ProviderUsage | Finished

# --- what the pipeline adds for the caller ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The turn is reserved and has a receipt."""

    receipt_id: str
    queue_position: int = 0
    estimated_wait_s: float = 0.0


class SearchStatus(Enum):
    """How one search call ended; the values are the numbers of the wire."""

    OK = 1
    FAILED = 2
    SKIPPED = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A numbered source. `source_id` is `S1`, `S2`… within the turn; `score` compares only within it.

    `passage` is the text that stands in the evidence, longer than `snippet`; callers never see it.
    """

    source_id: str
    url: str
    title: str
    snippet: str
    provider: str
    passage: str = ""
    published: float | None = None
    score: float = 0.0
    content_sha256: bytes = b""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchEvent:
    """One call to one search provider, finished, failed or skipped; `took_s` in seconds."""

    provider: str
    query: str
    status: SearchStatus
    sources: tuple[Source, ...] = ()
    took_s: float = 0.0
    from_cache: bool = False
    detail: str = ""


class Support(Enum):
    """Whether the cited source says what the answer says; the values are the numbers of the wire."""

    STATED = 1
    PARTLY = 2
    NOT_FOUND = 3
    UNCHECKED = 4


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of the answer (UTF-8 byte offsets, marks removed) and the sources it names."""

    start: int
    end: int
    source_ids: tuple[str, ...]
    evidence: str = ""
    support: Support = Support.UNCHECKED


class NoticeKind(Enum):
    """What the caller should know although the turn goes on; the values are the numbers of the wire."""

    DEGRADED = 1
    REROUTED = 2
    RETRIED = 3
    FROM_CACHE = 4
    JOINED_IN_FLIGHT = 5
    SEARCH_SKIPPED = 6
    SEARCH_FAILED = 7
    OPTION_CLAMPED = 8
    LIMIT_NEAR = 9
    CREDENTIAL_EXPIRING = 10


@dataclass(frozen=True, slots=True)
class Notice:
    """One such message, for people, with facts for programs."""

    kind: NoticeKind
    message: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The one end of a turn. `served_by` names the provider, `model` the model that answered."""

    finish: Finish
    usage: Usage
    receipt_id: str
    degraded: bool = False
    served_by: str = ""
    model: str = ""


TurnEvent = Accepted | SearchEvent | TextDelta | ToolCallDelta | Citation | Usage | Notice | TurnEnd
