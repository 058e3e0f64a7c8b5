"""Has a cheap model say whether to search, and with which words, where a tenant allows it.

The rules decide whenever the model does not: it may not be asked, cannot be reached, is too slow, or says
something else. It is shown the asking person's own messages alone, before anything is searched or read.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from gateway.domain.answer import Received
from gateway.domain.call import Visitor
from gateway.domain.errors import CallerError, GatewayError, UpstreamError
from gateway.domain.events import TextDelta
from gateway.domain.receipt import DECIDED, UNDECIDED, Attempt
from gateway.domain.turn import Generation, Message, SearchMode, Thinking, Turn
from gateway.domain.usage import Usage, UsageBasis
from gateway.limits.billing import settle_usage
from gateway.limits.estimate import prompt_tokens, reserve_tokens
from gateway.limits.pricing import hold_price, price
from gateway.models import Prompt
from gateway.models.catalogue import Route
from gateway.models.retry import tells_nothing
from gateway.models.routing import Wish
from gateway.pipeline.job import Job
from gateway.pipeline.slotted import Slotted
from gateway.pipeline.stations import Stations
from gateway.search.wording import MAX_TOKENS, Wording, asked, read, worth_asking

SHARE = 0.4
"""Of a search's time, what deciding about it may take."""
MAX_ANSWER_CHARS = 4_000
GENERATION = Generation(max_tokens=MAX_TOKENS, temperature=0.0, thinking=Thinking.OFF, json_object=True)


class Deciding:
    """Decides about the searches of turns."""

    def __init__(self, stations: Stations, now: Callable[[], float]) -> None:
        """`now` is in seconds since the epoch."""
        self._stations = stations
        self._now = now

    def held(self, turn: Turn, visitor: Visitor, mode: SearchMode, span: tuple[float, float]) -> Usage:
        """What must be held for asking; nothing where nobody will be asked. `span` is when it may be priced."""
        routes = self._routes(turn, visitor, mode)
        if not routes:
            return Usage()
        tokens = reserve_tokens(self._prompt_tokens(self._messages(turn)))
        costs = [
            hold_price(
                tokens, MAX_TOKENS, name, start=span[0], end=span[1], book=self._stations.prices
            ).cost_nano_usd
            for name in {route.card.name for route in routes}
        ]
        return Usage(prompt_tokens=tokens, completion_tokens=MAX_TOKENS, cost_nano_usd=max(costs))

    async def decide(self, job: Job, within_s: float) -> Wording | None:
        """What the model makes of the question, within a part of these seconds; None leaves it to the rules.

        A call that was made leaves an attempt on the receipt, with its usage and cost.
        """
        routes = self._routes(job.turn, job.visitor, job.search_mode)
        begun = self._stations.health.begin(routes, time.perf_counter(), alone=False) if routes else None
        if begun is None:
            return None
        route, call = begun
        received, text, started = Received(), "", time.perf_counter()
        wording: Wording | None = None
        batches: Slotted | None = None
        try:
            async with asyncio.timeout(SHARE * within_s):
                batches = await self._opened(job, route, SHARE * within_s)
                text = await self._answer(batches, received)
            call.succeeded(time.perf_counter())
            wording = read(text)
        except UpstreamError as error:
            if tells_nothing(error):
                call.released()
            else:
                call.failed(time.perf_counter())
        except (GatewayError, TimeoutError):
            # Too slow for this is not too slow for an answer, and who refuses this may well answer.
            call.released()
        except BaseException:
            call.released()
            raise
        finally:
            if batches is not None:  # otherwise nobody was asked
                self._note(job, route, received, time.perf_counter() - started, decided=wording is not None)
        return wording

    async def _opened(self, job: Job, route: Route, within_s: float) -> Slotted:
        """The stream of the answer, in a slot of its upstream. Raises UpstreamError without one."""
        prompt, slots = self._prompt(job, route), self._stations.slots
        slot = await slots.take(route.upstream, route.card.name, job.visitor.tenant.name, within_s)
        return Slotted(route.provider.stream(prompt), slot)

    async def _answer(self, stream: Slotted, received: Received) -> str:
        pieces: list[str] = []
        async with aclosing(stream) as batches:
            async for batch in batches:
                for event in batch:
                    received.add(event)
                    if isinstance(event, TextDelta):
                        pieces.append(event.text)
                if sum(map(len, pieces)) > MAX_ANSWER_CHARS:
                    break
        return "".join(pieces)

    def _routes(self, turn: Turn, visitor: Visitor, mode: SearchMode) -> Sequence[Route]:
        """Where this may be asked: within the place and region of the turn, and by no model that only quotes.

        A turn with a cost limit of its own is decided by the rules: all of that limit is for the answer.
        """
        said = turn.said
        allowed = visitor.tenant.search_by_model and mode is SearchMode.AUTO and not turn.limit.max_cost_nano_usd
        if not allowed or not worth_asking(turn.question, said[:-1]):
            return ()
        model, routing = self._stations.searcher.decide_model, turn.routing
        wish = Wish(model, routing.place, routing.region, frozenset({"json"}))
        try:
            routes = self._stations.router.routes(wish, visitor.tenant)
        except CallerError:
            return ()
        return [route for route in routes if not route.card.stand_in and "json" in route.card.capabilities]

    def _messages(self, turn: Turn) -> tuple[Message, ...]:
        today = datetime.fromtimestamp(self._now(), UTC).date().isoformat()
        return asked(turn.question, turn.said[:-1], today)

    def _prompt_tokens(self, messages: Sequence[Message]) -> int:
        return prompt_tokens(messages, (), GENERATION, self._stations.count_text)

    def _prompt(self, job: Job, route: Route) -> Prompt:
        return Prompt(
            model=route.card.name,
            messages=self._messages(job.turn),
            generation=GENERATION,
            tools=(),
            question="",
            sources=(),
            user_id=self._stations.user_id(job.visitor.tenant.name),
            deadline=job.visitor.call.deadline,
        )

    def _note(self, job: Job, route: Route, received: Received, took_s: float, *, decided: bool) -> None:
        stations, name = self._stations, received.model or route.card.name
        arrived = received.output_events or received.usage is not None
        ours = Usage(
            prompt_tokens=self._prompt_tokens(self._messages(job.turn)) if arrived else 0,
            completion_tokens=received.output_events,
            basis=UsageBasis.COUNTED,
        )
        usage = settle_usage(received.usage, ours, replace(ours, completion_tokens=MAX_TOKENS)).usage
        priced = price(
            usage, stations.prices.priced_name(name, route.card.name), job.receipt.created, stations.prices
        )
        usage = replace(usage, cost_nano_usd=priced.cost_nano_usd)
        outcome = DECIDED if decided else UNDECIDED
        job.attempts.append(Attempt(route.upstream, name, outcome, usage, took_s))
        job.deciding = usage
