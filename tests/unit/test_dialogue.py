"""What `gateway chat` remembers, and its words with a slash."""

import pytest

from gateway.commands.dialogue import Ask, Dialogue, Leave, Say
from gateway.v1 import inference_pb2
from gateway_client.answer import Answer
from gateway_client.turns import TurnOptions, message

STOP = inference_pb2.FINISH_STOP


def asked(dialogue: Dialogue, line: str) -> TurnOptions:
    """The turn that a line becomes."""
    act = dialogue.read(line)
    assert isinstance(act, Ask)
    return act.options


def test_every_turn_carries_what_was_said_before() -> None:
    """The gateway remembers nothing, so the history goes along."""
    dialogue = Dialogue({"model": "m"})
    dialogue.answered(asked(dialogue, " Hi \n"), Answer(text="Ho", finish=STOP))
    options = asked(dialogue, "And?")
    assert options["messages"] == [message("user", "Hi"), message("assistant", "Ho"), message("user", "And?")]
    assert options["model"] == "m"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(text="H", finish=inference_pb2.FINISH_CANCELLED),
        Answer(text="H", finish=STOP, faults=(inference_pb2.Fault(reason="INTERNAL"),)),
        Answer(text="H"),
    ],
    ids=["cancelled", "faulty", "unfinished"],
)
def test_a_turn_that_did_not_finish_is_forgotten(answer: Answer) -> None:
    """Half an answer would mislead the model."""
    dialogue = Dialogue({})
    dialogue.answered(asked(dialogue, "Hi"), answer)
    assert asked(dialogue, "And?")["messages"] == [message("user", "And?")]


def test_new_forgets_everything() -> None:
    """The next turn starts from nothing."""
    dialogue = Dialogue({})
    dialogue.answered(asked(dialogue, "Hi"), Answer(text="Ho", finish=STOP))
    assert dialogue.read("/new") == Say("forgotten")
    assert asked(dialogue, "And?")["messages"] == [message("user", "And?")]


def test_model_and_search_hold_for_the_turns_to_come() -> None:
    """They change what is asked, and say so."""
    dialogue = Dialogue({})
    assert dialogue.read("/model embedded") == Say("asking embedded")
    assert dialogue.read("/search always") == Say("searching: always")
    options = asked(dialogue, "Hi")
    assert (options["model"], options["search"]) == ("embedded", "always")
    assert dialogue.read("/search sometimes") == Say("use /search never, /search auto or /search always")


def test_other_lines_with_a_slash_are_no_questions() -> None:
    """A typing mistake is not sent to a model."""
    dialogue = Dialogue({})
    assert dialogue.read("/quit") == Leave()
    assert dialogue.read("/modle x") == Say("no command /modle: /help lists them")
    assert "/search MODE" in str(dialogue.read("/help"))
    assert dialogue.read("  \n") is None
