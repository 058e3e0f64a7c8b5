"""HTML into what a browser would show: no hidden elements, comments, scripts, head or alternative texts.

The walk is a loop, not a recursion, so that deep nesting costs time in proportion and never the stack.
"""

import html
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from gateway.search.outline import BlockKind, Document, Outline, UnreadableFileError, single_line

_UNSEEN = """
    head script style template noscript noembed noframes iframe object embed applet canvas svg math
    audio video datalist select option textarea meta link map area
"""
UNSEEN_TAGS = frozenset(_UNSEEN.split())
_FURNITURE_TAGS = frozenset(("nav", "footer", "form"))
_FURNITURE_ROLES = frozenset(("navigation", "search", "banner", "contentinfo"))
_HIDING_CLASSES = frozenset(
    ("hidden", "d-none", "invisible", "sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text")
)
HIDING_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0(?:\.0*)?(?:;|%|!|$)|content-visibility:hidden"
    r"|font-size:0(?:\.0*)?(?:[a-z%]*)(?:;|!|$)|(?:^|;)(?:max-)?(?:width|height):0(?:px)?(?:;|!|$)"
    r"|(?:left|top|right|bottom|text-indent|margin-left|margin-top):-\d{3,}|(?:^|;)color:transparent"
    r"|clip:rect\((?:0(?:px)?[, ]?){4}\)|clip-path:inset\((?:50|100)%"
)
_BLOCKS = """
    address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure
    footer form header hgroup hr li main nav ol p section summary table tbody td tfoot th thead tr
    ul caption
"""
_BLOCK_TAGS = frozenset(_BLOCKS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"[ \t\r\n\f]+")
_TAG = re.compile(r"<[a-zA-Z!/?]")
# A `<` that begins no tag; a browser would take all up to the next `>` for one, Markdown takes it for itself.
_STRAY = re.compile(
    r"<(?!!--|[a-zA-Z/!?](?:[^<>\"']{0,500}+(?:\"[^\"]{0,2000}+\"|'[^']{0,2000}+')){0,50}+[^<>\"']{0,500}+>)"
)
# Elements that need their end tag; the others end by themselves and do not nest by neglect.
_NESTING = re.compile(r"</?(?!(?:p|li|td|th|tr|dt|dd|br|hr|img|input|meta|link|col|source|wbr|option)\b)[a-zA-Z]")

MAX_NESTING = 20_000

ENTER, TEXT, LEAVE = "enter", "text", "leave"


def read_html(text: str, fallback_title: str) -> Document:
    """The document an HTML page shows: `<main>` or the only `<article>` where there is one, else the body.

    Raises UnreadableFileError for nesting that would make the parser slow.
    """
    refuse_deep(text)
    tree = LexborHTMLParser(text)
    outline = Outline()
    if (title := tree.css_first("head > title")) is not None:
        outline.title = single_line(title.text())
    root = _root(tree)
    if root is not None:
        _Reader(outline).read(root)
    return outline.document(fallback_title)


def refuse_deep(text: str) -> None:
    """Raises UnreadableFileError for deep nesting: the parser's time grows with the square of the depth."""
    if sum(-1 if tag[1] == "/" else 1 for tag in _NESTING.findall(text)) > MAX_NESTING:
        raise UnreadableFileError("HTML elements nested too deeply")


def strip_html(text: str) -> str:
    """Text with some HTML in it (Markdown), its white space kept and its markup read as a browser reads it."""
    if not _TAG.search(text):
        return html.unescape(text)
    text = _STRAY.sub("&lt;", text)
    refuse_deep(text)
    body = LexborHTMLParser(f"<body><pre>\n\n{text}").body
    return "" if body is None else "".join(_shown(body))


def _shown(body: LexborNode) -> Iterator[str]:
    for step, node in _visible(body, UNSEEN_TAGS):
        if step == TEXT:
            yield node.text_content or ""
        elif node.tag == "br" and step == ENTER:
            yield "\n"
        elif node.tag in _BLOCK_TAGS or node.tag in _HEADINGS:
            yield "\n\n"


