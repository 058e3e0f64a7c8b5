"""An HTML page with everything taken out that a reader would not see, and what else of it is data: tables, dates.

Hidden by attribute, inline style, well-known class or a rule of the page's own style sheet; comments, scripts,
alternative texts and metadata go with it. What is left may be given to any extractor.
"""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from gateway.domain.extraction import Table
from gateway.search.dates import moment
from gateway.search.html_text import HIDING_STYLE, UNSEEN_TAGS, is_hidden, refuse_deep
from gateway.search.outline import single_line, visible

MAX_TABLES, MAX_ROWS, MAX_CELLS = 50, 1_000, 100
MAX_RULES = 500

_RULE = re.compile(r"([^{}]{1,500})\{([^{}]{0,2000})\}")
_SELECTOR = re.compile(r"[a-zA-Z0-9]*(?:[.#][\w-]+)+")
_MEDIA = re.compile(r"@[a-z-]+[^{};]{0,300}\{")
_KEPT_ATTRIBUTES = frozenset({"colspan", "rowspan", "id", "lang"})
_DATED = (
    *('meta[property="article:published_time"]', 'meta[name="date"]', 'meta[itemprop="datePublished"]'),
    *('meta[name="pubdate"]', "time[datetime]"),
)


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A page as a reader sees it: its `<title>`, its HTML without what is hidden, its tables, its date."""

    title: str
    html: str
    tables: tuple[Table, ...]
    published: float | None


def shown(text: str) -> ShownPage:
    """What a page shows. Raises UnreadableFileError for nesting that would make a parser slow."""
    refuse_deep(text)
    tree = LexborHTMLParser(text)
    published = _published(tree)
    head = tree.css_first("head > title")
    title = single_line(visible(head.text())) if head is not None else ""
    for node in _hidden(tree):
        node.decompose()
    body = tree.body
    if body is None:
        return ShownPage(title, "", (), published)
    _strip_attributes(body)
    tables = tuple(_table(node) for node in body.css("table")[:MAX_TABLES] if not node.css("table table"))
    return ShownPage(title, f"<html><body>{body.html or ''}</body></html>", _not_empty(tables), published)


def _hidden(tree: LexborHTMLParser) -> list[LexborNode]:
    """Outermost hidden nodes, comments and elements nobody reads; collected first, removed afterwards."""
    doomed = {node.mem_id: node for selector in _hiding_selectors(tree) for node in _selected(tree, selector)}
    found: list[LexborNode] = []
    node = tree.body
    top = node
    while node is not None:
        inside = node.first_child
        if node != top and _goes(node, doomed):
            found.append(node)
            inside = None
        if inside is not None:
            node = inside
            continue
        while node is not None and node != top and node.next is None:
            node = node.parent
        node = None if node is None or node == top else node.next
    return found


def _goes(node: LexborNode, doomed: dict[int, LexborNode]) -> bool:
    if node.is_text_node:
        return False
    return not node.is_element_node or (node.tag or "") in UNSEEN_TAGS or is_hidden(node) or node.mem_id in doomed


def _hiding_selectors(tree: LexborHTMLParser) -> list[str]:
    """Selectors of the page's own style sheets that hide what they select; those for print only do not count."""
    found: list[str] = []
    for style in tree.css("style"):
        for selectors, declarations in _RULE.findall(_without_blocks(style.text() or ""))[:MAX_RULES]:
            if HIDING_STYLE.search("".join(declarations.lower().split())):
                found += [one.strip() for one in selectors.split(",") if _SELECTOR.fullmatch(one.strip())]
    return found[:MAX_RULES]


def _without_blocks(style: str) -> str:
    """A style sheet without its at-rules that have a block."""
    while (found := _MEDIA.search(style)) is not None:
        depth, place = 1, found.end()
        while depth and place < len(style):
            depth += {"{": 1, "}": -1}.get(style[place], 0)
            place += 1
        style = style[: found.start()] + style[place:]
    return style


def _selected(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    try:
        return tree.css(selector)
    except (SelectolaxError, ValueError):
        return []


def _strip_attributes(body: LexborNode) -> None:
    """Alternative texts, titles, labels and addresses are not what the page says."""
    for node in body.css("*"):
        for name in list(node.attributes):
            if name not in _KEPT_ATTRIBUTES:
                del node.attrs[name]


def _published(tree: LexborHTMLParser) -> float | None:
    for selector in _DATED:
        node = tree.css_first(selector)
        if node is not None:
            written = node.attributes.get("content") or node.attributes.get("datetime") or ""
            found = moment(written[:40])
            if found is not None:
                return found
    return None


def _table(node: LexborNode) -> Table:
    caption = node.css_first("caption")
    rows: list[tuple[str, ...]] = []
    header: tuple[str, ...] = ()
    for line in node.css("tr")[:MAX_ROWS]:
        cells = [cell for cell in line.iter() if cell.tag in ("td", "th")][:MAX_CELLS]
        texts = tuple(text for cell in cells for text in (_text(cell), *[""] * (_span(cell) - 1)))
        if not rows and not header and cells and all(cell.tag == "th" for cell in cells):
            header = texts
        elif any(texts):
            rows.append(texts)
    return Table(tuple(rows), header, _text(caption) if caption is not None else "")


def _span(cell: LexborNode) -> int:
    written = cell.attributes.get("colspan") or "1"
    return min(int(written), MAX_CELLS) if written.isdecimal() and written != "0" else 1


def _text(node: LexborNode) -> str:
    return " ".join(visible(node.text(separator=" ")).split())


def _not_empty(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """A table of one column or one cell is layout, not data."""
    return tuple(table for table in tables if table.rows and max(map(len, (*table.rows, table.header))) > 1)
