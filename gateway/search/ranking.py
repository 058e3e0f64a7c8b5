"""Pure: orders what the index found: by BM25, by how much of the question a passage covers, and by variety."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.search.tokens import Question

MAX_PER_DOCUMENT = 2
LEAST_COVERAGE = 0.2
LEAST_SCORE = 0.1

_COVERAGE_SHARE = 0.5
_NAMED_BONUS = 0.6
_SECOND_PASSAGE = 0.7


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that matched: `bm25` is positive, larger is better.

    Title, heading and body are what `tokens.analyse` made of them, joined by spaces.
    """

    passage: int
    document: int
    bm25: float
    title: str
    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage worth showing; the best one of a list has the score 1."""

    passage: int
    score: float


def ranked(candidates: Iterable[Candidate], asked: Question, max_results: int) -> list[Ranked]:
    """At most `max_results` passages, best first, and at most two of one document.

    Left out is what holds less than a fifth of the question, or is worth less than a tenth of the best: a stray
    word is no answer.
    """
    worth = sorted(((_worth(c, asked), -c.passage, c.document) for c in candidates), reverse=True)
    seen: dict[int, int] = {}
    kept: list[Ranked] = []
    for score, passage, document in worth:
        before = seen.get(document, 0)
        seen[document] = before + 1
        if score > 0 and before < MAX_PER_DOCUMENT:
            kept.append(Ranked(-passage, score * _SECOND_PASSAGE**before))
    kept.sort(key=lambda found: (-found.score, found.passage))
    best = kept[0].score if kept else 1.0
    scaled = (Ranked(found.passage, found.score / best) for found in kept)
    return [found for found in scaled if found.score >= LEAST_SCORE][:max_results]


def _worth(candidate: Candidate, asked: Question) -> float:
    text = f" {candidate.title} {candidate.heading} {candidate.body} "
    # A prefix is held by whatever begins with it, and only such passages are candidates.
    coverage = 1.0 if asked.prefix else sum(f" {term} " in text for term in asked.terms) / len(asked.terms)
    if coverage < LEAST_COVERAGE:
        return 0.0
    named = max(_named(candidate.title, asked), _named(candidate.heading, asked))
    return candidate.bm25 * (1 - _COVERAGE_SHARE * (1 - coverage)) * (1 + _NAMED_BONUS * named)


def _named(name: str, asked: Question) -> float:
    """How much of a title or heading the question says, small words included: `What is X?` wants the page `X`."""
    terms = frozenset(name.split())
    return len(terms & asked.said) / len(terms) if terms else 0.0
