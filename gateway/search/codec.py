"""Pure: lists of hits and pages as bytes and back, for what lies outside of this process.

JSON, so that nothing in it can run. Reading is strict: another shape, a text that is too long, an address that is
none of the web raise ValueError, for whoever can write there must not be able to put anything else in a prompt.
"""

import json
from collections.abc import Sequence
from math import isfinite

from gateway.domain.extraction import Extraction
from gateway.search import Hit, reader_frames
from gateway.search.reader_frames import LENGTH
from gateway.search.urls import is_web

VERSION = 1
MAX_HITS = 200
MAX_TEXT = 60_000
MAX_PAGE_CHARS = 1_000_000


def encode_hits(hits: Sequence[Hit]) -> bytes:
    """The bytes of a list of hits."""
    rows = [[hit.url, hit.title, hit.snippet, hit.passage, hit.published, hit.score] for hit in hits]
    return json.dumps([VERSION, rows], separators=(",", ":")).encode("ascii")


def decode_hits(value: bytes) -> list[Hit]:
    """The hits in these bytes. Raises ValueError for anything that `encode_hits` never writes."""
    rows = _versioned(value)
    if not isinstance(rows, list) or len(rows) > MAX_HITS:
        raise ValueError("no list of hits")
    return [_hit(row) for row in rows]


def encode_page(page: Extraction, paid_as: str) -> bytes:
    """The bytes of a page, and of the name that it was paid under."""
    return json.dumps([VERSION, [paid_as, reader_frames.reply(page)[LENGTH.size :].decode("ascii")]]).encode(
        "ascii"
    )


def decode_page(value: bytes) -> tuple[Extraction, str]:
    """The page in these bytes. Raises ValueError for anything that `encode_page` never writes."""
    match _versioned(value):
        case [str(paid_as), str(frame)]:
            page = reader_frames.parse(frame.encode("ascii"))
        case _:
            raise ValueError("no page")
    if isinstance(page, str) or len(page.text) > MAX_PAGE_CHARS:
        raise ValueError("no page")
    return page, paid_as


def _versioned(value: bytes) -> object:
    try:
        found = json.loads(value)
    except RecursionError as error:
        raise ValueError("too deep") from error
    match found:
        case [int(version), content] if version == VERSION and not isinstance(version, bool):
            return content
    raise ValueError("another version")


def _hit(row: object) -> Hit:
    match row:
        case [
            str(url),
            str(title),
            str(snippet),
            str(passage),
            float() | int() | None as published,
            float() as score,
        ]:
            hit = Hit(url, title, snippet, passage, None if published is None else float(published), score)
        case _:
            raise ValueError("no hit")
    texts_fit = all(len(text) <= MAX_TEXT for text in (url, title, snippet, passage))
    numbers_fit = isfinite(score) and (hit.published is None or isfinite(hit.published))
    if not (texts_fit and numbers_fit and is_web(url)):
        raise ValueError("no hit")
    return hit
