"""Pure: a document into passages a model can read, cut between paragraphs and never across a heading.

Sizes count words; two characters of a script without spaces weigh as much as one word, so the 250 of a passage
are 250 English words or 500 Chinese characters.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from gateway.search.outline import Block, BlockKind, Document, Section

TARGET_WEIGHT = 180
MAX_WEIGHT = 250
MIN_WEIGHT = 40
MAX_WHOLE_WEIGHT = 500

_WEIGHED = re.compile(
    "(?P<unspaced>[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
    "\uf900-\ufaff\U00020000-\U000323af])|[^\\W]+"
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=\S)|(?<=[。！？；])(?=\S)|\n+")
_WORD_PIECE = re.compile(r"\S{1,80}\s*")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document with the headings it stands under, outermost first, and its link fragment."""

    path: tuple[str, ...]
    anchor: str
    text: str


def passages(document: Document) -> tuple[Passage, ...]:
    """All passages of a document, in reading order."""
    return tuple(passage for section in document.sections for passage in _of_section(section))


def weight(text: str) -> int:
    """How much reading a text is, in words."""
    return sum(1 if match["unspaced"] else 2 for match in _WEIGHED.finditer(text)) // 2


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, in order, without the white space between them."""
    return [piece.strip() for piece in _split_keeping_ends(text) if piece.strip()]


def _of_section(section: Section) -> Iterator[Passage]:
    for text in _merge_tail(list(_packed(section.blocks))):
        yield Passage(section.path, section.anchor, text)


def _packed(blocks: tuple[Block, ...]) -> Iterator[str]:
    """Neighbouring blocks together until the next one would not fit."""
    held: list[str] = []
    held_weight = 0
    for piece in (piece for block in blocks for piece in _pieces(block)):
        added = weight(piece)
        if held and (held_weight + added > MAX_WEIGHT or held_weight >= TARGET_WEIGHT):
            yield "\n\n".join(held)
            held, held_weight = [], 0
        held.append(piece)
        held_weight += added
    if held:
        yield "\n\n".join(held)


def _merge_tail(texts: list[str]) -> list[str]:
    """A last passage of a line or two says little alone: it stays with the one before."""
    if len(texts) > 1 and weight(texts[-1]) < MIN_WEIGHT and weight(texts[-2]) <= MAX_WEIGHT:
        return [*texts[:-2], f"{texts[-2]}\n\n{texts[-1]}"]
    return texts


def _pieces(block: Block) -> Iterator[str]:
    """The block whole, or in pieces that each fit."""
    match block.kind:
        case BlockKind.PROSE:
            limit, parts, glue = MAX_WEIGHT, _split_keeping_ends(block.text), ""
        case BlockKind.CODE | BlockKind.TABLE:
            limit, parts, glue = MAX_WHOLE_WEIGHT, block.text.split("\n"), "\n"
    if weight(block.text) <= limit:
        yield block.text
    else:
        yield from _filled(parts, glue)


def _filled(parts: list[str], glue: str) -> Iterator[str]:
    held: list[str] = []
    held_weight = 0
    for part in (small for long in parts for small in _small(long)):
        added = weight(part)
        if held and held_weight + added > MAX_WEIGHT:
            yield glue.join(held).strip("\n")
            held, held_weight = [], 0
        held.append(part)
        held_weight += added
    if held:
        yield glue.join(held).strip("\n")


def _small(part: str) -> list[str]:
    """One sentence, or pieces of it when it is longer than any passage may be."""
    if weight(part) <= MAX_WEIGHT:
        return [part]
    pieces = _WORD_PIECE.findall(part)
    return ["".join(pieces[i : i + 100]) for i in range(0, len(pieces), 100)]


def _split_keeping_ends(text: str) -> list[str]:
    """The text cut after each sentence or line; joined again, nothing is lost."""
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if end > start]
