"""How far a turn shares its answer with others of its tenant: which may, under which name, and who pays (pure)."""

import hashlib
from dataclasses import dataclass, replace
from sys import maxsize

from gateway.cache import Key, Kind, KnownAnswer
from gateway.cache.keys import canonical, key_of
from gateway.domain.events import Finish, Finished, ModelEvent, Notice, NoticeKind, TextDelta, TurnEnd
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import Tenant
from gateway.domain.turn import CacheUse, Generation, Image, Message, Thinking, Turn
from gateway.domain.usage import Usage
from gateway.models import ModelCard
from gateway.pipeline.said import Said
from gateway.search import Findings

JOINED = "joined"
EVERYTHING = maxsize
FRAME_CHARS = 16_384
"""A replayed answer comes in pieces of so many characters."""
MOST_TEMPERATURE = 1.0
"""Whoever asks for more chance than this asks for another answer each time."""

READS = frozenset({CacheUse.READ_WRITE, CacheUse.READ_ONLY})
WRITES = frozenset({CacheUse.READ_WRITE, CacheUse.WRITE_ONLY})


@dataclass(slots=True)
class Sharing:
    """What a turn shares. `level` is where its answer came from; empty means from a model of its own.

    `paid_by_others` counts the output tokens of its answer that somebody else pays for, the prompt included; None
    means that nobody does. `question` is the digest of what is asked, `key` the name of its answer in the cache,
    where the turn reads or writes it. `said` is what the model said, where somebody may want it later; `canary`
    what it was shown and must not be repeated.
    """

    level: str = ""
    question: bytes = b""
    key: Key | None = None
    canary: str = ""
    said: Said | None = None
    paid_by_others: int | None = None


def may_share(turn: Turn, card: ModelCard) -> bool:
    """Whether an answer can stand for another one at all: the same question must mean the same answer."""
    if card.stand_in or (turn.generation.temperature or 0.0) > MOST_TEMPERATURE:
        return False
    # What lies behind an address may change.
    return not any(isinstance(part, Image) and part.url for message in turn.messages for part in message.parts)


def may_read(turn: Turn, tenant: Tenant) -> bool:
    """Whether the turn may be answered from the cache."""
    return tenant.answer_cache and turn.cache.use in READS


def may_write(turn: Turn, tenant: Tenant) -> bool:
    """Whether its answer may be kept."""
    return tenant.answer_cache and turn.cache.use in WRITES


def question_of(turn: Turn, findings: Findings) -> bytes:
    """The digest of everything that a model is shown.

    The marker of the evidence is made anew for each turn and changes nothing.
    """
    shown = findings.prompt_text.replace(findings.canary, "") if findings.canary else findings.prompt_text
    return hashlib.sha256(canonical((turn.messages, turn.tools, shown, tuple(findings.sources)))).digest()


def answer_key(naming_key: bytes, tenant: str, model: str, generation: Generation, question: bytes) -> Key:
    """The name of an answer: of the question, of whom it is asked, and how it shall be answered."""
    return key_of(naming_key, tenant, Kind.ANSWER, model, as_asked(generation), question)


def as_asked(generation: Generation) -> Generation:
    """The options that a model hears of: whether reasoning is passed on to the caller is none of them."""
    return replace(generation, include_reasoning=False)


def turn_key(naming_key: bytes, tenant: str, session_id: str, turn: Turn) -> Key:
    """The name of the answer to exactly this turn."""
    return key_of(naming_key, tenant, Kind.TURN, session_id, turn.turn_id, turn.body_sha256)


def replayed(answer: KnownAnswer) -> list[ModelEvent]:
    """The answer as few fat events. The reasoning comes first."""
    pieces = [TextDelta(reasoning=piece) for piece in _pieces(answer.reasoning)]
    pieces += [TextDelta(text=piece) for piece in _pieces(answer.text)]
    pieces += [TextDelta(refusal=piece) for piece in _pieces(answer.refusal)]
    if pieces:
        pieces[0] = replace(pieces[0], events=max(1, answer.events - len(pieces) + 1))
    last: list[ModelEvent] = [Finished(Finish.STOP, answer.model)]
    return [*pieces, *([answer.usage] if answer.usage else []), *last]


def from_cache(level: str, age_s: float, shown: str) -> Notice:
    """The answer was given before."""
    facts = {"level": level, "age_s": str(max(0, int(age_s))), "key": shown}
    return Notice(NoticeKind.FROM_CACHE, f"this answer was given {facts['age_s']} s ago; it was kept", facts)


def outdated() -> Notice:
    """No model can be reached, and what was said before has to do."""
    return Notice(
        NoticeKind.DEGRADED,
        "no model could be reached; this answer to the same question was given before, and it may be out of date",
        {"reason": "stale_answer"},
    )


def told_again(standing: Receipt, answer: KnownAnswer) -> TurnEnd:
    """The end of a settled turn, as its receipt has it."""
    return TurnEnd(
        finish=standing.finish or Finish.ERROR,
        usage=standing.settled,
        receipt_id=standing.receipt_id,
        degraded=standing.degraded,
        served_by=standing.served_by,
        model=answer.model or standing.model,
    )


def joined(heard: int) -> Notice:
    """The answer is being given to somebody else."""
    return Notice(
        NoticeKind.JOINED_IN_FLIGHT,
        "an identical question of this tenant is being answered; this turn shares its answer",
        {"events_before": str(heard)},
    )


def thinks(generation: Generation) -> bool:
    """Whether reasoning is asked for."""
    return generation.thinking not in (None, Thinking.OFF)


def own_part(usage: Usage, paid_by_others: int | None) -> Usage:
    """What of an answer's usage its turn pays for as a model's work; the rest has the price of the cache."""
    if paid_by_others is None:
        return usage
    completion = max(0, usage.completion_tokens - paid_by_others)
    return replace(
        usage,
        prompt_tokens=0,
        cached_prompt_tokens=0,
        completion_tokens=completion,
        reasoning_tokens=min(usage.reasoning_tokens, completion),
    )


def lacking(message: Message) -> bool:
    """Whether a message has tool calls and lacks the reasoning that led to them."""
    return bool(message.tool_calls) and not message.reasoning


def _pieces(text: str) -> list[str]:
    return [text[start : start + FRAME_CHARS] for start in range(0, len(text), FRAME_CHARS)]
