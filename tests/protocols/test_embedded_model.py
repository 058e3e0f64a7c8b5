"""The embedded model keeps the promise of a model provider."""

import asyncio

from gateway.domain.events import Finish, Finished, ModelEvent, ProviderUsage, Source, TextDelta
from gateway.domain.turn import Generation, Message, Role
from gateway.models import ModelProvider, Prompt
from gateway.models.embedded import EmbeddedModel, create
from gateway.search.citations import CitationParser
from gateway.search.support import Support, check

SOURCE = Source(
    "S1",
    "https://redis.example/",
    "Redis persistence",
    "",
    "brave",
    passage="RDB persistence performs snapshots of the dataset at specified intervals. AOF persistence logs every "
    "write operation received by the server. Both can be combined in one Redis instance.",
)
QUESTION = "How does Redis persistence work?"


def prompt(question: str = QUESTION, *sources: Source, **options: object) -> Prompt:
    """A prompt as the pipeline makes it."""
    return Prompt(
        model="embedded",
        messages=(Message(Role.SYSTEM, "Be brief."), Message(Role.USER, question)),
        generation=Generation(**({"max_tokens": 2_048} | options)),  # type: ignore[arg-type]  # options by name
        tools=(),
        question=question,
        sources=sources,
        user_id="",
        deadline=0.0,
    )


async def events(asked: Prompt) -> list[ModelEvent]:
    """Everything it yields, in order."""
    stream = create().stream(asked)
    return [event async for sequence in stream for event in sequence]


def text_of(found: list[ModelEvent]) -> str:
    """The answer."""
    return "".join(event.text for event in found if isinstance(event, TextDelta))


def test_it_is_one_local_grounded_model() -> None:
    """One card, without tools or JSON: the pipeline refuses those by it."""
    provider: ModelProvider = EmbeddedModel()
    (card,) = provider.cards
    assert (provider.name, card.name, card.local, card.context_tokens) == ("embedded", "embedded", True, 32_768)
    assert "grounded" in card.capabilities
    assert not {"tools", "json_object"} & set(card.capabilities)


async def test_it_streams_words_then_usage_then_the_end() -> None:
    """Many small deltas, never one block; the last sequence holds exactly one end."""
    sequences = [sequence async for sequence in EmbeddedModel().stream(prompt(QUESTION, SOURCE))]
    deltas = [event for sequence in sequences for event in sequence if isinstance(event, TextDelta)]
    assert len(sequences) > 20
    assert max(len(delta.text) for delta in deltas) < 30
    usage, end = sequences[-1]
    assert isinstance(usage, ProviderUsage)
    assert end == Finished(Finish.STOP, model="embedded")
    assert not any(isinstance(event, Finished) for sequence in sequences[:-1] for event in sequence)


async def test_every_quote_is_a_citation_that_its_source_states() -> None:
    """Through the citation parser each quoted line becomes a citation, and each holds."""
    parser = CitationParser(["S1"])
    text, citations = parser.feed(text_of(await events(prompt(QUESTION, SOURCE))))
    text += parser.close()[0]
    assert len(citations) == 3
    assert "[S" not in text
    for citation in citations:
        words = text.encode()[citation.start : citation.end].decode()
        assert words in SOURCE.passage
        assert check(words, SOURCE)[0] is Support.STATED


async def test_the_same_prompt_gives_the_same_answer() -> None:
    """Nothing in it depends on time or chance."""
    assert await events(prompt(QUESTION, SOURCE)) == await events(prompt(QUESTION, SOURCE))


async def test_others_run_between_two_words() -> None:
    """The loop is given away after each word, so one answer cannot hold the others up."""
    turns: list[str] = []

    async def read(name: str) -> None:
        stream = EmbeddedModel().stream(prompt(QUESTION, SOURCE))
        while await anext(stream, None):
            turns.append(name)

    await asyncio.gather(read("a"), read("b"))
    assert turns[:6] == ["a", "b"] * 3


async def test_max_tokens_ends_it_early() -> None:
    """The end says LENGTH, usage stays within the bound."""
    found = await events(prompt(QUESTION, SOURCE, max_tokens=25))
    assert found[-1] == Finished(Finish.LENGTH, model="embedded")
    usage = found[-2]
    assert isinstance(usage, ProviderUsage)
    assert 0 < usage.completion_tokens <= 25


async def test_a_stop_string_ends_it() -> None:
    """Text stops before the stop string, with a clean end."""
    found = await events(prompt(QUESTION, SOURCE, stop=("AOF",)))
    assert "AOF" not in text_of(found)
    assert found[-1] == Finished(Finish.STOP, model="embedded")


async def test_usage_is_estimated_from_prompt_and_answer() -> None:
    """Both sides are counted, also when nothing could be quoted."""
    usage = (await events(prompt("What is the capital of France?", SOURCE)))[-2]
    assert isinstance(usage, ProviderUsage)
    assert usage.prompt_tokens > 5
    assert usage.completion_tokens > 20


async def test_without_evidence_it_says_so() -> None:
    """No source: no mark, no invented answer, and what to do about it."""
    answer = text_of(await events(prompt("What is Redis?")))
    assert "no source to quote from" in answer
    assert "[S" not in answer


async def test_it_can_be_left_after_the_first_word() -> None:
    """Closing the stream early is normal and leaves nothing behind."""
    model = EmbeddedModel()
    stream = model.stream(prompt(QUESTION, SOURCE))
    assert await anext(stream)
    await stream.aclose()
    await model.aclose()
