"""What a terminal shows of a turn: frames in, text out. Pure; `ask` and `chat` do the writing.

The answer goes to standard output, with its sources and one line of facts; what goes on meanwhile (searches, the
queue, reasoning) goes to standard error. Text from outside cannot move the cursor or hide itself.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.commands.columns import cut, padded, width
from gateway.commands.provenance import Sentence, sentences_of
from gateway.v1 import content_pb2, inference_pb2

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDING = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_NUMBER = re.compile(r"[0-9]+")
_QUOTE_COLUMNS = 70
_LABELS = {
    content_pb2.SUPPORT_STATED: "STATED",
    content_pb2.SUPPORT_PARTLY: "PARTLY",
    content_pb2.SUPPORT_NOT_FOUND: "NOT FOUND",
}
_COLOURS = {"STATED": 32, "PARTLY": 33, "NOT FOUND": 31}

_FINISH_HINTS = {
    inference_pb2.FINISH_LENGTH: "the answer was cut at its token limit: allow more with --max-tokens",
    inference_pb2.FINISH_CONTENT_FILTER: "the model's content filter ended the answer",
    inference_pb2.FINISH_LIMIT: "a limit of the turn ended the answer",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to write: to standard error when it is an aside, else to standard output."""

    text: str
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal can do. `live` allows asides about what is going on; `terminal` is whether the answer
    is read on one, where control characters must not get through. `searches` is known when every question is to be
    searched for. `provenance` says after an answer where each of its sentences comes from."""

    colour: bool = False
    live: bool = False
    terminal: bool = False
    reasoning: bool = False
    searches: bool = False
    provenance: bool = False
    columns: int = 80

    def dim(self, text: str) -> str:
        """The text, dimmed where colours are allowed."""
        return f"\x1b[2m{text}\x1b[22m" if self.colour and text else text

    def tinted(self, text: str, colour: int | None) -> str:
        """The text in one of the terminal's own colours, where they are allowed."""
        return f"\x1b[{colour}m{text}\x1b[39m" if self.colour and colour else text


