"""Pure: the sentences that say most about a document, in its own words and order."""

import math
from collections import Counter

from gateway.domain.text import sentences, terms

MAX_POINTS = 5
MIN_CHARS, MAX_CHARS = 25, 400
MAX_SENTENCES = 2_000
SAME = 0.6

_TITLE_SHARE = 0.5
_FIRST_SHARE = 0.25


def key_points(title: str, text: str, most: int = MAX_POINTS) -> tuple[str, ...]:
    """At most `most` sentences: those whose words the document repeats, its title's and its beginning's first.

    The weight of a sentence is the mean of its words' (log of their count in the document), so that a long one has
    no advantage; a sentence that mostly repeats a chosen one is left out.
    """
    found = [said for said in sentences(text) if MIN_CHARS <= len(said) <= MAX_CHARS and _is_prose(said)]
    found = list(dict.fromkeys(found))[:MAX_SENTENCES]
    words = [frozenset(terms(said)) for said in found]
    counts = Counter(word for each in words for word in each)
    named = frozenset(terms(title))
    order = sorted(range(len(found)), key=lambda n: (-_weight(words[n], counts, named, n, len(found)), n))
    chosen: list[int] = []
    for place in order:
        if len(chosen) == most:
            break
        if len(words[place]) >= 3 and not any(_same(words[place], words[other]) for other in chosen):
            chosen.append(place)
    return tuple(found[place] for place in sorted(chosen))


def _weight(said: frozenset[str], counts: Counter[str], named: frozenset[str], place: int, total: int) -> float:
    if not said:
        return 0.0
    common = sum(math.log(counts[word]) for word in said) / len(said)
    titled = _TITLE_SHARE * len(said & named) / (len(named) or 1)
    return common + titled + _FIRST_SHARE * (1 - place / total)


def _same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) > SAME * len(one | other)


def _is_prose(said: str) -> bool:
    """Whether it is a sentence rather than a row of a table or a menu."""
    return " | " not in said and sum(letter.isalpha() for letter in said) > 0.6 * len(said.replace(" ", ""))
