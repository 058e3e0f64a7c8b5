"""Reads one document whole: HTML by trafilatura after a pass that hides nothing, PDF with its tables, plain text.

It runs in the worker process of `reader`, where a hostile document can waste time and memory of nobody else.
"""

import hashlib
import re

import trafilatura

from gateway.domain.extraction import Extraction, Table
from gateway.search.cleaning import MAX_CHARS, clean, clean_line
from gateway.search.encodings import decode, is_binary
from gateway.search.html_text import read_html, strip_html
from gateway.search.key_points import key_points
from gateway.search.layout_tables import MAX_TABLES, layout_tables
from gateway.search.markdown import read_markdown
from gateway.search.outline import Document, UnreadableFileError, visible
from gateway.search.pdf_text import BROKEN, open_pdf, page_text, read_pdf
from gateway.search.plain_text import read_text
from gateway.search.reader_frames import HTML, KINDS, MARKDOWN, PDF, PLAIN
from gateway.search.shown_html import shown

MAX_TEXT_CHARS = 1_000_000
MAX_TABLE_PAGES = 200

_MARKUP = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body|title|meta"
    rb"|div|p|h[1-6]|table|article|main|section|ul|ol|a|span)\b",
    re.IGNORECASE | re.DOTALL,
)


def read(content: bytes, mime_type: str = "", charset: str = "") -> Extraction:
    """What a document shows. Raises UnreadableFileError, whose message says what can be done.

    A PDF is one by its first bytes, whatever is said of it; an empty media type is decided by them.
    """
    kind = kind_of(content, mime_type)
    if kind != PDF and is_binary(content):
        raise UnreadableFileError("is binary; only HTML, PDF, Markdown and plain text are read")
    pages, published = 0, None
    match kind:
        case "application/pdf":
            title, text, tables, pages = _pdf(content)
        case "text/html" | "application/xhtml+xml":
            title, text, tables, published = _html(decode(content, markup=True, charset=charset))
        case _:
            written = visible(decode(content, charset=charset))
            document = read_markdown(written, "", strip_html) if kind == MARKDOWN else read_text(written, "")
            title, text = _named(document), _joined(document)
            tables = layout_tables(written) if kind == PLAIN else ()
    text = _cleaned(text)
    if not text and not tables:
        raise UnreadableFileError("shows no text")
    title = clean_line(title)
    return Extraction(
        title=title,
        text=text,
        tables=tables,
        key_points=key_points(title, text),
        mime_type=kind,
        content_sha256=hashlib.sha256(content).digest(),
        pages=pages,
        published=published,
    )


def kind_of(content: bytes, mime_type: str) -> str:
    """The media type by which a document is read: its first bytes first, then what was said of it."""
    if content.startswith(b"%PDF-"):
        return PDF
    if mime_type in KINDS and mime_type != PDF:
        return mime_type
    return HTML if _MARKUP.match(content[:4_096]) else PLAIN


def _html(text: str) -> tuple[str, str, tuple[Table, ...], float | None]:
    page = shown(text)
    found = trafilatura.extract(
        page.html, include_comments=False, include_tables=True, favor_recall=True, output_format="txt"
    )
    # Short pages and lists are no article to trafilatura; then the whole page is read as it stands.
    whole = read_html(page.html, page.title or "Untitled")
    plain = _joined(whole)
    body = found if found and len(found) >= min(250, len(plain) // 3) else plain
    return page.title or _named(whole), body, page.tables, page.published


def _pdf(content: bytes) -> tuple[str, str, tuple[Table, ...], int]:
    document = read_pdf(content, "")
    try:
        reader = open_pdf(content)
        tables = [
            table
            for page in reader.pages[:MAX_TABLE_PAGES]
            for table in layout_tables(visible(page_text(page, layout=True)))
        ]
        return _named(document), _joined(document), tuple(tables[:MAX_TABLES]), len(reader.pages)
    except BROKEN as error:
        raise UnreadableFileError("is a broken PDF; save it again from the program that made it") from error


def _named(document: Document) -> str:
    return "" if document.title == "Untitled" else document.title


def _joined(document: Document) -> str:
    """The text of a document in reading order, headings in lines of their own."""
    lines: list[str] = []
    shown_path: tuple[str, ...] = ()
    for section in document.sections:
        if section.path != shown_path and section.path and not re.fullmatch(r"Page \d+", section.path[-1]):
            lines.append(section.path[-1])
        shown_path = section.path
        lines += [block.text for block in section.blocks]
    return "\n".join(lines)


def _cleaned(text: str) -> str:
    """Cleaned in pieces that end with a line, as cleaning keeps no more than 60,000 characters of each."""
    text, pieces = text[:MAX_TEXT_CHARS], []
    while text:
        end = len(text) if len(text) <= MAX_CHARS // 2 else text.rfind("\n", 1, MAX_CHARS // 2)
        end = end if end > 0 else MAX_CHARS // 2
        pieces.append(clean(text[:end]))
        text = text[end:]
    return "\n".join(piece for piece in pieces if piece)
