"""The body of a chat.completions request, built from a Prompt (pure).

What vendors want differently is data (`Quirks`), never a branch on a vendor's name. The front of the body stays
byte-stable for the vendor's prefix cache: nothing here depends on time or chance.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import loads
from types import MappingProxyType

from gateway.domain.errors import CallerError, invalid
from gateway.domain.turn import Generation, Image, Message, Role, Thinking, Tool, ToolMode
from gateway.models import Prompt

_EFFORTS = MappingProxyType({Thinking.LOW: "low", Thinking.HIGH: "high", Thinking.MAX: "max"})
_JSON_ONLY = "Answer with one JSON object and nothing else."


@dataclass(frozen=True, slots=True)
class Quirks:
    """What one vendor wants and can do; the defaults are those of the plain OpenAI format.

    A field name that is empty is not sent. `thinking_on` and `thinking_off` are sent as they are, where a switch
    has a form of its own. `reasoning_back` names the field in which the reasoning of a tool turn goes back.
    `forced_tools_while_thinking` False turns a forced tool choice into `auto` while thinking is on.
    With `names_models` False the `model` of its replies is a file or an operator's own word, and is not shown.
    `reasoning_beside` says that its `completion_tokens` do not include the reasoning (xAI).
    """

    max_tokens_field: str = "max_tokens"
    user_field: str = "user"
    include_usage: bool = True
    thinking_field: str = ""
    thinking_on: Mapping[str, object] = field(default_factory=dict)
    thinking_off: Mapping[str, object] = field(default_factory=dict)
    effort_field: str = ""
    efforts: Mapping[Thinking, str] = field(default_factory=lambda: _EFFORTS)
    reasoning_back: str = ""
    forced_tools_while_thinking: bool = True
    json_schema: bool = False
    strict_tools: bool = False
    max_stop: int = 4
    max_tools: int = 128
    reasoning_beside: bool = False
    names_models: bool = True


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The body to send, and what had to be changed: `thinking_off`, `tool_choice_auto`."""

    body: dict[str, object]
    changes: tuple[str, ...] = ()


def build_request(prompt: Prompt, model: str, quirks: Quirks) -> ChatRequest:
    """The request for `prompt` under the vendor's own `model` name. Raises CallerError (INVALID_REQUEST)."""
    generation = prompt.generation
    thinking = effective_thinking(prompt, quirks)
    choice = _tool_choice(generation, thinking, quirks) if prompt.tools else None
    messages = [_message(message, thinking, quirks) for message in prompt.messages]
    body: dict[str, object] = {
        "model": model,
        "messages": _with_json_instruction(messages, prompt, quirks),
        "stream": True,
        quirks.max_tokens_field: generation.max_tokens,
        **_thinking(thinking, quirks),
        **_sampling(generation, quirks),
        **_response_format(generation, quirks),
    }
    if quirks.include_usage:
        body["stream_options"] = {"include_usage": True}
    if prompt.tools:
        body["tools"] = _tools(prompt.tools, quirks)
    if choice is not None:
        body["tool_choice"] = choice
    if quirks.user_field and prompt.user_id:
        body[quirks.user_field] = prompt.user_id
    return ChatRequest(body, _changes(generation, thinking, choice))


def effective_thinking(prompt: Prompt, quirks: Quirks) -> Thinking:
    """The thinking that can be asked for: off where a tool turn of the history lacks its reasoning.

    DeepSeek answers 400 to such a history while thinking is on; nobody but the caller can know what is missing.
    """
    thinking = prompt.generation.thinking or Thinking.OFF
    if quirks.reasoning_back and any(m.tool_calls and not m.reasoning for m in prompt.messages):
        return Thinking.OFF
    return thinking


def _changes(generation: Generation, thinking: Thinking, choice: object) -> tuple[str, ...]:
    changes = []
    if thinking is not (generation.thinking or Thinking.OFF):
        changes.append("thinking_off")
    if choice == "auto" and generation.tool_mode is not ToolMode.AUTO:
        changes.append("tool_choice_auto")
    return tuple(changes)


