"""Pure: of a whole page, the passages that speak of the question, in reading order."""

import math
from collections import Counter

from gateway.domain.text import sentences, terms, token_weight

MAX_TOKENS = 1_500
PASSAGE_TOKENS = 160
MAX_PASSAGES = 400


def best_passages(text: str, question: str, max_tokens: float = MAX_TOKENS) -> str:
    """The passages of a page that hold most of the question's words, at most `max_tokens` (estimated) of them.

    A word counts the more, the fewer passages have it. A page that shares no word with the question gives its
    beginning. Passages that do not follow each other are separated by an empty line.
    """
    pieces = _pieces(text)[:MAX_PASSAGES]
    wanted = frozenset(terms(question))
    held = [wanted & frozenset(terms(piece)) for piece in pieces]
    spread = Counter(word for words in held for word in words)
    worth = [sum(math.log(1 + len(pieces) / spread[word]) for word in words) for words in held]
    order = sorted(range(len(pieces)), key=lambda n: (-worth[n], n))
    if any(worth):
        order = [n for n in order if worth[n] > 0]
    chosen: list[int] = []
    left = max_tokens
    for place in order:
        cost = token_weight(pieces[place])
        if cost <= left:
            chosen.append(place)
            left -= cost
    return _joined(pieces, sorted(chosen))


def _pieces(text: str) -> list[str]:
    """The page in runs of whole lines of about 160 tokens; a line that is longer is cut between sentences."""
    pieces: list[str] = []
    held: list[str] = []
    size = 0.0
    for line in (part for whole in text.split("\n") if whole.strip() for part in _short(whole.strip())):
        weight = token_weight(line)
        if held and size + weight > PASSAGE_TOKENS:
            pieces.append("\n".join(held))
            held, size = [], 0.0
        held.append(line)
        size += weight
    return [*pieces, "\n".join(held)] if held else pieces


def _short(line: str) -> list[str]:
    if token_weight(line) <= PASSAGE_TOKENS:
        return [line]
    parts: list[str] = []
    for sentence in sentences(line):
        if parts and token_weight(parts[-1]) + token_weight(sentence) <= PASSAGE_TOKENS:
            parts[-1] = f"{parts[-1]} {sentence}"
        else:
            parts += [sentence[i : i + 1_000] for i in range(0, len(sentence), 1_000)]
    return parts


def _joined(pieces: list[str], places: list[int]) -> str:
    text = ""
    for before, place in zip([None, *places], places, strict=False):
        gap = "" if before is None else ("\n" if place == before + 1 else "\n\n")
        text += gap + pieces[place]
    return text
