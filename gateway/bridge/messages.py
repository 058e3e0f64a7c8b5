"""The messages of a chat request as messages of the contract (pure)."""

import binascii
from base64 import b64decode

from gateway.bridge.errors import bad
from gateway.bridge.fields import Fields, as_fields
from gateway.v1 import content_pb2

_ROLES = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_SYSTEM,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
}
_UNSUPPORTED = {
    "prefix": "continuing a message is not offered; send it without prefix",
    "audio": "audio is not offered; send text",
    "function_call": "is the old form; send tool_calls",
}
_TEXTS = {"text", "input_text", "output_text"}


def read_messages(body: Fields, notices: list[str]) -> list[content_pb2.Message]:
    """`messages`, with what has no effect noted. Raises Refused that names what cannot be taken."""
    found = [_message(fields, notices) for fields in body.objects("messages")]
    if not found:
        raise bad("messages", "is missing or empty; send at least one message")
    return found


def _message(fields: Fields, notices: list[str]) -> content_pb2.Message:
    role = fields.required("role", fields.text("role"))
    if role not in _ROLES:
        raise bad(fields.where("role"), f"{role[:32]!r} is none of {', '.join(_ROLES)}")
    for name, advice in _UNSUPPORTED.items():
        if fields.value(name):
            raise bad(fields.where(name), advice)
    message = content_pb2.Message(
        role=_ROLES[role],
        tool_call_id=fields.text("tool_call_id") or "",
        reasoning=fields.text("reasoning_content") or fields.text("reasoning") or "",
        name=fields.text("name") or "",
        refusal=fields.text("refusal") or "",
    )
    if role != "assistant" and message.reasoning:
        raise bad(fields.where("reasoning_content"), "belongs to the role assistant")
    _read_content(fields, message, notices)
    for i, call in enumerate(fields.objects("tool_calls")):
        message.tool_calls.append(_tool_call(call, i))
    # Dify and others send back what an answer of ours holds beside its text: nothing of it concerns the model.
    notices += [f"option_ignored: {fields.where(name)}" for name in fields.unread() if name not in _ANSWERS_OWN]
    return message


_ANSWERS_OWN = {"annotations", "citations", "id", "object", "parsed"}


def _read_content(fields: Fields, message: content_pb2.Message, notices: list[str]) -> None:
    content = fields.value("content")
    match content:
        case None:
            return
        case str():
            message.content = content
        case list():
            parts = [as_fields(item, f"{fields.where('content')}[{i}]") for i, item in enumerate(content)]
            _read_parts(parts, message, notices)
        case _:
            raise bad(fields.where("content"), "must be a string or a list of parts")


def _read_parts(parts: list[Fields], message: content_pb2.Message, notices: list[str]) -> None:
    for part in parts:
        kind = part.required("type", part.text("type"))
        if kind in _TEXTS:
            message.parts.add().text = part.required("text", part.text("text"))
        elif kind == "refusal":
            message.refusal += part.required("refusal", part.text("refusal"))
        elif kind == "image_url":
            _read_image(part, message.parts.add().image, notices)
        else:
            raise bad(part.where("type"), f"{kind[:32]!r} is not offered; send text or image_url")


def _read_image(part: Fields, image: content_pb2.Image, notices: list[str]) -> None:
    value = part.value("image_url")
    fields = Fields({"url": value}, part.where("image_url")) if isinstance(value, str) else part.inner("image_url")
    fields = part.required("image_url", fields)
    url = fields.required("url", fields.text("url"))
    if fields.text("detail") not in (None, "auto"):
        notices.append(f"option_ignored: {fields.where('detail')}: the model decides")
    if not url.startswith("data:"):
        image.url = url
        return
    head, comma, data = url[5:].partition(",")
    mime_type, _, coding = head.partition(";")
    if not comma or coding != "base64":
        raise bad(fields.where("url"), "a data URL must have the form data:image/png;base64,…")
    try:
        image.data = b64decode(data, validate=True)
    except binascii.Error:
        raise bad(fields.where("url"), "holds no valid base64") from None
    image.mime_type = mime_type


def _tool_call(fields: Fields, index: int) -> content_pb2.ToolCall:
    if fields.text("type") not in (None, "function"):
        raise bad(fields.where("type"), "must be function")
    function = fields.required("function", fields.inner("function"))
    return content_pb2.ToolCall(
        index=index,
        call_id=fields.required("id", fields.text("id")),
        name=function.required("name", function.text("name")),
        arguments_json=function.text("arguments") or "",
    )