def _message(message: Message, thinking: Thinking, quirks: Quirks) -> dict[str, object]:
    sent: dict[str, object] = {"role": str(message.role), "content": _content(message)}
    if message.name and message.role is not Role.TOOL:
        sent["name"] = message.name
    if message.role is Role.TOOL:
        sent["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        sent["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_json},
            }
            for call in message.tool_calls
        ]
        if quirks.reasoning_back and thinking is not Thinking.OFF:
            sent[quirks.reasoning_back] = message.reasoning
    return sent


def _content(message: Message) -> str | list[dict[str, object]]:
    """One string where that says everything: text-only models accept no parts."""
    if not any(isinstance(part, Image) for part in message.parts):
        return message.text or message.refusal
    parts = ([message.content] if message.content else []) + list(message.parts)
    return [_part(part) for part in parts]


def _part(part: str | Image) -> dict[str, object]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = part.url or f"data:{part.mime_type};base64,{b64encode(part.data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _with_json_instruction(
    messages: list[dict[str, object]], prompt: Prompt, quirks: Quirks
) -> list[dict[str, object]]:
    """JSON mode needs the word in the prompt; a schema the vendor does not know is stated there as well."""
    generation = prompt.generation
    states_schema = generation.json_schema and not quirks.json_schema
    wants_json = generation.json_object or states_schema
    if not wants_json or (not states_schema and any("json" in m.text.lower() for m in prompt.messages)):
        return messages
    text = (
        f"{_JSON_ONLY} It must match this JSON Schema:\n{generation.json_schema}" if states_schema else _JSON_ONLY
    )
    after = next((i for i, m in enumerate(prompt.messages) if m.role is not Role.SYSTEM), len(messages))
    return [*messages[:after], {"role": "system", "content": text}, *messages[after:]]


def _thinking(thinking: Thinking, quirks: Quirks) -> dict[str, object]:
    on = thinking is not Thinking.OFF
    sent: dict[str, object] = dict(quirks.thinking_on if on else quirks.thinking_off)
    if quirks.thinking_field:
        sent[quirks.thinking_field] = {"type": "enabled" if on else "disabled"}
    if quirks.effort_field and on:
        sent[quirks.effort_field] = quirks.efforts[thinking]
    return sent


def _sampling(generation: Generation, quirks: Quirks) -> dict[str, object]:
    if len(generation.stop) > quirks.max_stop:
        raise invalid("generation.stop", f"give at most {quirks.max_stop} strings")
    sent: dict[str, object] = {}
    if generation.temperature is not None:
        sent["temperature"] = generation.temperature
    if generation.top_p is not None:
        sent["top_p"] = generation.top_p
    if generation.stop:
        sent["stop"] = list(generation.stop)
    return sent


def _response_format(generation: Generation, quirks: Quirks) -> dict[str, object]:
    if generation.json_schema:
        schema = _json_object(generation.json_schema, "generation.json_schema")
        if quirks.json_schema:
            named = {"name": "answer", "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
    if generation.json_object or generation.json_schema:
        return {"response_format": {"type": "json_object"}}
    return {}


def _tools(tools: Sequence[Tool], quirks: Quirks) -> list[dict[str, object]]:
    if len(tools) > quirks.max_tools:
        raise invalid("tools", f"give at most {quirks.max_tools} functions")
    return [{"type": "function", "function": _function(tool, i, quirks)} for i, tool in enumerate(tools)]


def _function(tool: Tool, position: int, quirks: Quirks) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = _json_object(tool.parameters_json, f"tools[{position}].parameters_json")
    else:
        function["parameters"] = {"type": "object", "properties": {}}
    if tool.strict and quirks.strict_tools:
        function["strict"] = True
    return function


def _tool_choice(generation: Generation, thinking: Thinking, quirks: Quirks) -> object:
    match generation.tool_mode:
        case None:
            return None
        case ToolMode.AUTO | ToolMode.NONE as mode:
            return mode.value
        case _ if thinking is not Thinking.OFF and not quirks.forced_tools_while_thinking:
            return "auto"
        case ToolMode.REQUIRED:
            return "required"
    return {"type": "function", "function": {"name": generation.tool_name}}


def _json_object(text: str, where: str) -> dict[str, object]:
    failure: CallerError
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        failure = invalid(where, "is not valid JSON; give a JSON Schema object")
    else:
        if isinstance(value, dict):
            return value
        failure = invalid(where, "is not a JSON object; give a JSON Schema object")
    raise failure
