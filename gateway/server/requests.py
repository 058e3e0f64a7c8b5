"""A `Turn` of the wire becomes a turn of the domain, or a refusal that names every wrong field at once (pure)."""

import hashlib
import re
from collections.abc import Iterator, Sequence

from gateway.domain.turn import (
    CachePolicy,
    CacheUse,
    Generation,
    Image,
    Message,
    Place,
    Role,
    Routing,
    SearchMode,
    SearchOptions,
    Thinking,
    Tool,
    ToolCall,
    ToolMode,
    Turn,
    TurnLimit,
)
from gateway.server.checks import Checks
from gateway.v1 import content_pb2, inference_pb2

ROLES: dict[int, Role] = {
    content_pb2.ROLE_SYSTEM: Role.SYSTEM,
    content_pb2.ROLE_USER: Role.USER,
    content_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
    content_pb2.ROLE_TOOL: Role.TOOL,
}
THINKING = dict(zip((0, 1, 2, 3, 4), (None, Thinking.OFF, Thinking.LOW, Thinking.HIGH, Thinking.MAX), strict=True))
TOOL_MODES = dict(zip((0, 1, 2, 3, 4), (None, *ToolMode), strict=True))
SEARCH_MODES = dict(zip((0, 1, 2, 3), (None, *SearchMode), strict=True))
CACHE_USES = dict(zip((0, 1, 2, 3, 4), (CacheUse.READ_WRITE, *CacheUse), strict=True))
PLACES = dict(zip((0, 1, 2, 3, 4), (Place.ANY, *Place), strict=True))

TURN_ID = re.compile(r"[\x21-\x7e]{1,128}")
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_LABELS, MAX_LABEL = 16, 64
MAX_TOOLS = 128
MAX_STOPS = 16
MAX_RESULTS = 50
MAX_PIECES = 4096
_USUAL = Turn("", False, b"", "", ())  # what was not sent is not looked into, and most turns send little


def read_turn(request: inference_pb2.Turn, fresh_id: str) -> Turn:
    """The turn as asked for; `fresh_id` is its id when the caller gave none.

    Raises CallerError(INVALID_REQUEST) that names every wrong field.
    """
    checks, sent = Checks(), request.HasField
    checks.require(
        not request.turn_id or TURN_ID.fullmatch(request.turn_id) is not None,
        "turn_id",
        "use 1 to 128 printable ASCII characters without spaces",
    )
    turn = Turn(
        turn_id=request.turn_id or fresh_id,
        named=bool(request.turn_id),
        body_sha256=digest(request),
        model=request.model,
        messages=_messages(request, checks),
        generation=_generation(request, checks) if sent("generation") or request.tools else _USUAL.generation,
        search=read_search(request.search, checks, "search.") if sent("search") else _USUAL.search,
        tools=tuple(_tools(request, checks)),
        cache=_cache(request.cache, checks) if sent("cache") else _USUAL.cache,
        limit=_limit(request.limit, checks) if sent("limit") else _USUAL.limit,
        routing=_routing(request.routing, checks) if sent("routing") else _USUAL.routing,
        timeout_s=checks.duration(request, "timeout", "timeout"),
        labels=_labels(request, checks),
    )
    checks.raise_if_any()
    return turn


def digest(request: inference_pb2.Turn) -> bytes:
    """SHA-256 of what was asked, so that the same id with another body is seen; the id itself is left out."""
    body = inference_pb2.Turn()
    body.CopyFrom(request)
    body.ClearField("turn_id")
    return hashlib.sha256(body.SerializeToString(deterministic=True)).digest()


def read_prompt(text: str, max_tokens: int, turn_id: str) -> Turn:
    """The turn of a plain `ModelRequest`. Raises CallerError(INVALID_REQUEST)."""
    checks = Checks()
    checks.require(bool(text.strip()), "text", "is empty; say what the model shall answer")
    checks.require(max_tokens >= 0, "max_tokens", "must not be negative; 0 means the model's default")
    checks.raise_if_any()
    return Turn(
        turn_id=turn_id,
        named=False,
        body_sha256=hashlib.sha256(text.encode()).digest(),
        model="",
        messages=(Message(Role.USER, text),),
        generation=Generation(max_tokens=max_tokens),
    )


