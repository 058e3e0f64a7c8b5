"""Where each sentence of an answer comes from, by its citations; pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.text import sentence_spans
from gateway.v1 import content_pb2

_BULLET = re.compile(r"^(?:[-*+•]|#{1,6}|\d{1,3}[.)])\s+")
WEAKEST_FIRST = (
    content_pb2.SUPPORT_NOT_FOUND,
    content_pb2.SUPPORT_PARTLY,
    content_pb2.SUPPORT_UNCHECKED,
    content_pb2.SUPPORT_STATED,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the sources it names, none if it names none.

    `support` is that of its weakest citation, 0 without one; `evidence` the words of the source that come closest.
    """

    text: str
    source_ids: tuple[str, ...] = ()
    support: "content_pb2.Support" = content_pb2.SUPPORT_UNSPECIFIED
    evidence: str = ""


def sentences_of(answer: bytes, citations: Iterable[content_pb2.Citation]) -> list[Sentence]:
    """The sentences of an answer in order, each with what its citations say; a mere rule is none."""
    text, cited = answer.decode(errors="replace"), list(citations)
    found, place, offset = [], 0, 0
    for start, end in sentence_spans(text):
        offset += len(text[place:start].encode())
        first, offset, place = offset, offset + len(text[start:end].encode()), end
        if re.search(r"\w", text[start:end]):
            here = [one for one in cited if one.start < offset and one.end > first]
            found.append(_sentence(_BULLET.sub("", text[start:end]), here))
    return found


def _sentence(text: str, cited: Sequence[content_pb2.Citation]) -> Sentence:
    if not cited:
        return Sentence(text)
    weakest = min(cited, key=lambda one: WEAKEST_FIRST.index(one.support) if one.support in WEAKEST_FIRST else 2)
    names = dict.fromkeys(name for one in cited for name in one.source_ids)
    return Sentence(text, tuple(names), weakest.support, weakest.evidence)
