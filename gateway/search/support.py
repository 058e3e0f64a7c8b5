"""Checks whether a source says what the answer says, by numbers, dates, names and words; pure.

A comparison of wording, not an understanding: STATED means that the facts of the sentence stand together in the
source, not that the source is right. What cannot be compared (another language) stays UNCHECKED.
"""

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from gateway.domain.events import Citation, Source, Support
from gateway.domain.text import fold, mostly_cjk, sentences, terms

MAX_EVIDENCE_CHARS = 300
_STATED, _PARTLY, _PARTLY_CJK = 0.6, 0.3, 0.4
_BEST_FIRST = (Support.STATED, Support.PARTLY, Support.UNCHECKED, Support.NOT_FOUND)
_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr)}
_MONTH = r"(jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_DATES = (
    (re.compile(r"(\d{4})\s?[-/年]\s?(\d{1,2})\s?(?:[-/月]\s?(\d{1,2})(?:\s?日)?|月)"), (1, 2, 3)),
    (re.compile(rf"\b{_MONTH}\s(\d{{1,2}})(?:st|nd|rd|th)?,?\s(\d{{4}})"), (3, 1, 2)),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH},?\s(\d{{4}})"), (3, 2, 1)),
    (re.compile(rf"\b{_MONTH},?\s(\d{{4}})"), (2, 1, 0)),
)
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])\d+(?:,\d{3})*(?:\.\d+)*(?![\d])")
_SCALES: Mapping[str, int] = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "万": 10**4,
    "亿": 10**8,
    "万亿": 10**12,
}
_SCALED = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?)\s?(thousand|million|billion|trillion|万亿|万|亿)")
_SPELLED = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8"}
_NAME = re.compile(
    r"(?<![.!?。！？\n] )(?<!^)\b[A-Z][\w-]*[A-Za-z0-9]\b|\b[A-Za-z]*[A-Z]{2,}\w*\b|《[^》]{1,40}》"
)
_NOT = re.compile(
    r"\b(?:not|no|never|none|nor|cannot|without)\b|n['’]t\b|(?<![是会能可])不(?!同|过|仅|断|久|少|但)|没有|未曾|并非"
)


