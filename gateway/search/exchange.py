"""Pure: one call to a vendor as values: what is sent, what came back, and how both are written and read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


class MalformedReplyError(Exception):
    """A reply that is none of the vendor's documented shapes."""


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """One HTTP request. Headers may hold the key, so they never show in a repr."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class VendorReply:
    """One HTTP reply, its body whole and capped. `retry_after` is the header as sent."""

    status: int
    content_type: str
    body: bytes
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the hits a request asks for: page `number` (from 0) of `count` each; `now` since the epoch."""

    number: int
    count: int
    now: float


def post_json(url: str, fields: Mapping[str, object], headers: Mapping[str, str]) -> VendorRequest:
    """A POST of one JSON object; fields that are None stay out."""
    body = json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)
    return VendorRequest("POST", url, {**headers, "Content-Type": "application/json"}, body=body.encode())


def bearer(key: str) -> dict[str, str]:
    """The Authorization header of a key; none for an empty key."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def json_of(reply: VendorReply) -> object:
    """The JSON of a reply. Raises MalformedReplyError for anything else, a deep nest included."""
    try:
        value: object = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise MalformedReplyError("not JSON") from error
    return value


def member(value: object, *path: str) -> object:
    """What lies at `path` of nested JSON objects; None where there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def items(value: object, *path: str) -> list[dict[str, object]]:
    """The objects of the list at `path`; a missing one is empty. Raises MalformedReplyError for no list."""
    found = member(value, *path)
    if found is None:
        return []
    if not isinstance(found, list):
        raise MalformedReplyError(f"{path[-1] if path else 'reply'} is no list")
    return [item for item in found if isinstance(item, dict)]


def text(item: Mapping[str, object], *names: str) -> str:
    """The first of these members that is text with something in it; empty where none is."""
    for name in names:
        value = item.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""