class AnswerView:
    """The view of one turn: `begin` it, `show` each frame in order, then `close` it when the stream failed."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._last = "\n"
        self._thinking = False
        self._sources: dict[str, content_pb2.Source] = {}
        self._citations: list[content_pb2.Citation] = []
        self._late: list[content_pb2.Citation] = []
        self._notices: list[inference_pb2.Notice] = []
        self._answer = bytearray()

    def begin(self) -> list[Piece]:
        """What to write while the first frame is waited for."""
        return self._live("searching") if self._look.searches else []

    def show(self, frame: inference_pb2.ServerFrame) -> list[Piece]:
        """What to write for this frame."""
        match frame.WhichOneof("frame"):
            case "accepted":
                return self._queue(frame.accepted)
            case "search":
                return self._search(frame.search)
            case "delta":
                return self._delta(frame.delta)
            case "citation":
                return self._citation(frame.citation)
            case "notice":
                self._notices.append(frame.notice)
            case "end":
                return self._end(frame.end)
        return []

    def close(self) -> list[Piece]:
        """Ends the line that was begun, when no further frame comes."""
        return [*self._done_thinking(), *self._line_end()]

    def _queue(self, accepted: inference_pb2.Accepted) -> list[Piece]:
        return self._live(f"waiting, number {accepted.queue_position}") if accepted.queue_position else []

    def _search(self, event: inference_pb2.SearchEvent) -> list[Piece]:
        self._sources.update({source.source_id: source for source in event.sources})
        return self._live(search_line(event)) if not self._answer else []

    def _live(self, line: str) -> list[Piece]:
        line = cut(f"· {line}", self._look.columns)
        return [Piece(self._look.dim(line) + "\n", aside=True)] if self._look.live else []

    def _delta(self, delta: inference_pb2.Delta) -> list[Piece]:
        pieces = []
        if delta.reasoning and self._look.reasoning:
            self._thinking = True
            pieces.append(Piece(self._look.dim(self._safe(delta.reasoning)), aside=True))
        text = delta.text + delta.refusal
        if text:
            pieces += self._done_thinking()
            pieces.append(Piece(self._safe(text)))
            self._last = text[-1]
        self._answer += delta.text.encode()
        return pieces

    def _done_thinking(self) -> list[Piece]:
        thinking, self._thinking = self._thinking, False
        return [Piece("\n\n", aside=True)] if thinking else []

    def _citation(self, citation: content_pb2.Citation) -> list[Piece]:
        """A mark stands where its span ends; once more text was written, it can only be listed below."""
        self._citations.append(citation)
        if citation.end != len(self._answer):
            self._late.append(citation)
            return []
        self._last = "]"
        return [Piece(self._look.dim("".join(f"[{number(name)}]" for name in citation.source_ids)))]

    def _end(self, end: inference_pb2.TurnEnd) -> list[Piece]:
        below = [*self._source_lines(), *(f"note: {one_line(notice.message)}" for notice in self._notices)]
        if end.finish in _FINISH_HINTS:
            below.append(f"note: {_FINISH_HINTS[end.finish]}")
        blocks = ["\n".join(below), "\n".join(self._provenance()), self._look.dim(facts_line(end))]
        text = "".join(f"\n{block}\n" for block in blocks if block)
        return [*self.close(), Piece(text)]

    def _source_lines(self) -> list[str]:
        lines = []
        for source in sorted(self._sources.values(), key=lambda source: (len(source.source_id), source.source_id)):
            lines += source_lines(source, self._look.columns)
            late = [] if self._look.provenance else self._late
            lines += [
                self._look.dim(f"    on “{self._quote(citation)}”")
                for citation in late
                if source.source_id in citation.source_ids
            ]
        return lines

    def _provenance(self) -> list[str]:
        """One line for each sentence: the sources it names, what the check of it gave, and how it begins."""
        if not self._look.provenance or not self._citations:
            return []
        sentences = sentences_of(bytes(self._answer), self._citations)
        marks = ["".join(f"[{number(name)}]" for name in sentence.source_ids) for sentence in sentences]
        room = max(map(width, marks))
        return ["Where each sentence comes from:"] + [
            line
            for sentence, mark in zip(sentences, marks, strict=True)
            for line in self._sentence_lines(sentence, padded(mark, room))
        ]

    def _sentence_lines(self, sentence: Sentence, mark: str) -> list[str]:
        label = _LABELS.get(sentence.support, "UNCHECKED") if sentence.source_ids else "no source"
        before = f"{mark}  {padded(label, 9)}  "
        room = max(20, self._look.columns - width(before))
        told = self._look.tinted(label, _COLOURS.get(label)) + " " * (9 - width(label))
        lines = [f"{mark}  {told}  {cut(one_line(sentence.text), room)}"]
        if sentence.evidence and label != "STATED":
            says = cut(f"the source: {one_line(sentence.evidence)}", room)
            lines.append(" " * width(before) + self._look.dim(says))
        return lines

    def _quote(self, citation: content_pb2.Citation) -> str:
        words = one_line(self._answer[citation.start : citation.end].decode(errors="replace"))
        return cut(words, _QUOTE_COLUMNS)

    def _line_end(self) -> list[Piece]:
        last, self._last = self._last, "\n"
        return [] if last == "\n" else [Piece("\n")]

    def _safe(self, text: str) -> str:
        return printable(text) if self._look.terminal else text


def printable(text: str) -> str:
    """The text without the control characters by which it could command a terminal; line breaks stay."""
    return _CONTROLS.sub("", text)


def one_line(text: str) -> str:
    """The text on one line, without characters that hide or turn what follows."""
    return _HIDING.sub("", printable(" ".join(text.split())))


def number(source_id: str) -> str:
    """`1` for `S1`; another id as it is."""
    found = _NUMBER.search(source_id)
    return found[0] if found else one_line(source_id)


def source_lines(source: content_pb2.Source, columns: int = 80) -> list[str]:
    """`[1] title — url (date)`, the address on a line of its own where one line is too short for all of it."""
    title, url = one_line(source.title), one_line(source.url)
    date = f" ({_date(source)})" if source.HasField("published") else ""
    mark = f"[{number(source.source_id)}] "
    whole = mark + (f"{title} — {url}" if title and url else title or url) + date
    if width(whole) <= columns or not (title and url):
        return [whole]
    return [mark + cut(title, columns - width(mark) - width(date)) + date, f"    {url}"]


def search_line(event: inference_pb2.SearchEvent) -> str:
    """What a provider found, and in which time."""
    who = one_line(event.provider)
    took = f"{event.took.seconds + event.took.nanos / 1e9:.1f} s"
    match event.status:
        case inference_pb2.SEARCH_STATUS_FAILED:
            return f"{who}: failed after {took}{_because(event.detail)}"
        case inference_pb2.SEARCH_STATUS_SKIPPED:
            return f"{who}: skipped{_because(event.detail)}"
    if who == "pages":
        return f"pages: read in {took}{_because(event.detail)}"
    count = len(event.sources)
    when = "in the cache" if event.from_cache else f"in {took}"
    return f"{who}: found {count} source{'' if count == 1 else 's'} {when}{_because(event.detail)}"


def facts_line(end: inference_pb2.TurnEnd) -> str:
    """Model, finish, tokens, cost and receipt of a turn, on one line."""
    usage = end.usage
    about = "about " if usage.basis == content_pb2.USAGE_BASIS_ESTIMATED else ""
    facts = [
        one_line(end.model),
        inference_pb2.Finish.Name(end.finish).removeprefix("FINISH_").lower().replace("_", " "),
        "degraded" if end.degraded else "",
        f"{about}{usage.prompt_tokens} tokens in, {usage.completion_tokens} out",
        dollars(usage.cost_nano_usd),
        f"receipt {end.receipt_id}" if end.receipt_id else "",
    ]
    return " · ".join(fact for fact in facts if fact)


def dollars(nano_usd: int) -> str:
    """Money exactly, with at least two decimals: 12000 nano-USD are $0.000012."""
    whole, part = divmod(abs(nano_usd), 1_000_000_000)
    decimals = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano_usd < 0 else ''}${whole}.{decimals}"


def _because(detail: str) -> str:
    return f": {one_line(detail)}" if detail else ""


def _date(source: content_pb2.Source) -> str:
    return datetime.fromtimestamp(source.published.seconds, UTC).date().isoformat()
