"""Pure: what passes between the gateway and its reading process: JSON with its length before it, never code."""

import base64
import json
import struct

from gateway.domain.extraction import Extraction, Table

HTML, XHTML, PDF, PLAIN, MARKDOWN = (
    *("text/html", "application/xhtml+xml", "application/pdf", "text/plain", "text/markdown"),
)
KINDS = (HTML, XHTML, PDF, PLAIN, MARKDOWN)
"""The media types that can be read. They stand here because the gateway itself must not load the readers."""
READY = b"ready\n"
"""What a reading process says first."""
MAX_FRAME_BYTES = 32 * 1024 * 1024
LENGTH = struct.Struct("!I")


def request(content: bytes, mime_type: str, charset: str) -> bytes:
    """One document to be read."""
    head = json.dumps({"mime_type": mime_type, "charset": charset}).encode()
    return LENGTH.pack(len(head)) + head + LENGTH.pack(len(content)) + content


def wishes(head: bytes) -> tuple[str, str]:
    """The media type and charset of a request's head."""
    fields = json.loads(head)
    return str(fields["mime_type"]), str(fields["charset"])


def reply(found: Extraction) -> bytes:
    """A document that was read."""
    fields = {
        "title": found.title,
        "text": found.text,
        "tables": [
            [list(table.header), [list(row) for row in table.rows], table.caption] for table in found.tables
        ],
        "key_points": list(found.key_points),
        "mime_type": found.mime_type,
        "content_sha256": base64.b64encode(found.content_sha256).decode(),
        "pages": found.pages,
        "published": found.published,
    }
    return _framed(fields)


def refusal(why: str) -> bytes:
    """A document that gives no text, and why."""
    return _framed({"unreadable": why})


def parse(frame: bytes) -> Extraction | str:
    """A reply, or why there is none. Raises ValueError for anything that our own worker never sends."""
    try:
        fields = json.loads(frame)
        if "unreadable" in fields:
            return str(fields["unreadable"])
        return Extraction(
            title=str(fields["title"]),
            text=str(fields["text"]),
            tables=tuple(
                Table(tuple(tuple(map(str, row)) for row in rows), tuple(map(str, header)), str(caption))
                for header, rows, caption in fields["tables"]
            ),
            key_points=tuple(map(str, fields["key_points"])),
            mime_type=str(fields["mime_type"]),
            content_sha256=base64.b64decode(fields["content_sha256"]),
            pages=int(fields["pages"]),
            published=None if fields["published"] is None else float(fields["published"]),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a reply of the reading process") from error


def _framed(fields: dict[str, object]) -> bytes:
    # Lone surrogates survive a decoder that replaces errors; JSON escapes them, so the frame is ASCII.
    body = json.dumps(fields).encode("ascii")
    return LENGTH.pack(len(body)) + body
