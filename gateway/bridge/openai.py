"""A chat.completions request as a `Turn`: each parameter is mapped, noted or refused by name (pure)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.bridge.errors import bad
from gateway.bridge.fields import Fields
from gateway.bridge.messages import read_messages
from gateway.bridge.wishes import as_json, read_choice, read_search, read_tools
from gateway.v1 import inference_pb2

INT32_MAX = 2**31 - 1
_TURN_ID = re.compile(r"[\x21-\x7e]{1,128}")
_EFFORTS = {
    "none": inference_pb2.THINKING_OFF,
    "minimal": inference_pb2.THINKING_LOW,
    "low": inference_pb2.THINKING_LOW,
    "medium": inference_pb2.THINKING_HIGH,
    "high": inference_pb2.THINKING_HIGH,
    "xhigh": inference_pb2.THINKING_HIGH,
    "max": inference_pb2.THINKING_MAX,
    "ultra": inference_pb2.THINKING_MAX,
}
# Whose name stands where; all are attribution only.
_USERS = ("user", "user_id", "safety_identifier")
# Parameters that DeepSeek's models or this gateway have no use for; leaving them out changes no meaning.
_NO_EFFECT = {
    "frequency_penalty": "has no effect on these models",
    "presence_penalty": "has no effect on these models",
    "seed": "answers cannot be repeated by a seed",
    "service_tier": "there is one tier",
    "store": "answers are not stored",
    "verbosity": "has no effect on these models",
    "parallel_tool_calls": "the model decides how many tools it calls",
    "prompt_cache_key": "prompts are cached by their beginning",
    "prompt_cache_options": "prompts are cached by their beginning",
    "prompt_cache_retention": "prompts are cached by their beginning",
}
_HARMLESS: Mapping[str, tuple[object, ...]] = {
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "parallel_tool_calls": (True,),
    "verbosity": ("medium",),
}
# Parameters whose silence would change what the caller gets.
_REFUSED = {
    "audio": "audio is not offered",
    "function_call": "is the old form; use tool_choice",
    "functions": "is the old form; use tools",
    "logit_bias": "is not offered by these models",
    "moderation": "is not offered here",
    "prediction": "is not offered by these models",
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request, read. `notices` say what of it has no effect."""

    turn: inference_pb2.Turn
    stream: bool
    notices: tuple[str, ...]

    @property
    def plain_text(self) -> bool:
        """Whether the answer is for people, so that lines may be added to it."""
        generation = self.turn.generation
        return (
            not generation.json_schema and generation.response_format != inference_pb2.RESPONSE_FORMAT_JSON_OBJECT
        )


def read_chat(values: Mapping[str, object], idempotency_key: str | None, user_key: bytes) -> ChatRequest:
    """Reads the body of a request. `user_key` keys the digest that a user's name becomes.

    Raises Refused (400) that names the field.
    """
    body, notices = Fields(values), list[str]()
    turn = inference_pb2.Turn(model=body.text("model") or "", turn_id=_turn_id(idempotency_key))
    turn.messages.extend(read_messages(body, notices))
    tooling = read_tools(body, notices)
    turn.tools.extend(tooling.functions)
    turn.generation.CopyFrom(_generation(body, notices))
    read_choice(body, turn.generation, bool(tooling.functions))
    search = read_search(body, tooling, notices)
    if search is not None:
        turn.search.CopyFrom(search)
    turn.labels.update(_labels(body, user_key))
    stream = body.flag("stream") or False
    _read_stream_options(body, notices)
    _refuse(body)
    _ignore(body, notices)
    return ChatRequest(turn, stream, tuple(notices))


def user_digest(name: str, key: bytes) -> str:
    """What stands for a user's name on a receipt: the same for the same name, and not the name."""
    return hmac.new(key, b"gateway user label\0" + name.encode(), hashlib.sha256).hexdigest()[:32]


def _turn_id(key: str | None) -> str:
    if key is None:
        return ""
    if _TURN_ID.fullmatch(key) is None:
        raise bad("Idempotency-Key", "use 1 to 128 printable ASCII characters without spaces")
    return key


