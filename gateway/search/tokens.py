"""Pure: text to terms, the same way for what is indexed and for what is asked.

Words are folded (NFKC, case, Latin accents) and stemmed. A compound such as `max_tokens`, `v1.2.3` or
`StreamPredict` gives its parts and then itself. Scripts without spaces (Chinese, Japanese, Korean, Thai …) give
overlapping pairs of characters and then the last character alone, so that every character begins some term.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from gateway.search import stop_words
from gateway.search.stemming import stem

MAX_QUERY_CHARACTERS = 2_000
MAX_QUERY_TERMS = 24
MAX_QUERY_PHRASES = 8
MAX_TERM_CHARACTERS = 64
MAX_REMEMBERED_CHARACTERS = 32

# Thai, Lao, Burmese, Khmer; kana; Han with extensions; Hangul; half-width kana.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
_SPACED = rf"[^\W_{_UNSPACED}]+"
_WORD = re.compile(
    rf"(?P<run>[{_UNSPACED}]+)"
    rf"|(?P<word>{_SPACED}(?:(?:_+|[./-]){_SPACED})*)(?:['’](?:s|t|d|m|re|ve|ll)(?![^\W_]))?",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_JOINTS = re.compile(r"_+|[./-]")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ACCENTS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word or an unspaced run of the text: characters `start` to `end`, and the terms it is found by."""

    start: int
    end: int
    terms: tuple[str, ...]
    unspaced: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for: distinct terms, phrases of neighbours that score extra, and prefixes as a last resort.

    `said` are all terms of the question, those included that are too common to look for.
    """

    terms: tuple[str, ...]
    said: frozenset[str] = frozenset()
    phrases: tuple[tuple[str, str], ...] = ()
    prefix: bool = False


def words(text: str) -> Iterator[Word]:
    """The words of the text in order; offsets count characters of `text` as it is given."""
    for match in _WORD.finditer(text):
        if match["run"]:
            terms = _pairs(unicodedata.normalize("NFKC", match["run"]))
            yield Word(match.start(), match.end(), terms, unspaced=True)
        else:
            yield _spaced_word(match)


def terms_of_words(text: str) -> Iterator[tuple[str, ...]]:
    """The terms of each word of the text in order, without where they stand."""
    for match in _WORD.finditer(text):
        if match.lastgroup == "run":
            yield _pairs(unicodedata.normalize("NFKC", match["run"]))
        else:
            yield _spaced_terms(match["word"])


def analyse(text: str) -> list[str]:
    """Every term of the text in order, as the index stores them."""
    return [term for terms in terms_of_words(_plain(text)) for term in terms]


def question(text: str) -> Question:
    """The query for a question in plain words or in keywords; no terms when nothing can be looked for."""
    text = _plain(text[:MAX_QUERY_CHARACTERS])
    asked = list(words(text))
    kept = [word for word in asked if not word.stop] or asked
    bare = [part for word in kept for part in _subject(text, word)]
    long = [word for word in bare if not (word.unspaced and len(word.terms) == 1)]
    chosen = (long or bare)[:MAX_QUERY_TERMS]
    terms = tuple(dict.fromkeys(term for word in chosen for term in _asked_terms(word)))[:MAX_QUERY_TERMS]
    said = frozenset(term for word in asked for term in word.terms)
    return Question(terms, said, _phrases(chosen, frozenset(terms)), prefix=bool(bare) and not long)


def match_expression(asked: Question) -> str:
    """The FTS5 expression: every term and phrase quoted, any of them may match; empty when there is no term.

    Quoting makes each one an FTS5 string (https://www.sqlite.org/fts5.html, section 3.1), so nothing a caller
    writes is read as syntax.
    """
    star = "*" if asked.prefix else ""
    strings = [_quoted(term) + star for term in asked.terms]
    return " OR ".join(strings + [_quoted(" ".join(phrase)) for phrase in asked.phrases])


def _plain(text: str) -> str:
    return _THOUSANDS.sub("", unicodedata.normalize("NFKC", text))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _spaced_word(match: re.Match[str]) -> Word:
    raw = match["word"]
    return Word(match.start(), match.end(), _spaced_terms(raw), stop=raw.lower() in stop_words.ENGLISH)


def _spaced_terms(raw: str) -> tuple[str, ...]:
    """Most words of a text were met before, and splitting and stemming one takes far longer than finding it."""
    return _remembered_terms(raw) if len(raw) <= MAX_REMEMBERED_CHARACTERS else _fresh_terms(raw)


def _fresh_terms(raw: str) -> tuple[str, ...]:
    return _compound(raw) if raw.isascii() else _folded_compound(raw)


_remembered_terms = lru_cache(maxsize=16_384)(_fresh_terms)


def _folded_compound(raw: str) -> tuple[str, ...]:
    """Folding may turn one character into several words (`½`, `㎏`), so what comes out is read again."""
    folded = _ACCENTS.sub("", unicodedata.normalize("NFKD", raw))
    folded = unicodedata.normalize("NFKC", folded)
    pieces = re.findall(rf"{_SPACED}(?:(?:_+|[./-]){_SPACED})*", folded)
    return tuple(term for piece in pieces for term in _compound(piece))


def _compound(word: str) -> tuple[str, ...]:
    """The parts of a word, stemmed, and the word itself when it has more than one part."""
    parts = [hump for part in _JOINTS.split(word) for hump in _humps(part)]
    terms = tuple(stem(part.casefold()[:MAX_TERM_CHARACTERS]) for part in parts)
    whole = word.casefold()
    return (*terms, whole) if len(parts) > 1 and len(whole) <= MAX_TERM_CHARACTERS else terms


def _humps(part: str) -> list[str]:
    """`StreamPredict` is two words; `gRPC` and `OAuth` are one."""
    if not part.isascii() or part.islower() or part.isupper() or part.isdigit():
        return [part]
    humps = _HUMPS.split(part)
    return humps if min(map(len, humps)) > 1 else [part]


def _pairs(run: str) -> tuple[str, ...]:
    return tuple(run[i : i + 2] for i in range(len(run)))


def _subject(text: str, word: Word) -> list[Word]:
    """A Chinese run without its question words, unless nothing else would be left."""
    if not word.unspaced:
        return [word]
    run = text[word.start : word.end]
    pieces = [piece for piece in stop_words.CHINESE.split(run) if piece] or [run]
    return [Word(word.start, word.end, _pairs(piece), unspaced=True) for piece in pieces]


def _asked_terms(word: Word) -> tuple[str, ...]:
    """Without the last character of a run and the one-letter parts of a compound: they would find everything."""
    if word.unspaced:
        return word.terms[:-1] or word.terms
    return tuple(term for term in word.terms if len(term) > 1) or word.terms


def _phrases(chosen: list[Word], known: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Neighbouring terms of the question; a passage that has them side by side says more."""
    found: dict[tuple[str, str], None] = {}
    for word in chosen:
        terms = _asked_terms(word)
        found.update(dict.fromkeys(pairwise(terms)))
    for left, right in pairwise(chosen):
        if right.start - left.end == 1 and not left.unspaced and not right.unspaced:
            found[left.terms[-1], right.terms[0]] = None
    return tuple(pair for pair in found if known.issuperset(pair))[:MAX_QUERY_PHRASES]