def read_search(options: inference_pb2.SearchOptions, checks: Checks, path: str = "options.") -> SearchOptions:
    """Search options; `path` is where they stand in the request."""
    checks.require(options.max_results <= MAX_RESULTS, f"{path}max_results", f"is at most {MAX_RESULTS}")
    not_before = checks.timestamp(options, "not_before", f"{path}not_before")
    not_after = checks.timestamp(options, "not_after", f"{path}not_after")
    if not_before is not None and not_after is not None:
        checks.require(not_before <= not_after, f"{path}not_before", "lies after not_after")
    return SearchOptions(
        mode=checks.choice(options.mode, SEARCH_MODES, f"{path}mode", None),
        providers=tuple(options.providers),
        max_results=options.max_results,
        max_calls=options.max_calls,
        pages=checks.choice(options.depth, {0: False, 1: False, 2: True}, f"{path}depth", False),
        evidence_token_budget=options.evidence_token_budget,
        timeout_s=checks.duration(options, "timeout", f"{path}timeout"),
        required=options.required,
        only_domains=tuple(options.only_domains),
        skip_domains=tuple(options.skip_domains),
        not_before=not_before,
        not_after=not_after,
        locale=options.locale,
    )


def _messages(request: inference_pb2.Turn, checks: Checks) -> tuple[Message, ...]:
    if request.prompt:
        checks.require(not request.messages, "prompt", "excludes messages: send one of the two")
        checks.require(bool(request.prompt.strip()), "prompt", "is empty")
        return (Message(Role.USER, request.prompt),)
    # Counted before anything is read: each costs far more to look at than the bytes it takes to send.
    pieces = len(request.messages) + sum(len(m.parts) + len(m.tool_calls) for m in request.messages[:MAX_PIECES])
    if not 0 < pieces <= MAX_PIECES:
        many = f"hold more than {MAX_PIECES} messages, parts and tool calls together"
        checks.fail("messages", many if pieces else "is empty: send a prompt, or at least one message")
        return ()
    messages = tuple(_message(m, f"messages[{i}]", checks) for i, m in enumerate(request.messages))
    _check_tool_results(messages, checks)
    last, path = messages[-1], f"messages[{len(messages) - 1}]"
    checks.require(
        last.role in (Role.USER, Role.TOOL),
        f"{path}.role",
        "the last message must be the user's, or the result of a tool",
    )
    if last.role is Role.USER:
        checks.require(bool(last.content.strip() or last.parts), f"{path}.content", "is empty")
    return messages


