"""A `Turn` from keyword arguments: pure."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, TypeVar

from gateway.v1 import content_pb2, inference_pb2

SearchWord = Literal["never", "auto", "always"]
ThinkingWord = Literal["off", "low", "high", "max"]
CacheWord = Literal["read_write", "read_only", "write_only", "bypass"]

_ROLES = {
    "system": content_pb2.ROLE_SYSTEM,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
}
_SEARCH = {
    "never": inference_pb2.SEARCH_MODE_NEVER,
    "auto": inference_pb2.SEARCH_MODE_AUTO,
    "always": inference_pb2.SEARCH_MODE_ALWAYS,
}
_THINKING = {
    "off": inference_pb2.THINKING_OFF,
    "low": inference_pb2.THINKING_LOW,
    "high": inference_pb2.THINKING_HIGH,
    "max": inference_pb2.THINKING_MAX,
}
_CACHE = {
    "read_write": inference_pb2.CACHE_USE_READ_WRITE,
    "read_only": inference_pb2.CACHE_USE_READ_ONLY,
    "write_only": inference_pb2.CACHE_USE_WRITE_ONLY,
    "bypass": inference_pb2.CACHE_USE_BYPASS,
}

Number = TypeVar("Number")


class TurnOptions(TypedDict, total=False):
    """What a turn may be asked with; what is left out is the gateway's default.

    `prompt` is one user message, `messages` a whole conversation: pairs of role and text, or `Message`s; give
    one of the two. `system` stands before either. `max_tokens` counts reasoning too. `search` and `cache`
    take a word or the whole message. `labels` are at most 16 and land on the receipt. `turn_id` makes the
    turn idempotent: the same id with the same body is answered and charged once.
    """

    prompt: str
    messages: Sequence[content_pb2.Message | tuple[str, str]]
    system: str
    model: str
    search: SearchWord | inference_pb2.SearchOptions
    thinking: ThinkingWord
    include_reasoning: bool
    max_tokens: int
    temperature: float
    top_p: float
    stop: Sequence[str]
    json_object: bool
    json_schema: str
    tools: Sequence[content_pb2.Tool]
    cache: CacheWord | inference_pb2.CachePolicy
    allow_degraded: bool
    max_cost_nano_usd: int
    labels: Mapping[str, str]
    turn_id: str


def build_turn(turn: inference_pb2.Turn | None, options: TurnOptions, new_id: str) -> inference_pb2.Turn:
    """A copy of `turn`, or a turn made of `options`; `new_id` becomes its id when it has none.

    Raises ValueError when both are given, when neither asks anything, and for an unknown word.
    """
    if turn is not None and options:
        raise ValueError("give a Turn or keyword arguments, not both")
    built = inference_pb2.Turn()
    if turn is not None:
        built.CopyFrom(turn)
    else:
        _ask(built, options)
        _choose(built, options)
        generation = _generation(options)
        if generation.ByteSize():
            built.generation.CopyFrom(generation)
    built.turn_id = built.turn_id or new_id
    return built


def message(role: str, text: str) -> content_pb2.Message:
    """One message; `role` is system, user, assistant or tool."""
    return content_pb2.Message(role=_known(_ROLES, "role", role), content=text)


def _ask(turn: inference_pb2.Turn, options: TurnOptions) -> None:
    prompt, system = options.get("prompt", ""), options.get("system", "")
    messages = [m if isinstance(m, content_pb2.Message) else message(*m) for m in options.get("messages", ())]
    if bool(prompt) == bool(messages):
        raise ValueError("a turn needs a prompt or messages, one of the two")
    if prompt and not system:
        turn.prompt = prompt
        return
    turn.messages.extend([message("system", system)] if system else [])
    turn.messages.extend(messages or [message("user", prompt)])


def _choose(turn: inference_pb2.Turn, options: TurnOptions) -> None:
    turn.turn_id = options.get("turn_id", "")
    turn.model = options.get("model", "")
    turn.tools.extend(options.get("tools", ()))
    turn.labels.update(options.get("labels", {}))
    if "search" in options:
        turn.search.CopyFrom(search_options(options["search"]))
    if "cache" in options:
        turn.cache.CopyFrom(_cache_policy(options["cache"]))
    if "allow_degraded" in options:
        turn.routing.allow_degraded = options["allow_degraded"]
    if "max_cost_nano_usd" in options:
        turn.limit.max_cost_nano_usd = options["max_cost_nano_usd"]


def _generation(options: TurnOptions) -> inference_pb2.GenerationOptions:
    generation = inference_pb2.GenerationOptions(
        max_tokens=options.get("max_tokens", 0),
        include_reasoning=options.get("include_reasoning", False),
        stop=options.get("stop", ()),
        json_schema=options.get("json_schema", ""),
    )
    if options.get("json_object", False):
        generation.response_format = inference_pb2.RESPONSE_FORMAT_JSON_OBJECT
    if "temperature" in options:
        generation.temperature = options["temperature"]
    if "top_p" in options:
        generation.top_p = options["top_p"]
    if "thinking" in options:
        generation.thinking = _known(_THINKING, "thinking", options["thinking"])
    return generation


def search_options(search: str | inference_pb2.SearchOptions) -> inference_pb2.SearchOptions:
    """Search options from one word, or as given."""
    if isinstance(search, inference_pb2.SearchOptions):
        return search
    return inference_pb2.SearchOptions(mode=_known(_SEARCH, "search", search))


def _cache_policy(cache: str | inference_pb2.CachePolicy) -> inference_pb2.CachePolicy:
    if isinstance(cache, inference_pb2.CachePolicy):
        return cache
    return inference_pb2.CachePolicy(use=_known(_CACHE, "cache", cache))


def _known(table: Mapping[str, Number], what: str, word: str) -> Number:
    if word not in table:
        raise ValueError(f"{what} is {word!r}: use one of {', '.join(table)}")
    return table[word]
