"""Answers a question by quoting: picks, orders and marks the sentences of the sources that answer it best; pure.

A sentence's worth is the share of the question's terms it holds, weighted by how rare each is (idf) and helped by
the title of its source, an answer of the asked kind (a date, a number, a person) and its place; sentences that
repeat a chosen one are passed over (maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from gateway.domain.events import Source
from gateway.domain.text import mostly_cjk, sentences, terms

MAX_QUOTES = 6
MAX_SENTENCES_PER_SOURCE = 400
MAX_QUOTE_CHARS = 500
_ANSWERS, _CLOSE, _NEAR_BEST = 0.5, 0.3, 0.65
_SAME = 0.55
_REDUNDANCY = 0.3
_FLAGGED = 0.6


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# What a question of a kind asks with, and what a sentence of that kind holds.
_KINDS = (
    (
        _any(r"\bwhen\b|\bwhat (?:year|date|day|time)\b", "什么时候|何时|哪一?年|哪天|几月|日期|时间"),
        _any(
            r"\b(?:1[0-9]|20)\d{2}\b|\d{1,2}[:月日]|(?:1[0-9]|20)\d{2}\s?年",
            r"\b(?:january|february|march|april|june|july|august|september|october|november|december)\b",
            r"\b(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b",
        ),
    ),
    (
        _any(
            r"\bhow (?:many|much|long|far|big|large|old|tall|high|fast|often)\b",
            "多少|多[大高长久远快重]|几[个次种位天]",
        ),
        _any(
            r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|billion)\b",
            "[一二三四五六七八九十百千万]个",
        ),
    ),
    (
        _any(r"\bwho(?:m|se)?\b", "谁|哪位|什么人"),
        re.compile(
            r"\b[A-Z][a-z]+(?: [A-Z][a-z.]+)+|\bby [A-Z]|由.{1,12}(?:创|建|写|开发|发明|设计)"
            r"|[\u4e00-\u9fff]{2,4}(?:创立|创建|发明)"
        ),
    ),
)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)|<?\bhttps?://[^\s<>）)]+>?|\bwww\.\S+")
_MARKUP = re.compile(r"^[\s#>*+|•·-]+|\s*\|+$|(?<=[.,;:!?。，])\[\d{1,3}\]")
_EMPHASIS = re.compile(r"(\*\*|__|``?)(?=\S)([^*`\n]+?)(?<=\S)\1")
_NO_SENTENCE = _any(
    r"\b(?:we|site) uses? cookies|accept (?:all )?cookies|cookie (?:policy|settings)|subscribe to (?:our|the)",
    r"newsletter|all rights reserved|copyright ©|©|privacy policy|terms of (?:use|service)|click here|read more\b",
    r"skip to (?:main|content)|share (?:this|on) |sign in to (?:your|continue)|log in to (?:your|continue)",
    "版权所有|登录后(?:查看|阅读)|点击(?:关注|阅读|下载)|分享到|扫码|关注我们|阅读全文|返回顶部",
)
# Words that say how to answer, not about what: an answer need not repeat them.
_VAGUE = frozenset(
    terms(
        "work explain describe compare define list mean happen thing way kind type example difference "
        "detail information overview summary introduction versus vs best good read learn "
        "介绍 解释 说明 比较 对比 区别 方法 情况 工作"
    )
)
# An answer often has another word of the same group than the question.
_ALIKE = tuple(
    frozenset(terms(group))
    for group in (
        "create creator found founder invent inventor start begin began develop establish author built build"
        " 创立 成立 创建 创办 创始 发明 开发 建立",
        "release publish launch announce introduce issue 发布 推出 上线 公布",
        "cost price fee pay 价格 费用 售价 收费",
        "headquarters based located location 总部 位于 地址",
    )
)


class Fit(Enum):
    """How well the sources answer the question."""

    ANSWERED = 1
    CLOSE = 2
    UNANSWERED = 3


@dataclass(frozen=True, slots=True)
class Quote:
    """One sentence of a source, links and markup taken off."""

    text: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Extract:
    """What is quoted, in the order of reading, and how well it fits the question."""

    fit: Fit
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    source: Source
    rank: int
    place: int
    terms: frozenset[str]
    worth: float = 0.0
    share: float = 0.0


def extract(question: str, sources: Sequence[Source], max_quotes: int = MAX_QUOTES) -> Extract:
    """The best sentences of the sources for the question; none when nothing of the evidence is about it."""
    asked = frozenset(terms(question))
    read = [sentence for rank, source in enumerate(sources) for sentence in _read(source, rank)]
    foreign = not any(mostly_cjk(sentence.text) == mostly_cjk(question) for sentence in read)
    if foreign:
        # Words of another script cannot meet; names and numbers can.
        asked = frozenset(term for term in asked if term.isascii())
    if not asked or not read:
        return Extract(Fit.UNANSWERED)
    weights = _weights(asked, read)
    judged = [_judged(sentence, question, weights) for sentence in read]
    best = max(sentence.share for sentence in judged)
    if best < _CLOSE:
        return Extract(Fit.UNANSWERED)
    chosen = _chosen([s for s in judged if s.share >= max(_CLOSE, _NEAR_BEST * best)], max_quotes)
    quotes = tuple(Quote(sentence.text, sentence.source.source_id) for sentence in _in_order(chosen))
    return Extract(Fit.ANSWERED if best >= _ANSWERS and not foreign else Fit.CLOSE, quotes)


def _read(source: Source, rank: int) -> Iterable[_Sentence]:
    seen = sentences(source.passage or source.snippet)[:MAX_SENTENCES_PER_SOURCE]
    for place, raw in enumerate(seen):
        text = plain(raw)
        known = frozenset(terms(text))
        if len(known) >= 3 and len(text) <= MAX_QUOTE_CHARS and not _NO_SENTENCE.search(text):
            yield _Sentence(text, source, rank, place, known)


def plain(text: str) -> str:
    """A sentence without links, images, markup and reference numbers: what is quoted leads nowhere."""
    without_links = _LINK.sub(lambda found: (found.group(1) or "") if found.group().startswith("[") else "", text)
    return " ".join(_MARKUP.sub("", _EMPHASIS.sub(r"\2", without_links)).split())


def _weights(asked: frozenset[str], read: Sequence[_Sentence]) -> dict[str, float]:
    """Per question term the square root of BM25's idf, ln(1 + (n - df + 0.5) / (df + 0.5)), over the sentences.

    A term that no sentence holds weighs most: evidence that never names it does not answer the question. The root
    keeps it from weighing everything, for a page about the thing may still be the closest there is.
    """
    held = Counter(term for sentence in read for term in sentence.terms & asked)
    rare = {term: math.log(1 + (len(read) - held[term] + 0.5) / (held[term] + 0.5)) for term in asked}
    return {term: 0.2 if term in _VAGUE else max(0.2, math.sqrt(weight)) for term, weight in rare.items()}


def _judged(sentence: _Sentence, question: str, weights: dict[str, float]) -> _Sentence:
    title = frozenset(terms(sentence.source.title))
    total = sum(weights.values())
    said = sum(weight * _holds(term, sentence.terms) for term, weight in weights.items()) / total
    titled = sum(weight for term, weight in weights.items() if term in title - sentence.terms) / total
    share = said + 0.6 * titled * (said > 0)
    if _is_of_the_kind(question, sentence.text):
        # A date or a name answers only as far as the sentence is about what was asked.
        share += 0.25 * min(1.0, said / 0.35)
    worth = share + 0.05 / (1 + sentence.rank) + 0.05 / (1 + sentence.place) - 0.1 * (len(sentence.terms) > 45)
    return replace(sentence, worth=worth * (_FLAGGED if sentence.source.flags else 1), share=share)


def _holds(term: str, known: frozenset[str]) -> float:
    """1 for the term itself, 0.7 for another word of its group, else 0."""
    if term in known:
        return 1.0
    return 0.7 if any(term in group and group & known for group in _ALIKE) else 0.0


def _is_of_the_kind(question: str, text: str) -> bool:
    return any(asks.search(question) and answers.search(text) for asks, answers in _KINDS)


def _chosen(candidates: list[_Sentence], most: int) -> list[_Sentence]:
    chosen: list[_Sentence] = []
    left = sorted(candidates, key=lambda sentence: -sentence.worth)
    while left and len(chosen) < most:
        best = max(left, key=lambda sentence: sentence.worth - _REDUNDANCY * _nearest(sentence, chosen))
        chosen.append(best)
        left = [sentence for sentence in left if sentence is not best and _nearest(sentence, chosen) < _SAME]
    return chosen


def _nearest(sentence: _Sentence, chosen: Sequence[_Sentence]) -> float:
    """The largest share of common terms (Jaccard) with what is chosen."""
    return max((len(sentence.terms & c.terms) / len(sentence.terms | c.terms) for c in chosen), default=0.0)


def _in_order(chosen: Sequence[_Sentence]) -> list[_Sentence]:
    """Source by source, the one with the best sentence first; within a source as it was written."""
    best: dict[str, float] = {}
    for sentence in chosen:
        name = sentence.source.source_id
        best[name] = max(best.get(name, 0.0), sentence.worth)
    return sorted(chosen, key=lambda s: (-best[s.source.source_id], s.source.source_id, s.place))
