"""Pure: Markdown into what its reader sees: no markup, no comments, no link targets, no image texts.

Raw HTML inside is not judged here: `strip_html` takes the text and gives back what a browser would show of it.
"""

import re
from collections.abc import Callable

from gateway.search.outline import BlockKind, Document, Outline
from gateway.search.plain_text import add_lines

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*['\"]?(.+?)['\"]?[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[^\n]*+\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`++)((?:(?!\n[ \t]*\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
_KEPT = re.compile("\ue000(\\d+)\ue001")
_KEPT_LINE = re.compile("[ \t]*\ue000(\\d+)\ue001[ \t]*")
_PRIVATE = re.compile("[\ue000\ue001]")

_AUTOLINK = re.compile(r"<((?:https?|mailto):[^\s<>]+)>")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t]*\S.*$", re.MULTILINE)
# Labels and targets are bounded and never hold another bracket, so that no text makes the search slow.
_TARGET = r"(?:\([^()\n]{0,2000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)|\[[^\[\]\n]{0,200}\])"
_IMAGE = re.compile(rf"!\[[^\[\]]{{0,1000}}\]{_TARGET}")
_LINK = re.compile(rf"\[([^\[\]]{{0,1000}})\]{_TARGET}")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\n]{1,100}\]:?")
_STRONG = re.compile(r"(\*{1,3}|~~)(?=\S)([^*~\n]+?)(?<=\S)\1")
_UNDERSCORED = re.compile(r"(?<!\w)(_{1,3})(?=\S)((?:[^\n_]|(?<=\w)_(?=\w))+?)(?<=\S)\1(?!\w)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+")
_BULLET = re.compile(r"^([ \t]*)[*+][ \t]+")


def read_markdown(text: str, fallback_title: str, strip_html: Callable[[str], str]) -> Document:
    """The document a Markdown file shows; `fallback_title` names one that has no heading of level 1."""
    outline = Outline()
    if front := _FRONT_MATTER.match(text):
        found = _FRONT_TITLE.search(front[1])
        outline.title = found[1] if found else ""
        text = text[front.end() :]
    kept: list[str] = []
    text = _without_markup(strip_html(_AUTOLINK.sub(r"\1", _set_literals_aside(text, kept))))
    _Reader(outline, kept).read(text.split("\n"))
    return outline.document(fallback_title)


def _set_literals_aside(text: str, kept: list[str]) -> str:
    """Code and escaped characters are shown as written, so they are taken out before anything reads markup."""

    def keep(text: str) -> str:
        kept.append(text)
        return f"\ue000{len(kept) - 1}\ue001"

    text = _FENCE.sub(lambda match: f"\n{keep(match[2])}\n", _PRIVATE.sub("", text))
    text = _CODE_SPAN.sub(lambda match: keep(match[2]), text)
    return _ESCAPED.sub(lambda match: keep(match[1]), text)


def _without_markup(text: str) -> str:
    text = _IMAGE.sub("", _DEFINITION.sub("", text))
    text = _FOOTNOTE.sub("", _LINK.sub(r"\1", text))
    for emphasis in (_STRONG, _STRONG, _UNDERSCORED):
        text = emphasis.sub(r"\2", text)
    return text


class _Reader:
    """Reads lines into an outline; `_held` is the block that is still growing."""

    def __init__(self, outline: Outline, kept: list[str]) -> None:
        self._outline = outline
        self._kept = kept
        self._held: list[str] = []

    def read(self, lines: list[str]) -> None:
        for line in lines:
            self._line(_QUOTE.sub("", line))
        self._flush()

    def _line(self, line: str) -> None:
        if code := _KEPT_LINE.fullmatch(line):
            self._code(self._kept[int(code[1])])
        elif not line.strip():
            self._flush()
        elif heading := _HEADING.fullmatch(line):
            self._flush()
            self._outline.heading(len(heading[1]), self._restored(heading[2] or ""))
        elif len(self._held) == 1 and "|" not in self._held[0] and (under := _UNDERLINE.fullmatch(line)):
            title = self._restored(self._held.pop())
            self._outline.heading(1 if under[1].startswith("=") else 2, title)
        elif _RULE.fullmatch(line):
            self._flush()
        else:
            self._held.append(line)

    def _code(self, code: str) -> None:
        if "\n" in code:
            self._flush()
            self._outline.block(code, BlockKind.CODE)
        else:
            self._held.append(code)

    def _restored(self, text: str) -> str:
        return _KEPT.sub(lambda match: self._kept[int(match[1])], text)

    def _flush(self) -> None:
        lines, self._held = self._held, []
        if len(lines) > 1 and "|" in lines[0] and _TABLE_RULE.fullmatch(lines[1]):
            rows = (" | ".join(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines)
            text = "\n".join(row for number, row in enumerate(rows) if number != 1)
            self._outline.block(self._restored(text), BlockKind.TABLE)
        elif lines:
            add_lines(self._outline, [self._restored(_BULLET.sub(r"\1- ", line)) for line in lines])
