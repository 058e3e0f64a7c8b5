"""Pure: the sentence or two of a passage that show why it was found."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

from gateway.search.chunks import sentences
from gateway.search.tokens import terms_of_words, words

MIN_CHARACTERS = 160
MAX_CHARACTERS = 240

_ELLIPSIS = "…"
_WIDE_ENDS = ("。", "！", "？", "；", "”", "」")


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    found: frozenset[str]


def snippet(passage: str, terms: Collection[str]) -> str:
    """At most 240 characters of the passage, around the sentences that hold most different terms of the query.

    The first such place wins; a passage without any of them gives its beginning.
    """
    wanted = frozenset(terms)
    hint = _hint(wanted)
    read = [_Sentence(" ".join(text.split()), _found(text, wanted, hint)) for text in sentences(passage)]
    if not read:
        return ""
    best = max(range(len(read)), key=lambda i: (_worth(read, i), -i))
    first = read[best]
    if len(first.text) > MAX_CHARACTERS:
        return _cut_around(first.text, wanted)
    return _grown(read, best)


def _hint(wanted: frozenset[str]) -> re.Pattern[str]:
    """What an ASCII sentence must have to hold a term: stemming changes a word only at its end."""
    return re.compile("|".join({re.escape(term[: max(2, len(term) - 2)]) for term in wanted}), re.IGNORECASE)


def _found(text: str, wanted: frozenset[str], hint: re.Pattern[str]) -> frozenset[str]:
    if text.isascii() and not hint.search(text):
        return frozenset()
    return wanted.intersection(chain.from_iterable(terms_of_words(text)))


def _worth(read: list[_Sentence], start: int) -> int:
    """How many terms stand in the sentence, and (half as much worth) only in the next one if both fit."""
    own = read[start].found
    follower = read[start + 1] if start + 1 < len(read) else None
    if follower is None or len(read[start].text) + len(follower.text) >= MAX_CHARACTERS:
        return 2 * len(own)
    return 2 * len(own) + len(follower.found - own)


def _grown(read: list[_Sentence], best: int) -> str:
    """The sentence with those after it, then those before it, until it is long enough to be understood."""
    first, last = best, best
    text = read[best].text
    while len(text) < MIN_CHARACTERS:
        if last + 1 < len(read) and len(text) + len(read[last + 1].text) < MAX_CHARACTERS:
            last += 1
            text = _joined(text, read[last].text)
        elif first > 0 and len(text) + len(read[first - 1].text) < MAX_CHARACTERS:
            first -= 1
            text = _joined(read[first].text, text)
        else:
            break
    return text


def _joined(left: str, right: str) -> str:
    """Two sentences; after a full-width full stop no space is written."""
    return left + ("" if left.endswith(_WIDE_ENDS) else " ") + right


def _cut_around(sentence: str, wanted: frozenset[str]) -> str:
    """The part of a long sentence that begins shortly before its first term, cut between words."""
    hit = next((word.start for word in words(sentence) if not wanted.isdisjoint(word.terms)), 0)
    start = max(0, min(hit - MIN_CHARACTERS // 4, len(sentence) - MAX_CHARACTERS + 2))
    if start > 0:
        start = _after_space(sentence, start, hit)
    room = MAX_CHARACTERS - 2
    piece = sentence[start : start + room]
    whole_end = start + room >= len(sentence)
    if not whole_end and (space := piece.rfind(" ", room * 3 // 4)) > 0:
        piece = piece[:space]
    return (_ELLIPSIS if start else "") + piece.strip() + ("" if whole_end else _ELLIPSIS)


def _after_space(sentence: str, start: int, hit: int) -> int:
    space = sentence.find(" ", start, hit)
    return space + 1 if space >= 0 else start