@dataclass(frozen=True, slots=True)
class _Claims:
    """What of a text can be compared."""

    dates: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    words: frozenset[str]

    @property
    def facts(self) -> frozenset[str]:
        """Everything that must stand in the source exactly: dates, numbers and names."""
        return self.dates | self.numbers | self.names

    def __or__(self, other: "_Claims") -> "_Claims":
        return _Claims(
            self.dates | other.dates,
            self.numbers | other.numbers,
            self.names | other.names,
            self.words | other.words,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """One sentence of a source, or two in a row, and what it claims."""

    text: str
    claims: _Claims


def check(span_text: str, source: Source) -> tuple[Support, str]:
    """Whether `source` says what `span_text` says, and the words of the source that come closest.

    STATED: every number, date and name and most words stand together in one place of the source; PARTLY: only
    some of it does, or one of the two denies it; NOT_FOUND: too little of it does (then the words are empty).
    UNCHECKED when the two are written in different scripts and share no fact.
    """
    return _compare(span_text, source, _places(source))


def checked(citation: Citation, span_text: str, sources: Iterable[Source]) -> Citation:
    """One citation checked against those of `sources` that it names; for many of a turn use SupportChecker."""
    return SupportChecker(sources).check(citation, span_text)


class SupportChecker:
    """Checks the citations of one turn; each source is read once, when it is first cited."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = {source.source_id: source for source in sources}
        self._places: dict[str, list[_Place]] = {}

    def check(self, citation: Citation, span_text: str) -> Citation:
        """The citation with the best support that any of its sources gives, and the words it rests on."""
        found = [self._one(name, span_text) for name in citation.source_ids if name in self._sources]
        if not found:
            return citation
        support, evidence = min(found, key=lambda one: _BEST_FIRST.index(one[0]))
        return replace(citation, support=support, evidence=evidence)

    def _one(self, name: str, span_text: str) -> tuple[Support, str]:
        if name not in self._places:
            self._places[name] = _places(self._sources[name])
        return _compare(span_text, self._sources[name], self._places[name])


def _compare(span_text: str, source: Source, places: list[_Place]) -> tuple[Support, str]:
    claim = _claims(span_text)
    if not claim.facts and not claim.words:
        return Support.UNCHECKED, ""
    best, score, missing = _best_place(claim, _claims(source.title), places)
    denied = bool(_NOT.search(span_text)) != bool(_NOT.search(best))
    evidence = best[:MAX_EVIDENCE_CHARS].rstrip()
    if mostly_cjk(span_text) != mostly_cjk(source.passage or source.snippet):
        return (Support.PARTLY, evidence) if claim.facts and not missing else (Support.UNCHECKED, "")
    if score >= _STATED and not missing and not denied:
        return Support.STATED, evidence
    # A wrong number or date outweighs many right words, a missing name does not; bigrams meet by chance.
    least = _PARTLY_CJK if mostly_cjk(span_text) else _PARTLY
    if score >= (_STATED if missing & (claim.dates | claim.numbers) else least):
        return Support.PARTLY, evidence
    return Support.NOT_FOUND, ""


def _places(source: Source) -> list[_Place]:
    single = [_Place(text, _claims(text)) for text in sentences(source.passage or source.snippet)]
    return single + [_Place(f"{one.text} {two.text}", one.claims | two.claims) for one, two in pairwise(single)]


def _best_place(claim: _Claims, title: _Claims, places: list[_Place]) -> tuple[str, float, frozenset[str]]:
    """The text that holds most of the claim, its share of the words, and the facts it lacks.

    The title counts as said beside every sentence: pages do not repeat what they are about.
    """
    best: tuple[str, float, frozenset[str]] = ("", 0.0, claim.facts)
    best_rank = float("-inf")
    for place in places:
        said = place.claims | title
        words = len(claim.words & said.words) / len(claim.words) if claim.words else 1.0
        missing = claim.facts - said.facts - said.words - _shorter(said.dates)
        rank = words - len(missing) / (1 + len(claim.facts))
        if rank > best_rank:
            best, best_rank = (place.text, words, missing), rank
    return best


def _shorter(dates: Iterable[str]) -> frozenset[str]:
    """A full date also says its month and its year."""
    return frozenset(date.rsplit("-", n)[0] for date in dates for n in range(1, date.count("-") + 1))


def _claims(text: str) -> _Claims:
    plain = fold(text)
    dates, rest = _dates(plain)
    names = frozenset(word for name in _NAME.findall(text) for word in terms(name))
    words = frozenset(word for word in terms(text) if not word[:1].isdigit() and word not in _SCALES)
    return _Claims(frozenset(dates), _numbers(rest), names, words)


def _dates(text: str) -> tuple[set[str], str]:
    """The dates of a folded text as year-month-day, and the text without them."""
    found: set[str] = set()
    for pattern, (year, month, day) in _DATES:
        for match in pattern.finditer(text):
            parts = (match.group(year), _month(match.group(month)), match.group(day) if day else None)
            found.add("-".join(str(int(part)) for part in parts if part))
        text = pattern.sub(" ", text)
    return found, text


def _month(written: str) -> str:
    return written if written.isdigit() else str(_MONTHS[written[:3]])


def _numbers(text: str) -> frozenset[str]:
    """The numbers of a folded text in one spelling: no commas, 3万 as 30000, small ones from words."""
    found: set[str] = set()
    for match in _SCALED.finditer(text):
        found.add(f"{float(match.group(1).replace(',', '')) * _SCALES[match.group(2)]:.10g}")
    for number in _NUMBER.findall(_SCALED.sub(" ", text)):
        plain = number.replace(",", "")
        found.add(f"{float(plain):.10g}" if plain.count(".") < 2 else plain)
    return frozenset(found | {_SPELLED[word] for word in re.findall(r"[a-z]+", text) if word in _SPELLED})
