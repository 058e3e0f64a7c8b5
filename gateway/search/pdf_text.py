"""PDF into text, page by page; what a file's metadata says of itself is not text and is not read."""

import io
import re
import zlib

import pypdf
from pypdf.errors import DependencyError, PyPdfError

from gateway.search.outline import Document, Outline, UnreadableFileError, visible
from gateway.search.plain_text import MAX_TITLE_LINE, unwrap

MAX_PAGES = 2_000
MAX_CHARACTERS = 20_000_000

# A damaged file reaches every corner of a parser: besides its own errors pypdf 7.1 lets these through.
BROKEN = (
    *(PyPdfError, DependencyError, zlib.error, OSError, EOFError, ValueError, LookupError, TypeError),
    *(AttributeError, ArithmeticError, RecursionError, NotImplementedError, AssertionError),
)
_PARAGRAPH = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


def read_pdf(content: bytes, fallback_title: str) -> Document:
    """The document of a PDF, one section a page. Raises UnreadableFileError."""
    try:
        pages = _pages(content)
    except BROKEN as error:
        raise UnreadableFileError("broken PDF; save it again from the program that made it") from error
    if not any(page.strip() for page in pages):
        raise UnreadableFileError("PDF without text, perhaps a scan; run text recognition on it first")
    outline = Outline(title=_first_line(pages))
    for number, page in enumerate(pages, start=1):
        outline.heading(2, f"Page {number}", f"page={number}")
        for paragraph in _PARAGRAPH.split(_HYPHENATED.sub("", page)):
            outline.block(unwrap(paragraph.strip().split("\n")))
    return outline.document(fallback_title)


def open_pdf(content: bytes) -> pypdf.PdfReader:
    """The reader of a PDF. Raises UnreadableFileError, and any of BROKEN for a damaged file."""
    reader = pypdf.PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableFileError("encrypted PDF; save a copy without a password")
    if len(reader.pages) > MAX_PAGES:
        raise UnreadableFileError(f"PDF with more than {MAX_PAGES} pages; split it")
    return reader


def page_text(page: pypdf.PageObject, *, layout: bool = False) -> str:
    """The text of one page; with `layout`, spaces keep what stands side by side apart."""
    return str(page.extract_text(extraction_mode="layout" if layout else "plain"))


def _pages(content: bytes) -> list[str]:
    reader = open_pdf(content)
    pages: list[str] = []
    left = MAX_CHARACTERS
    for page in reader.pages:
        text = visible(page_text(page))
        left -= len(text)
        if left < 0:
            raise UnreadableFileError(f"PDF with more than {MAX_CHARACTERS} characters of text; split it")
        pages.append(text)
    return pages


def _first_line(pages: list[str]) -> str:
    """The first line of the first page, if it is short enough to be a title."""
    line = next((line.strip() for line in pages[0].split("\n") if line.strip()), "")
    return line if len(line) <= MAX_TITLE_LINE else ""