def _message(message: content_pb2.Message, path: str, checks: Checks) -> Message:
    role = checks.choice(message.role, ROLES, f"{path}.role", Role.USER)
    checks.require(not (message.content and message.parts), f"{path}.parts", "goes with an empty content")
    checks.require(
        not message.tool_calls or role is Role.ASSISTANT, f"{path}.tool_calls", "belongs to ROLE_ASSISTANT"
    )
    checks.require(
        bool(message.tool_call_id) == (role is Role.TOOL),
        f"{path}.tool_call_id",
        "names the call on ROLE_TOOL, and stands nowhere else",
    )
    return Message(
        role=role,
        content=message.content,
        parts=tuple(_parts(message.parts, path, checks)),
        tool_calls=tuple(
            ToolCall(call.index, call.call_id, call.name, call.arguments_json) for call in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
        reasoning=message.reasoning,
        name=message.name,
        refusal=message.refusal,
    )


def _parts(parts: Sequence[content_pb2.Part], path: str, checks: Checks) -> Iterator[str | Image]:
    for i, part in enumerate(parts):
        match part.WhichOneof("kind"):
            case "text":
                yield part.text
            case "image":
                image = part.image
                source = image.WhichOneof("source")
                checks.require(source is not None, f"{path}.parts[{i}].image", "needs data or url")
                if source == "data":
                    checks.require(
                        image.mime_type.startswith("image/"),
                        f"{path}.parts[{i}].image.mime_type",
                        "names no image",
                    )
                if source == "url":
                    checks.require(
                        image.url.startswith(("https://", "http://")),
                        f"{path}.parts[{i}].image.url",
                        "must be an http(s) URL; send other images as data",
                    )
                yield Image(image.mime_type, image.data, image.url)
            case _:
                checks.fail(f"{path}.parts[{i}]", "is neither text nor image")


def _check_tool_results(messages: tuple[Message, ...], checks: Checks) -> None:
    """A result answers a call the model made before it, once."""
    waiting: set[str] = set()
    for i, message in enumerate(messages):
        for k, call in enumerate(message.tool_calls):
            checks.require(bool(call.call_id), f"messages[{i}].tool_calls[{k}].call_id", "is empty")
            checks.require(bool(call.name), f"messages[{i}].tool_calls[{k}].name", "is empty")
            waiting.add(call.call_id)
        if message.role is Role.TOOL and message.tool_call_id:
            checks.require(
                message.tool_call_id in waiting,
                f"messages[{i}].tool_call_id",
                "answers no tool call of an earlier assistant message",
            )
            waiting.discard(message.tool_call_id)


def _generation(request: inference_pb2.Turn, checks: Checks) -> Generation:
    options = request.generation
    tool_mode = checks.choice(options.tool_mode, TOOL_MODES, "generation.tool_mode", None)
    checks.require(options.max_tokens >= 0, "generation.max_tokens", "must not be negative")
    checks.within(options, "temperature", 0.0, 2.0, "generation.temperature")
    checks.within(options, "top_p", 0.0, 1.0, "generation.top_p")
    checks.within(options, "top_logprobs", 0, 20, "generation.top_logprobs")
    checks.require(len(options.stop) <= MAX_STOPS, "generation.stop", f"takes at most {MAX_STOPS} strings")
    checks.require(all(options.stop), "generation.stop", "must not hold an empty string")
    if options.json_schema:
        checks.json_object(options.json_schema, "generation.json_schema")
    names = {tool.name for tool in request.tools}
    if tool_mode in (ToolMode.REQUIRED, ToolMode.NAMED):
        checks.require(bool(names), "generation.tool_mode", "demands a tool, and tools is empty")
    if tool_mode is ToolMode.NAMED:
        checks.require(options.tool_name in names, "generation.tool_name", "is none of the names in tools")
    else:
        checks.require(not options.tool_name, "generation.tool_name", "goes with TOOL_MODE_NAMED only")
    return Generation(
        max_tokens=options.max_tokens,
        temperature=options.temperature if options.HasField("temperature") else None,
        top_p=options.top_p if options.HasField("top_p") else None,
        stop=tuple(options.stop),
        thinking=checks.choice(options.thinking, THINKING, "generation.thinking", None),
        include_reasoning=options.include_reasoning,
        json_object=checks.choice(
            options.response_format, {0: False, 1: False, 2: True}, "generation.response_format", False
        ),
        json_schema=options.json_schema,
        tool_mode=tool_mode,
        tool_name=options.tool_name,
        top_logprobs=options.top_logprobs if options.HasField("top_logprobs") else None,
    )


def _tools(request: inference_pb2.Turn, checks: Checks) -> Iterator[Tool]:
    checks.require(len(request.tools) <= MAX_TOOLS, "tools", f"holds at most {MAX_TOOLS}")
    seen: set[str] = set()
    for i, tool in enumerate(request.tools):
        path = f"tools[{i}]"
        checks.require(
            TOOL_NAME.fullmatch(tool.name) is not None, f"{path}.name", "must match [A-Za-z0-9_-]{1,64}"
        )
        checks.require(tool.name not in seen, f"{path}.name", "is there twice")
        seen.add(tool.name)
        if tool.parameters_json:
            checks.json_object(tool.parameters_json, f"{path}.parameters_json")
        yield Tool(tool.name, tool.description, tool.parameters_json, tool.strict)


def _cache(policy: inference_pb2.CachePolicy, checks: Checks) -> CachePolicy:
    return CachePolicy(
        use=checks.choice(policy.use, CACHE_USES, "cache.use", CacheUse.READ_WRITE),
        max_age_s=checks.duration(policy, "max_age", "cache.max_age"),
        join_in_flight=policy.join_in_flight if policy.HasField("join_in_flight") else True,
    )


def _limit(limit: inference_pb2.TurnLimit, checks: Checks) -> TurnLimit:
    checks.require(limit.max_cost_nano_usd >= 0, "limit.max_cost_nano_usd", "must not be negative; 0 means none")
    return TurnLimit(limit.max_cost_nano_usd, limit.max_search_calls, limit.max_tool_rounds)


def _routing(routing: inference_pb2.Routing, checks: Checks) -> Routing:
    return Routing(
        place=checks.choice(routing.place, PLACES, "routing.place", Place.ANY),
        region=routing.region,
        allow_degraded=routing.allow_degraded if routing.HasField("allow_degraded") else None,
    )


def _labels(request: inference_pb2.Turn, checks: Checks) -> dict[str, str]:
    labels = dict(request.labels)
    checks.require(len(labels) <= MAX_LABELS, "labels", f"holds at most {MAX_LABELS}")
    for key, value in labels.items():
        checks.require(
            0 < len(key) <= MAX_LABEL and len(value) <= MAX_LABEL,
            f"labels[{key[:MAX_LABEL]}]",
            f"keys and values have at most {MAX_LABEL} characters",
        )
    return labels