def _generation(body: Fields, notices: list[str]) -> inference_pb2.GenerationOptions:
    options = inference_pb2.GenerationOptions(
        max_tokens=_max_tokens(body, notices),
        stop=_stop(body),
        thinking=_thinking(body, notices),
        # Models that reason unasked are heard too: clients show reasoning apart from the answer.
        include_reasoning=True,
    )
    temperature, top_p = body.number("temperature"), body.number("top_p")
    if temperature is not None:
        options.temperature = temperature
    if top_p is not None:
        options.top_p = top_p
    logprobs, top = body.flag("logprobs"), body.integer("top_logprobs")
    if logprobs or top is not None:
        if not 0 <= (top or 0) <= 20:
            raise bad("top_logprobs", "must be between 0 and 20")
        options.top_logprobs = top or 0
    _read_format(body, options, notices)
    return options


def _max_tokens(body: Fields, notices: list[str]) -> int:
    given = {name: body.integer(name) for name in ("max_completion_tokens", "max_tokens")}
    limits = {name: value for name, value in given.items() if value is not None}
    for name, value in limits.items():
        if value < 1:
            raise bad(name, "must be at least 1")
    if len(set(limits.values())) > 1:
        notices.append("option_changed: max_tokens: the smaller of max_tokens and max_completion_tokens counts")
    return min(*limits.values(), INT32_MAX) if limits else 0


def _stop(body: Fields) -> list[str]:
    stop = body.value("stop")
    if stop is None:
        return []
    found = [stop] if isinstance(stop, str) else stop
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise bad("stop", "must be a string or a list of strings")
    return [str(item) for item in found]


def _thinking(body: Fields, notices: list[str]) -> inference_pb2.Thinking:
    wish, effort = body.inner("thinking"), body.text("reasoning_effort")
    if effort is not None and effort not in _EFFORTS:
        raise bad("reasoning_effort", f"must be one of {', '.join(_EFFORTS)}")
    level = _EFFORTS[effort] if effort else inference_pb2.THINKING_UNSPECIFIED
    if wish is None:
        return level
    kind = wish.required("type", wish.text("type"))
    notices += [f"option_ignored: {wish.where(name)}" for name in wish.unread()]
    if kind == "disabled":
        return inference_pb2.THINKING_OFF
    if kind not in ("enabled", "auto", "adaptive"):
        raise bad("thinking.type", "must be enabled or disabled")
    return level or inference_pb2.THINKING_HIGH


def _read_format(body: Fields, options: inference_pb2.GenerationOptions, notices: list[str]) -> None:
    wish = body.inner("response_format")
    if wish is None:
        return
    kind = wish.required("type", wish.text("type"))
    if kind == "json_schema":
        wrapper = wish.required("json_schema", wish.inner("json_schema"))
        schema = wrapper.inner("schema")
        if schema is not None:
            options.json_schema = as_json(wrapper.value("schema"))
        notices.append("option_changed: response_format: the schema is told to the model, which may still err")
    elif kind not in ("text", "json_object"):
        raise bad("response_format.type", "must be text, json_object or json_schema")
    if kind != "text":
        options.response_format = inference_pb2.RESPONSE_FORMAT_JSON_OBJECT


def _labels(body: Fields, user_key: bytes) -> dict[str, str]:
    labels: dict[str, str] = {}
    metadata = body.inner("metadata")
    values = body.value("metadata") if metadata is not None else None
    for name, value in values.items() if isinstance(values, dict) else ():
        if not isinstance(value, str):
            raise bad(f"metadata.{name[:64]}", "must be a string")
        labels[name] = value
    for name in _USERS:
        user = body.text(name)
        if user:
            labels[name] = user_digest(user, user_key)
    return labels


def _read_stream_options(body: Fields, notices: list[str]) -> None:
    options = body.inner("stream_options")
    if options is None:
        return
    options.flag("include_usage")
    options.flag("include_obfuscation")
    notices += [f"option_ignored: {options.where(name)}" for name in options.unread()]


def _refuse(body: Fields) -> None:
    count = body.integer("n")
    if count not in (None, 1):
        raise bad("n", "must be 1: there is one answer to each request")
    if body.value("modalities") not in (None, ["text"]):
        raise bad("modalities", "must be text")
    for name, reason in _REFUSED.items():
        if body.value(name):
            raise bad(name, reason)


def _ignore(body: Fields, notices: list[str]) -> None:
    for name, reason in _NO_EFFECT.items():
        value = body.value(name)
        if value is not None and value not in _HARMLESS.get(name, ()):
            notices.append(f"option_ignored: {name}: {reason}")
    notices += [f"option_ignored: {name[:64]}: is not known here" for name in body.unread()]
