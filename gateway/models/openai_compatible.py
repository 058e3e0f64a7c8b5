"""A model provider that speaks OpenAI-compatible chat completions over server-sent events.

It owns no timer of the turn: first output, idle and total time are the caller's, who cancels or closes.
"""

import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace

import orjson

from gateway.domain.events import ModelEvent
from gateway.models import ModelCard, Prompt, Warming
from gateway.models.openai_request import Quirks, build_request
from gateway.models.openai_wire import ChunkFolder
from gateway.models.upstream_http import Upstream


def ignore(_what: str, _value: int) -> None:
    """The observer of a provider that nobody observes."""


class OpenAICompatible:
    """One server and one key. Make it on the running event loop; close it with `aclose`.

    `names` are its own names for models, where they are others. `base_url` may end in `/v1`; an empty `api_key`
    sends none; `connect_timeout_s` covers name resolution, TCP and TLS; `tls` replaces the system's trust store.
    Raises ValueError for a base URL or key that cannot be used.

    `observe` is told, at most once per turn and thing, what a metric may count: `other_choices`,
    `usage_out_of_range`, `usage_not_the_sum`, `thinking_off`, `tool_choice_auto`, and `concurrency_limit` with
    the account's live limit when a 429 names it.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        api_key: str,
        cards: Sequence[ModelCard],
        quirks: Quirks,
        names: Mapping[str, str] | None = None,
        key_header: str = "Authorization",
        connect_timeout_s: float = 3.0,
        read_bufsize: int = 65536,
        tls: ssl.SSLContext | None = None,
        observe: Callable[[str, int], None] = ignore,
    ) -> None:
        self._name = name
        self._cards = tuple(cards)
        there = names or {}
        self._own_names = {
            word: there.get(card.name, card.name) for card in self._cards for word in (card.name, *card.aliases)
        }
        self._quirks = quirks
        self._observe = observe
        self._upstream = Upstream(
            base_url,
            api_key,
            key_header=key_header,
            connect_timeout_s=connect_timeout_s,
            read_bufsize=read_bufsize,
            tls=tls,
            observe=observe,
        )

    @property
    def name(self) -> str:
        """The name on receipts and in `served_by`."""
        return self._name

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The models it serves."""
        return self._cards

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._upstream.aclose()

    def warm(self) -> Warming | None:
        """Begins to connect where no connection waits; see `ModelProvider`."""
        return self._upstream.warm()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """One sequence per read; see `ModelProvider`. Raises UpstreamError, CallerError for a bad parameter.

        Every UpstreamError names its cause in `facts["upstream_cause"]`, one machine word.
        """
        request = build_request(prompt, self._own_names.get(prompt.model, prompt.model), self._quirks)
        for change in request.changes:
            self._observe(change, 1)
        folder = ChunkFolder(orjson.loads, reasoning_beside=self._quirks.reasoning_beside)
        try:
            async with self._upstream.ask(_encoded(request.body)) as source:
                while not folder.done and (payloads := await source.read(whole=folder.has_finish)) is not None:
                    yield folder.feed(payloads)
                if folder.failure is not None:
                    raise folder.failure
                if folder.done:
                    await source.end_cleanly()
            end = folder.end()
            yield (end if self._quirks.names_models else replace(end, model=""),)
        finally:
            for what, count in folder.anomalies.items():
                self._observe(what, count)


def _encoded(body: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a caller's schema with lone surrogates or numbers beyond 64 bits
        return json.dumps(body).encode()
