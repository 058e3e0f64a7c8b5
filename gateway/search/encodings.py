"""Pure: bytes of a text file to text: by mark, UTF-8, declaration, and then by the likelier of two guesses."""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"<meta[^>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})|<\?xml[^>]+encoding=[\"']([\w.:-]+)"
)
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_DECLARATION_BYTES = 2_048
_SNIFFED_BYTES = 8_192


def is_binary(content: bytes) -> bool:
    """Whether this is no text: it has NUL bytes and no mark of an encoding that may have them."""
    return not any(content.startswith(mark) for mark, _ in _MARKS) and b"\0" in content[:_SNIFFED_BYTES]


def decode(content: bytes, *, markup: bool = False, charset: str = "") -> str:
    """The text; never fails. `charset` is what a server said; `markup` lets a declaration say the encoding."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    declared = _declared(content) if markup else ""
    for encoding in filter(
        None, (_wider(charset), "utf-8", declared, "gb18030" if _looks_gb18030(content) else "")
    ):
        text = _tried(content, encoding)
        if text is not None:
            return text
    text = _tried(content, "cp1252")
    return content.decode("latin-1") if text is None else text


def _declared(content: bytes) -> str:
    found = _DECLARED.search(content[:_DECLARATION_BYTES])
    return _wider((found[1] or found[2]).decode("ascii", "replace")) if found else ""


def _wider(name: str) -> str:
    """The encoding that browsers read for a name: pages say gb2312 or latin-1 and mean more."""
    name = name.strip().lower()
    if name in {"gb2312", "gbk", "gb_2312-80"}:
        return "gb18030"
    return "cp1252" if name in {"iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"} else name


def _tried(content: bytes, encoding: str) -> str | None:
    try:
        text = codecs.decode(content, encoding)
    except (UnicodeError, LookupError):
        return None
    return text if isinstance(text, str) else None


def _looks_gb18030(content: bytes) -> bool:
    """Chinese bytes come in pairs, so in runs of even length; accented letters mostly come alone."""
    runs = [len(run) for run in _HIGH_RUN.findall(content)]
    return sum(length for length in runs if length > 1) > 0.8 * sum(runs)
