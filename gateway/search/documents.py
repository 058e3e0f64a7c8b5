"""Files into documents: Markdown, plain text, HTML and PDF, told apart by name and by their first bytes."""

from enum import StrEnum
from pathlib import PurePath

from gateway.search.encodings import decode, is_binary
from gateway.search.html_text import read_html, strip_html
from gateway.search.markdown import read_markdown
from gateway.search.outline import Document, UnreadableFileError, visible
from gateway.search.pdf_text import read_pdf
from gateway.search.plain_text import read_text

MAX_TEXT_BYTES = 10 * 1024 * 1024
MAX_PDF_BYTES = 64 * 1024 * 1024


class FileKind(StrEnum):
    """The classes of files the index reads, in the words of its report."""

    MARKDOWN = "Markdown"
    TEXT = "text"
    HTML = "HTML"
    PDF = "PDF"
    OTHER = "other"


_KINDS = {
    FileKind.MARKDOWN: (".md", ".markdown", ".mdown", ".mkd", ".mdx"),
    FileKind.TEXT: (".txt", ".text", ".rst", ".adoc", ".asciidoc", ".org", ".tex", ""),
    FileKind.HTML: (".html", ".htm", ".xhtml"),
    FileKind.PDF: (".pdf",),
}
_KIND_OF_SUFFIX = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes}


def kind_of(name: str) -> FileKind:
    """The kind a file's name promises; OTHER for a suffix that is none of ours."""
    return _KIND_OF_SUFFIX.get(PurePath(name).suffix.lower(), FileKind.OTHER)


def size_limit(kind: FileKind) -> int:
    """The most bytes a file of this kind may have."""
    return MAX_PDF_BYTES if kind is FileKind.PDF else MAX_TEXT_BYTES


def read_document(name: str, content: bytes) -> Document:
    """The document in a file called `name`. Raises UnreadableFileError.

    A name that promises nothing is read as text, so that a file somebody names on purpose is not refused.
    """
    kind = kind_of(name)
    if content.startswith(b"%PDF-"):
        kind = FileKind.PDF
    if len(content) > size_limit(kind):
        raise UnreadableFileError(f"larger than {size_limit(kind) // (1024 * 1024)} MiB; split it")
    if kind is not FileKind.PDF and is_binary(content):
        raise UnreadableFileError("binary file; only Markdown, text, HTML and PDF are read")
    document = _read(kind, content, _title_of(name))
    if not document.sections:
        raise UnreadableFileError("no text in it")
    return document


def _read(kind: FileKind, content: bytes, title: str) -> Document:
    match kind:
        case FileKind.PDF:
            return read_pdf(content, title)
        case FileKind.HTML:
            return read_html(visible(decode(content, markup=True)), title)
        case FileKind.MARKDOWN:
            return read_markdown(visible(decode(content)), title, strip_html)
        case FileKind.TEXT | FileKind.OTHER:
            return read_text(visible(decode(content)), title)


def _title_of(name: str) -> str:
    """`rate-limits.md` is called "rate limits" until it says better."""
    return PurePath(name).stem.replace("_", " ").replace("-", " ").strip()
