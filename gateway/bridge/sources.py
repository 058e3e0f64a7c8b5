"""Sources and citations in the forms of HTTP callers: annotations, search results, readable lines (pure)."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from gateway.v1 import content_pb2

_BLANKS = re.compile(r"\s+")
MAX_TITLE = 200


class Sources:
    """The sources of one answer and the spans that rest on them, in characters of the text as it was sent.

    The contract counts bytes of the answer alone; `added` tells of text that the bridge put between.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, content_pb2.Source] = {}
        self._citations: list[content_pb2.Citation] = []
        self._numbers: dict[str, int] = {}
        self._added: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def found(self, sources: Iterable[content_pb2.Source]) -> None:
        """Sources that the model was shown."""
        self._by_id.update({source.source_id: source for source in sources})

    def cite(self, citation: content_pb2.Citation) -> None:
        """One more citation, in the order of the answer."""
        self._citations.append(citation)
        for source_id in citation.source_ids:
            if source_id in self._by_id:
                self._numbers.setdefault(source_id, len(self._numbers) + 1)

    def mark(self, citation: content_pb2.Citation) -> str:
        """The readable mark of a citation, to be added at its end: ` [1][2]`."""
        numbers = [self._numbers[i] for i in dict.fromkeys(citation.source_ids) if i in self._numbers]
        text = "".join(f"[{number}]" for number in numbers)
        if not text:
            return ""
        self._added.append((citation.end, len(text) + 1))
        return f" {text}"

    def lines(self) -> str:
        """The cited sources, or all of them where none is cited, as lines to stand below the answer."""
        cited = [self._by_id[source_id] for source_id in self._numbers]
        listed = cited or list(self._by_id.values())
        lines = [f"[{number}] {_readable(source)}" for number, source in enumerate(listed, 1)]
        return "\n\nSources:\n" + "\n".join(lines) if lines else ""

    def annotations(self, answer: bytes) -> list[dict[str, object]]:
        """`url_citation` objects, one for each source of each citation; `answer` is its text as UTF-8."""
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": self._character(answer, citation.start, inclusive=True),
                    "end_index": self._character(answer, citation.end, inclusive=False),
                    "url": self._by_id[source_id].url,
                    "title": self._by_id[source_id].title,
                },
            }
            for citation in self._citations
            for source_id in citation.source_ids
            if source_id in self._by_id
        ]

    def results(self) -> list[dict[str, object]]:
        """Every source, as `search_results`."""
        return [result(source) for source in self._by_id.values()]

    def _character(self, answer: bytes, offset: int, *, inclusive: bool) -> int:
        before = sum(n for place, n in self._added if place < offset or (inclusive and place == offset))
        return len(answer[:offset].decode("utf-8", "replace")) + before


def result(source: content_pb2.Source) -> dict[str, object]:
    """One source as an object."""
    found: dict[str, object] = {
        "id": source.source_id,
        "title": source.title,
        "url": source.url,
        "snippet": source.snippet,
        "provider": source.provider,
    }
    if source.HasField("published"):
        found["date"] = day(source)
    return found


def day(source: content_pb2.Source) -> str:
    """The date of publication."""
    seconds = min(max(source.published.seconds, 0), 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def as_text(sources: Sequence[content_pb2.Source]) -> str:
    """Sources with their snippets, for a prompt."""
    blocks = [f"[{n}] {_readable(source)}\n{_line(source.snippet)}" for n, source in enumerate(sources, 1)]
    return "\n\n".join(blocks)


def _readable(source: content_pb2.Source) -> str:
    title = _line(source.title)[:MAX_TITLE] or "untitled"
    # Titles are text from outside: without brackets they cannot pass for a link of ours.
    title = title.translate({ord("["): "(", ord("]"): ")"})
    return f"{title} - {source.url}" if source.url else title


def _line(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()
