"""One document as data: what is in a page, PDF or text when somebody reads it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `header` is empty where it has none, a missing cell is an empty string."""

    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a document shows. `pages` counts those of a PDF and is 0 for others.

    `content_sha256` is the digest of the bytes as received; `published` in seconds since the epoch.
    """

    title: str
    text: str
    tables: tuple[Table, ...] = ()
    key_points: tuple[str, ...] = ()
    mime_type: str = ""
    content_sha256: bytes = b""
    pages: int = 0
    published: float | None = None
