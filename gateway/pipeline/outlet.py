"""What of the model's output the caller sees: reasoning only when asked for, citation marks as data."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from gateway.domain.events import Citation, Source, TextDelta, ToolCallDelta, TurnEvent
from gateway.search.citations import CitationParser
from gateway.search.support import checked

Emit = Callable[[TurnEvent], Awaitable[None]]


class Outlet:
    """Passes one answer on. Without sources, text goes through untouched and nothing of it is kept."""

    def __init__(self, emit: Emit, sources: Sequence[Source], include_reasoning: bool) -> None:
        self._emit = emit
        self._include_reasoning = include_reasoning
        self._sources = {source.source_id: source for source in sources}
        self._parser = CitationParser(self._sources) if sources else None
        self._answer = bytearray()

    async def text(self, delta: TextDelta) -> None:
        """Passes on what the caller may see of it; citations follow the text they cover."""
        if delta.reasoning and not self._include_reasoning:
            delta = replace(delta, reasoning="")
        if self._parser is None:
            if delta.text or delta.reasoning or delta.refusal:
                await self._emit(delta)
            return
        text, citations = self._parser.feed(delta.text) if delta.text else ("", [])
        if text or delta.reasoning or delta.refusal:
            await self._emit(replace(delta, text=text))
        await self._cite(text, citations)

    async def tool_call(self, delta: ToolCallDelta) -> None:
        """Passes on a fragment, marked when the model had read pages before it asked."""
        await self._emit(replace(delta, after_evidence=True) if self._sources else delta)

    async def tell(self, event: TurnEvent) -> None:
        """Passes on what is no part of the answer."""
        await self._emit(event)

    async def close(self) -> None:
        """Passes on what was held back because it might have become a mark."""
        if self._parser is None:
            return
        text, citations = self._parser.close()
        if text:
            await self._emit(TextDelta(text=text, events=0))
        await self._cite(text, citations)

    async def _cite(self, text: str, citations: Sequence[Citation]) -> None:
        self._answer += text.encode()
        for citation in citations:
            await self._emit(self._checked(citation))

    def _checked(self, citation: Citation) -> Citation:
        """The citation with what its best source says of the span."""
        span = self._answer[citation.start : citation.end].decode()
        return checked(citation, span, [self._sources[source_id] for source_id in citation.source_ids])
