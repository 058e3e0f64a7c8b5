"""Writes an extract out as an answer, honest about what it is, in pieces the size of a word; pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.events import Finish, Source
from gateway.domain.text import CJK, mostly_cjk, token_weight
from gateway.models.extract import Extract, Fit, extract

# A word with what clings to it, white space after it included; of CJK text two characters; a mark is never cut.
_PIECE = re.compile(
    rf"\[S\d+\]\s*|[{CJK}]{{1,2}}(?:[^\w\s\[]|\[(?!S\d))*(?:\[S\d+\])*\s*"
    rf"|[^\s{CJK}\[]+(?:\[S\d+\])*\s*|\[|\s+"
)


@dataclass(frozen=True, slots=True)
class _Words:
    """The sentences around the quotes, in one language."""

    answered: str
    close: str
    unanswered: str
    nothing: str
    no_question: str


_WHAT_I_AM = "I am the gateway's embedded reader, not a language model: I can only quote what a search finds."
_ENGLISH = _Words(
    answered="These sentences are quoted from the sources word for word; no language model wrote this answer.",
    close="The sources do not answer this directly. The sentences that come closest, quoted word for word:",
    unanswered="The sources that were found do not answer this question, so nothing is quoted. " + _WHAT_I_AM,
    nothing=f"There is no source to quote from. {_WHAT_I_AM} "
    "Ask for a search, add documents to the index, or choose a language model.",
    no_question=f"There is no question in words. {_WHAT_I_AM}",
)
_WHAT_I_AM_ZH = "我是网关内置的摘录程序，不是语言模型，只能引用检索到的原文。"
_CHINESE = _Words(
    answered="以下句子逐字引自检索到的来源，并非由语言模型撰写。",
    close="检索到的来源没有直接回答这个问题。下面逐字引用其中最接近的句子：",
    unanswered=f"检索到的来源没有回答这个问题，因此没有可以引用的内容。{_WHAT_I_AM_ZH}",
    nothing=f"没有可以引用的来源。{_WHAT_I_AM_ZH}请开启搜索、把文档加入索引，或选择一个语言模型。",
    no_question=f"没有收到文字问题。{_WHAT_I_AM_ZH}",
)


def compose(question: str, sources: Sequence[Source]) -> str:
    """The whole answer: an honest line, then one quoted sentence per line, each with the mark of its source."""
    words = _CHINESE if mostly_cjk(question) else _ENGLISH
    if not question.strip():
        return words.no_question
    if not sources:
        return words.nothing
    found = extract(question, sources)
    match found.fit:
        case Fit.UNANSWERED:
            return words.unanswered
        case Fit.CLOSE:
            return f"{words.close}\n\n{_list(found)}"
        case Fit.ANSWERED:
            return f"{words.answered}\n\n{_list(found)}"


def _list(found: Extract) -> str:
    return "\n".join(f"- {quote.text}[{quote.source_id}]" for quote in found.quotes)


def pieces(text: str) -> list[str]:
    """The text in pieces the size of a word; joined they are the text again."""
    return _PIECE.findall(text)


def bounded(text: str, max_tokens: int, stop: Iterable[str]) -> tuple[list[str], Finish]:
    """The pieces up to the first stop string (left out) or the last that fits into `max_tokens`, and why it ends.

    Tokens are estimated (`token_weight`); 0 = no bound.
    """
    ends = [place for place in (text.find(word) for word in stop if word) if place >= 0]
    text = text[: min(ends)] if ends else text
    kept: list[str] = []
    used = 0.0
    for piece in pieces(text):
        used += token_weight(piece)
        if max_tokens and used > max_tokens:
            return kept, Finish.LENGTH
        kept.append(piece)
    return kept, Finish.STOP
