"""Answers a turn from what was answered before, and keeps what may be asked again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.cache import Cache, Found, KnownAnswer, Miss
from gateway.cache.codec import decode, encode
from gateway.cache.keys import shown
from gateway.cache.lifetime import Lifetimes, lifetime_s
from gateway.domain.answer import Received
from gateway.domain.errors import GatewayError
from gateway.domain.events import Accepted, Finish, TextDelta, TurnEnd
from gateway.domain.failure import TurnFailed
from gateway.domain.receipt import Receipt
from gateway.pipeline.job import Job, finish_of
from gateway.pipeline.outlet import Emit, Outlet
from gateway.pipeline.sharing import (
    EVERYTHING,
    answer_key,
    from_cache,
    may_read,
    may_share,
    may_write,
    outdated,
    question_of,
    replayed,
    told_again,
    turn_key,
)
from gateway.search import Findings
from gateway.search.phrases import FRESH

LOOKED_AT_CHARS = 1_000
"""So much of a question is read to see whether it is about what is so now."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What recalling rests on. `answers` (are they kept at all) and `join` are the operator's own word."""

    cache: Cache
    lifetimes: Lifetimes
    answers: bool = True
    join: bool = True


class Recall:
    """Knows what was answered. `now` is in seconds since the epoch."""

    def __init__(self, memory: Memory, now: Callable[[], float]) -> None:
        self._cache = memory.cache
        self._lifetimes = memory.lifetimes
        self._on = memory.answers
        self._now = now

    async def answered(self, job: Job, outlet: Outlet) -> bool:
        """Answers the turn from the cache, if its answer is there and still stands."""
        turn, tenant, sharing = job.turn, job.visitor.tenant, job.sharing
        reads = may_read(turn, tenant)
        if not (self._on and may_share(turn, job.route.card) and (reads or may_write(turn, tenant))):
            return False
        naming_key = await self._cache.naming_key(tenant.name)
        if naming_key is None:
            return False
        sharing.question = question_of(turn, job.findings)
        model, generation = job.route.card.name, job.plan.generation
        sharing.key = answer_key(naming_key, tenant.name, model, generation, sharing.question)
        found = await self._cache.find(sharing.key, self._fresh(turn.cache.max_age_s)) if reads else None
        if found is None:
            return False
        await self._replay(job, found, outlet)
        if may_write(turn, tenant):
            await self._keep_turn(job, found.value)
        return True

    async def stale(self, job: Job, outlet: Outlet) -> bool:
        """Gives a complete answer to exactly this question though its lifetime is over, if there is one."""
        if job.sharing.key is None or not may_read(job.turn, job.visitor.tenant):
            return False
        found = await self._cache.find(job.sharing.key, self._young_enough(job.turn.cache.max_age_s))
        if found is None:
            return False
        await outlet.tell(outdated())
        await self._replay(job, found, outlet)
        return True

    async def retold(self, job: Job, standing: Receipt, emit: Emit) -> TurnEnd | None:
        """Tells the answer of a settled turn once more, with its own receipt; None where it is not kept any more.

        Raises TurnFailed when the telling is cut short.
        """
        found = await self._told_before(job)
        if found is None:
            return None
        answer, include = found.value, job.plan.generation.include_reasoning
        findings = Findings(events=answer.searches, sources=answer.sources, canary=answer.canary)
        end = told_again(standing, answer)
        try:
            await emit(Accepted(standing.receipt_id))
            for event in findings.events:
                await emit(event)
            await self._replay(job, found, Outlet(emit, findings, job.turn.question, include))
        except GatewayError as error:
            raise TurnFailed(error, replace(end, finish=finish_of(error, job.received))) from error
        return end

    async def _told_before(self, job: Job) -> Found[KnownAnswer] | None:
        tenant = job.visitor.tenant
        naming_key = await self._cache.naming_key(tenant.name) if self._on and may_read(job.turn, tenant) else None
        if naming_key is None:
            return None
        return await self._cache.find(turn_key(naming_key, tenant.name, job.receipt.session_id, job.turn), decode)

    async def _replay(self, job: Job, found: Found[KnownAnswer], outlet: Outlet) -> None:
        """Gives a known answer: what a model said, as few frames, the first of them at once."""
        answer, sharing = found.value, job.sharing
        received = job.received = Received()
        sharing.level, sharing.paid_by_others = found.level, EVERYTHING
        outlet.hide(answer.canary)
        name = shown(sharing.key, job.route.card.name, job.plan.estimated_tokens) if sharing.key else ""
        await outlet.tell(from_cache(found.level, self._now() - answer.stored_at, name))
        for event in replayed(answer):
            received.add(event)
            if isinstance(event, TextDelta):
                job.note_output(time.perf_counter())
                await outlet.text(event)
        await outlet.close()

    async def keep(self, job: Job) -> None:
        """Keeps the answer of a turn that was answered whole and well, by the model that was asked."""
        sharing, turn, tenant = job.sharing, job.turn, job.visitor.tenant
        if sharing.said is None or sharing.key is None or job.degraded or not may_write(turn, tenant):
            return
        is_as_asked = job.route.card.name == job.plan.route.card.name
        answer = self._answer(job) if is_as_asked and job.received.finish is Finish.STOP else None
        if answer is None:
            return
        if sharing.paid_by_others != EVERYTHING:
            self._cache.keep(sharing.key, encode(answer), self._kept_s(answer))
        await self._keep_turn(job, answer)

    async def _keep_turn(self, job: Job, answer: KnownAnswer) -> None:
        """So that the same turn again is told the same, without a search."""
        tenant = job.visitor.tenant.name
        naming_key = await self._cache.naming_key(tenant) if job.turn.named else None
        if naming_key is not None:
            findings = job.findings
            told = encode(replace(answer, searches=findings.events, sources=tuple(findings.sources)))
            key = turn_key(naming_key, tenant, job.receipt.session_id, job.turn)
            self._cache.keep(key, told, self._kept_s(answer))

    def _kept_s(self, answer: KnownAnswer) -> float:
        return max(answer.fresh_until - self._now(), 0.0) + self._lifetimes.stale_s

    def _fresh(self, max_age_s: float | None) -> Callable[[bytes], KnownAnswer]:
        """Reads what still stands."""
        young_enough, now = self._young_enough(max_age_s), self._now()

        def read(value: bytes) -> KnownAnswer:
            answer = young_enough(value)
            if now >= answer.fresh_until:
                raise Miss("stale")
            return answer

        return read

    def _young_enough(self, max_age_s: float | None) -> Callable[[bytes], KnownAnswer]:
        """Reads what is not older than the caller wants, whatever its lifetime."""
        now = self._now()

        def read(value: bytes) -> KnownAnswer:
            answer = decode(value)
            if max_age_s is not None and now - answer.stored_at >= max_age_s:
                raise Miss("too_old")
            return answer

        return read

    def _answer(self, job: Job) -> KnownAnswer | None:
        said = job.sharing.said
        whole = said.whole() if said else None
        if said is None or whole is None or whole.finish is not Finish.STOP or whole.tool_calls or not whole.text:
            return None
        now, usage = self._now(), whole.usage
        tokens = usage.completion_tokens if usage else said.events
        return KnownAnswer(
            text=whole.text,
            reasoning=whole.reasoning,
            refusal=whole.refusal,
            events=said.events,
            usage=usage,
            model=whole.model,
            served_by=job.route.provider.name,
            stored_at=now,
            fresh_until=now + self._lifetime_s(job, tokens),
            canary=job.sharing.canary,
        )

    def _lifetime_s(self, job: Job, completion_tokens: int) -> float:
        base_s = self._lifetimes.sourced_s if job.findings.prompt_text else self._lifetimes.plain_s
        fresh = FRESH.search(job.turn.question[:LOOKED_AT_CHARS]) is not None
        return lifetime_s(base_s, job.plan.estimated_tokens, completion_tokens, fresh=fresh)
