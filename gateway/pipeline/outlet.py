"""What of the model's output the caller sees: reasoning only when asked for, citation marks as data."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from gateway.domain.events import Citation, TextDelta, ToolCallDelta, TurnEvent
from gateway.search import Findings
from gateway.search.citations import CitationParser
from gateway.search.links import OutputFilter, cited_hosts
from gateway.search.support import checked

Emit = Callable[[TurnEvent], Awaitable[None]]


class Outlet:
    """Passes one answer on. Without sources, text goes through untouched and nothing of it is kept.

    With sources, marks become citations first and links are filtered last: what a mark was taken out of may only
    then be an address.
    """

    def __init__(self, emit: Emit, findings: Findings, question: str, include_reasoning: bool) -> None:
        """`question` is the caller's own: an answer may name the hosts that stand in it."""
        sources = findings.sources
        self._hosts = cited_hosts((source.url for source in sources), question)
        self._emit = emit
        self._include_reasoning = include_reasoning
        self._sources = {source.source_id: source for source in sources}
        self._parser = CitationParser(self._sources) if sources else None
        self._answer = bytearray()
        self.hide(findings.canary)

    def hide(self, canary: str) -> None:
        """What follows was written by a model that was shown this marker. Call it before anything follows."""
        self._filter = OutputFilter(self._hosts, canary)
        self._reasoning = OutputFilter(self._hosts, canary)

    async def text(self, delta: TextDelta) -> None:
        """Passes on what the caller may see of it; citations follow the text they cover."""
        if delta.reasoning and not self._include_reasoning:
            delta = replace(delta, reasoning="")
        if self._parser is None:
            if delta.text or delta.reasoning or delta.refusal:
                await self._emit(delta)
            return
        text, citations = self._parser.feed(delta.text) if delta.text else ("", [])
        text = self._filter.feed(text)
        reasoning = self._reasoning.feed(delta.reasoning)
        if text or reasoning or delta.refusal:
            await self._emit(replace(delta, text=text, reasoning=reasoning))
        await self._cite(text, citations)

    async def tool_call(self, delta: ToolCallDelta) -> None:
        """Passes on a fragment, marked when the model had read pages before it asked."""
        await self._emit(replace(delta, after_evidence=True) if self._sources else delta)

    async def tell(self, event: TurnEvent) -> None:
        """Passes on what is no part of the answer."""
        await self._emit(event)

    async def close(self) -> None:
        """Passes on what was held back because it might have become a mark, or the marker of the evidence."""
        if self._parser is None:
            return
        text, citations = self._parser.close()
        text = self._filter.feed(text) + self._filter.close()
        reasoning = self._reasoning.close()
        if text or reasoning:
            await self._emit(TextDelta(text=text, reasoning=reasoning, events=0))
        await self._cite(text, citations)

    async def _cite(self, text: str, citations: Sequence[Citation]) -> None:
        self._answer += text.encode()
        for citation in citations:
            await self._emit(self._checked(citation))

    def _checked(self, citation: Citation) -> Citation:
        """The citation where its words ended up, with what its best source says of them."""
        citation = replace(
            citation, start=self._filter.place(citation.start), end=self._filter.place(citation.end)
        )
        span = self._answer[citation.start : citation.end].decode()
        return checked(citation, span, [self._sources[source_id] for source_id in citation.source_ids])