def _root(tree: LexborHTMLParser) -> LexborNode | None:
    found = tree.css("main") or tree.css("article")
    return found[0] if len(found) == 1 and _is_shown(found[0]) else tree.body


def _is_shown(node: LexborNode | None) -> bool:
    """Whether neither the element nor anything around it is hidden."""
    while node is not None and node.is_element_node:
        if node.tag in UNSEEN_TAGS or is_hidden(node):
            return False
        node = node.parent
    return True


def _visible(root: LexborNode, unseen: frozenset[str]) -> Iterator[tuple[str, LexborNode]]:
    """Every visible node below `root` in reading order; elements are told when they begin and when they end."""
    node: LexborNode | None = root.first_child
    depth = 1
    while node is not None:
        descend = False
        if node.is_text_node:
            yield TEXT, node
        elif node.is_element_node and node.tag not in unseen and not is_hidden(node):
            yield ENTER, node
            descend = node.first_child is not None
            if not descend:
                yield LEAVE, node
        if descend:
            node, depth = node.first_child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
            if depth == 0 or node is None:
                return
            yield LEAVE, node
        node = node.next if node is not None else None


def is_hidden(node: LexborNode) -> bool:
    """Whether the element itself says that nobody is to see it, or that it is there to find the way about."""
    attributes = node.attributes
    if "hidden" in attributes or (node.tag == "dialog" and "open" not in attributes):
        return True
    if not attributes:
        return False
    if (attributes.get("role") or "").lower() in _FURNITURE_ROLES:
        return True
    if not _HIDING_CLASSES.isdisjoint((attributes.get("class") or "").lower().split()):
        return True
    style = "".join((attributes.get("style") or "").lower().split())
    return bool(HIDING_STYLE.search(style))


class _Reader:
    """Turns the walk into headings and blocks; `_held` is the text of the block that is still growing."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._held: list[str] = []
        self._pre = 0
        self._cells: list[str] | None = None
        self._rows: list[str] = []

    def read(self, root: LexborNode) -> None:
        for step, node in _visible(root, UNSEEN_TAGS | _FURNITURE_TAGS):
            if step == TEXT:
                self._held.append(node.text_content or "")
            elif step == ENTER:
                self._enter(node.tag or "")
            else:
                self._leave(node)
        self._flush()

    def _enter(self, tag: str) -> None:
        match tag:
            case "br":
                self._held.append("\n" if self._pre else "\v")
            case "pre":
                self._flush()
                self._pre += 1
            case "tr":
                self._flush()
                self._cells = []
            case "li":
                self._flush()
                self._held.append("- ")
            case _ if tag in _BLOCK_TAGS or tag in _HEADINGS:
                self._flush()

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        match tag:
            case "pre":
                self._outline.block("".join(self._held), BlockKind.CODE)
                self._held = []
                self._pre -= 1
            case "td" | "th" if self._cells is not None:
                self._cells.append(self._text().replace("\n", " "))
            case "tr":
                self._rows.append(" | ".join(self._cells or ()))
                self._cells = None
            case "table":
                self._outline.block("\n".join(row for row in self._rows if row.strip(" |")), BlockKind.TABLE)
                self._rows = []
            case _ if tag in _HEADINGS:
                # Generators put a sign that links to the heading behind its words.
                self._outline.heading(
                    _HEADINGS[tag], self._text().rstrip("¶§ "), (node.attributes or {}).get("id") or ""
                )
            case _ if tag in _BLOCK_TAGS:
                self._flush()

    def _text(self) -> str:
        text = _SPACE.sub(" ", "".join(self._held))
        self._held = []
        return "\n".join(line.strip() for line in text.split("\v")).strip()

    def _flush(self) -> None:
        """Ends the block; inside a table cell it only ends a line."""
        if self._pre:
            return
        if self._cells is not None:
            if self._held:
                self._held.append(" ")
            return
        text = self._text()
        if text != "-":
            self._outline.block(text)
