"""Cleans text from outside before anything else reads it: what is invisible or poses as a prompt's own marks goes.

Deterministic and independent of any model. Every pattern is bounded, for the text is a stranger's: no input makes
one slow. Sentences that read like orders stay (`injection.py` reports them).
"""

import re
import unicodedata
from urllib.parse import quote, urlsplit, urlunsplit

MAX_CHARS = 60_000
MAX_LINE_CHARS = 200
MAX_URL_CHARS = 2_000

# `doc:` is the embedded index: a document by its place under an indexed folder.
_LOCAL_SCHEMES = frozenset({"file", "doc"})
_SCHEMES = frozenset({"http", "https"}) | _LOCAL_SCHEMES
# CSI, OSC and two-byte sequences, with ESC or with the single-byte C1 introducers (ECMA-48).
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,40}[ -/]{0,8}[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]{0,200}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{0,8}[0-~]"
)
# Invisible although not in a hidden category: fillers, joiners, variation selectors, Mongolian and Khmer oddities.
_INVISIBLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC, *range(0x180B, 0x1810)]
) | frozenset([*range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000)])
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_LINE_ENDS = str.maketrans({"\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\x0b": "\n", "\x0c": "\n"})
_STACKED_MARKS = re.compile(r"([\u0300-\u036f]{3})[\u0300-\u036f]+")
# NFKC alone would turn 10² into 102 and 1½ into 11⁄2: cleaning must not change a fact.
_SUPERSCRIPT = re.compile(r"(?<=\d)(?=[⁰¹²³⁴-⁹])(?<![⁰¹²³⁴-⁹])")
_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")

TEMPLATE_MARK = re.compile(
    r"""<\s{0,3}\|[^<>|\n]{0,64}\|\s{0,3}>     # <|im_start|>, <|eot_id|>, <|begin▁of▁sentence|> and their family
    | \[\s{0,3}/?\s{0,3}INST\s{0,3}\] | <<\s{0,3}/?\s{0,3}SYS\s{0,3}>>
    | <\s{0,3}/?\s{0,3}(?:s|bos|eos|start_of_turn|end_of_turn|system|assistant|human|developer|instructions?
        |think(?:ing)?|(?:tool|function)[_▁ ]?(?:use|call|response|result|output)s?(?:[_▁ ](?:begin|end|sep))?
        )(?:\s[^<>\n]{0,80})?/?\s{0,3}>
    | ^[ \t]{0,8}\#{3}[ \t]{0,3}(?:instruction|system|assistant|human|user|response)[ \t]{0,3}:""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_OWN_MARK = re.compile(
    r"""<<<?\s{0,3}/?\s{0,3}(?:(?:end\ of|begin|end)\s)?\s{0,3}(?:evidence|sources?)\b[^<>\n]{0,80}>>>?
    | [\[【]\s{0,3}S\s{0,3}[0-9]{1,3}(?:\s{0,3}[,，、;；]\s{0,3}S?\s{0,3}[0-9]{1,3}){0,40}\s{0,3}[\]】]
    | ^[ \t]{0,8}S[0-9]{1,3}[ \t]{0,3}[|│¦]""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)


def clean(text: str) -> str:
    """The visible text: NFKC, nothing invisible, no terminal codes, no marks of chat templates or of our own.

    Cleaning what is clean changes nothing. At most 60,000 characters are kept.
    """
    text = visible(text)
    for _ in range(6):
        bare = _OWN_MARK.sub(" ", TEMPLATE_MARK.sub(" ", text))
        if bare == text:
            return text
        text = visible(bare)
    # Marks nested deeper than honest text ever nests them: no bracket of theirs is left to close one.
    return visible(re.sub(r"[<>\[\]【】|│¦#]+", " ", text))


def clean_line(text: str, limit: int = MAX_LINE_CHARS) -> str:
    """A title or another short text on one line, cleaned and cut to `limit` characters."""
    line = " ".join(clean(text[: 20 * limit]).split())
    # A line that was several may have become a mark: what is joined is cleaned as such.
    return clean(line)[:limit].strip()


def clean_url(url: str) -> str:
    """The address in visible ASCII, percent-encoded; empty when too long or of no web page, document or file."""
    bare = visible(url.strip()[: MAX_URL_CHARS + 1])
    try:
        parts = urlsplit(bare)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return ""
    is_file = parts.scheme in _LOCAL_SCHEMES
    if parts.scheme not in _SCHEMES or not (host or is_file) or len(bare) > MAX_URL_CHARS or "@" in parts.netloc:
        return ""
    rest = (quote(part, safe="%/:=&?~+!$,;@()*-._") for part in (parts.path, parts.query, parts.fragment))
    netloc = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, netloc + port, *rest))


def visible(text: str) -> str:
    """The text as a person would see it: NFKC, line ends as `\\n`, everything hidden gone, spaces in order."""
    text = _ANSI.sub("", text[:MAX_CHARS].replace("\r\n", "\n").replace("\r", "\n")).translate(_LINE_ENDS)
    text = unicodedata.normalize("NFKC", _FRACTION.sub(" ", _SUPERSCRIPT.sub("^", text)))[:MAX_CHARS]
    text = unicodedata.normalize("NFKC", text.translate({ord(char): None for char in hidden(text)}))
    text = _STACKED_MARKS.sub(r"\1", text)[:MAX_CHARS]
    text = re.sub(r"(?<![ \t])[ \t]++(?=\n)", "", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<=\S)[ \t]{2,}", " ", text)).strip()


def hidden(text: str) -> set[str]:
    """Which characters of the text nobody sees: controls, formats, surrogates, private, unassigned, fillers."""
    return {char for char in set(text) if char not in "\n\t" and _is_hidden(char)}


def _is_hidden(char: str) -> bool:
    return ord(char) in _INVISIBLE or unicodedata.category(char) in _HIDDEN_CATEGORIES
