"""What `gateway chat` remembers between turns, and the words with a slash: pure."""

from dataclasses import dataclass

from gateway.v1 import content_pb2, inference_pb2
from gateway_client.answer import Answer
from gateway_client.turns import SearchWord, TurnOptions, message

HELP = """\
/new            forget what was said
/model NAME     ask this model from now on; without a name, the gateway's default
/search MODE    search never, auto or always before an answer
/help           this list
/quit           leave, as Ctrl-D does; Ctrl-C stops the answer that is running
"""
_SEARCH: dict[str, SearchWord] = {"never": "never", "auto": "auto", "always": "always"}
_FINISHED = (inference_pb2.FINISH_STOP, inference_pb2.FINISH_LENGTH)


@dataclass(frozen=True, slots=True)
class Say:
    """Something to tell the person."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A turn to send."""

    options: TurnOptions


@dataclass(frozen=True, slots=True)
class Leave:
    """The person wants to go."""


Act = Say | Ask | Leave | None


class Dialogue:
    """The gateway remembers nothing between turns, so the history is kept here and sent with every one."""

    def __init__(self, options: TurnOptions) -> None:
        self._options = options
        self._history: list[content_pb2.Message] = []

    def read(self, line: str) -> Act:
        """What a line asks for; None for an empty one."""
        words = line.strip()
        if not words:
            return None
        if words.startswith("/"):
            name, _, rest = words.partition(" ")
            return self._command(name, rest.strip())
        return Ask(self._asked(words))

    def answered(self, question: TurnOptions, answer: Answer) -> None:
        """Remembers a turn that came to its end; one that was stopped or failed is forgotten."""
        if answer.finish in _FINISHED and not answer.faults:
            said = question["messages"][-1]
            self._history += [said if isinstance(said, content_pb2.Message) else message(*said)]
            self._history.append(message("assistant", answer.text))

    def _asked(self, words: str) -> TurnOptions:
        options = self._options.copy()
        options["messages"] = [*self._history, message("user", words)]
        return options

    def _command(self, name: str, rest: str) -> Act:
        match name:
            case "/new":
                self._history.clear()
                return Say("forgotten")
            case "/model":
                return self._choose_model(rest)
            case "/search":
                return self._choose_search(rest)
            case "/help":
                return Say(HELP.rstrip())
            case "/quit" | "/exit":
                return Leave()
        return Say(f"no command {name}: /help lists them")

    def _choose_model(self, name: str) -> Say:
        self._options["model"] = name
        return Say(f"asking {name}" if name else "asking the gateway's default model")

    def _choose_search(self, mode: str) -> Say:
        if mode not in _SEARCH:
            return Say("use /search never, /search auto or /search always")
        self._options["search"] = _SEARCH[mode]
        return Say(f"searching: {mode}")
