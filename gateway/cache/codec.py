"""A complete answer as bytes and back (pure). Nothing in the bytes can run; other versions are refused.

version (1 byte) ‖ length (4) ‖ facts as JSON ‖ length (4) ‖ text ‖ length (4) ‖ reasoning ‖ length (4) ‖ refusal
"""

import json
from dataclasses import asdict

from gateway.cache import KnownAnswer, Miss
from gateway.domain.events import ProviderUsage, SearchEvent, SearchStatus, Source

VERSION = 1
_PARTS = 4
Json = dict[str, object]


def encode(answer: KnownAnswer) -> bytes:
    """The bytes of an answer."""
    facts = {
        "events": answer.events,
        "usage": None if answer.usage is None else asdict(answer.usage),
        "model": answer.model,
        "served_by": answer.served_by,
        "stored_at": answer.stored_at,
        "fresh_until": answer.fresh_until,
        "canary": answer.canary,
        "searches": [_search(event) for event in answer.searches],
        "sources": [_source(source) for source in answer.sources],
    }
    parts = (json.dumps(facts, separators=(",", ":")), answer.text, answer.reasoning, answer.refusal)
    framed = [bytes((VERSION,))]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        framed += (len(data).to_bytes(4, "big"), data)
    return b"".join(framed)


def decode(value: bytes) -> KnownAnswer:
    """The answer in these bytes. Raises Miss for anything that `encode` did not write."""
    if not value or value[0] != VERSION:
        raise Miss("version")
    parts, place = [], 1
    for _ in range(_PARTS):
        end = place + 4 + int.from_bytes(value[place : place + 4], "big")
        parts.append(value[place + 4 : end])
        place = end
    if place != len(value):
        raise Miss("torn")
    try:
        texts = [part.decode("utf-8", "surrogatepass") for part in parts]
        return _answer(json.loads(texts[0]), *texts[1:])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Miss("garbled") from None


# From here on: what JSON holds, in the shapes that `encode` wrote; another shape raises what `decode` expects.


def _answer(facts: Json, text: str, reasoning: str, refusal: str) -> KnownAnswer:
    usage = facts["usage"]
    return KnownAnswer(
        text=text,
        reasoning=reasoning,
        refusal=refusal,
        events=_whole(facts["events"]),
        usage=None if usage is None else ProviderUsage(**{k: _whole(v) for k, v in _table(usage).items()}),
        model=_text(facts["model"]),
        served_by=_text(facts["served_by"]),
        stored_at=_number(facts["stored_at"]),
        fresh_until=_number(facts["fresh_until"]),
        canary=_text(facts["canary"]),
        searches=tuple(_read_search(_table(event)) for event in _list(facts["searches"])),
        sources=tuple(_read_source(_table(source)) for source in _list(facts["sources"])),
    )


def _search(event: SearchEvent) -> Json:
    return {**_flat(asdict(event)), "status": event.status.value, "sources": [_source(s) for s in event.sources]}


def _source(source: Source) -> Json:
    return {**_flat(asdict(source)), "content_sha256": source.content_sha256.hex(), "flags": list(source.flags)}


def _flat(fields_of: Json) -> Json:
    return {name: value for name, value in fields_of.items() if not isinstance(value, bytes | tuple)}


def _read_search(raw: Json) -> SearchEvent:
    sources = tuple(_read_source(_table(source)) for source in _list(raw["sources"]))
    kept = {**raw, "status": SearchStatus(raw["status"]), "sources": sources}
    return SearchEvent(**kept)  # type: ignore[arg-type]  # a name that is none of its fields raises TypeError


def _read_source(raw: Json) -> Source:
    digest, flags = bytes.fromhex(_text(raw["content_sha256"])), tuple(map(_text, _list(raw["flags"])))
    kept = {**raw, "content_sha256": digest, "flags": flags}
    return Source(**kept)  # type: ignore[arg-type]  # as above


def _table(value: object) -> Json:
    if not isinstance(value, dict):
        raise TypeError("no table")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("no whole number")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise TypeError("no number")
    return float(value)  # type: ignore[arg-type]  # held against both types above
