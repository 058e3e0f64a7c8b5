"""`gateway chat`: a dialogue over one `Converse` stream; from a pipe, one turn per line."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from uuid import uuid4

from gateway.commands import connection
from gateway.commands.connection import DONE, FAILED, WRONG_USAGE, complain
from gateway.commands.dialogue import Ask, Dialogue, Leave, Say
from gateway.commands.terminal import AnswerView, Look
from gateway.v1 import inference_pb2
from gateway_client.answer import Answer, AnswerFold
from gateway_client.errors import GatewayCallError, GatewayClientError, SettingsError
from gateway_client.settings import read_settings
from gateway_client.sync import SyncConversation, SyncGatewayClient, SyncTurn
from gateway_client.turns import TurnOptions

with contextlib.suppress(ImportError):
    import readline  # noqa: F401 - importing it gives `input` line editing and a history

PROMPT = "› "


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    connection.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Talks until the input ends; returns 0, 1 when a turn failed, 2 for a bad setting."""
    interactive = sys.stdin.isatty()
    try:
        look = connection.look(read_settings(), reasoning=args.show_reasoning)
        dialogue = Dialogue(connection.turn_options(args))
        with SyncGatewayClient(args.target, **connection.client_options(args)) as client, Line(client) as line:
            return Chat(line, dialogue, look, interactive=interactive).run()
    except SettingsError as error:
        complain("chat", str(error))
        return WRONG_USAGE
    except UnicodeError:
        complain("chat", connection.NOT_UTF8)
        return WRONG_USAGE
    except GatewayClientError as error:
        complain("chat", str(error))
        return FAILED


class Line:
    """The stream to the gateway; a new one when the old one is lost or asked to be left."""

    def __init__(self, client: SyncGatewayClient) -> None:
        self._client = client
        self._open = contextlib.ExitStack()
        self._talk: SyncConversation | None = None
        self.fresh = False

    def __enter__(self) -> "Line":
        self.conversation()
        return self

    def __exit__(self, *error: object) -> None:
        self.drop()

    def conversation(self) -> SyncConversation:
        """The stream for the next turn. Raises GatewayCallError, TokenUnavailable."""
        if self._talk is not None and self._talk.go_away is not None:
            self.drop()
        self.fresh = self._talk is None
        if self._talk is None:
            self._talk = self._open.enter_context(self._client.converse())
        return self._talk

    def half_close(self) -> None:
        """Says that no further turn comes."""
        if self._talk is not None:
            self._talk.half_close()

    def drop(self) -> None:
        """Leaves the stream."""
        self._talk = None
        self._open.close()


class Chat:
    """Reads lines, shows answers."""

    def __init__(self, line: Line, dialogue: Dialogue, look: Look, *, interactive: bool) -> None:
        self._line = line
        self._dialogue = dialogue
        self._look = look
        self._interactive = interactive
        self._code = DONE

    def run(self) -> int:
        """Until the input ends or the person leaves; returns the exit code."""
        if self._interactive:
            self._aside("Ask away. /help lists the commands, Ctrl-D leaves.")
        for words in self._lines():
            match self._dialogue.read(words):
                case Say(text):
                    self._aside(text)
                case Ask(options):
                    self._turn(options)
                case Leave():
                    break
        self._line.half_close()
        return self._code

    def _lines(self) -> Iterator[str]:
        if not self._interactive:
            yield from sys.stdin
            return
        while True:
            try:
                yield input(PROMPT)
            except EOFError:
                sys.stdout.write("\n")
                return
            except KeyboardInterrupt:
                self._aside("\nCtrl-D or /quit leaves")

    def _turn(self, options: TurnOptions) -> None:
        # A turn that is sent again on another stream is the same turn: it is charged once.
        options["turn_id"] = uuid4().hex
        try:
            answer = self._answer(options)
            self._dialogue.answered(options, answer)
            answer.raise_for_fault()
        except GatewayClientError as error:
            self._code = DONE if self._interactive else FAILED
            complain("chat", str(error))

    def _answer(self, options: TurnOptions) -> Answer:
        """One turn; a stream that was lost since the last one is opened again, once."""
        shown = Shown(self._look)
        while True:
            try:
                with self._line.conversation().send(**options) as turn:
                    self._watch(turn, shown)
                return shown.fold.answer()
            except GatewayCallError:
                stale = not self._line.fresh and not shown.began
                self._line.drop()
                shown.close()
                if not stale:
                    raise

    def _watch(self, turn: SyncTurn, shown: "Shown") -> None:
        """Shows the frames; Ctrl-C stops the turn, a second one leaves."""
        try:
            for frame in turn:
                shown.add(frame)
        except KeyboardInterrupt:
            if not self._interactive:
                raise
            turn.cancel()
            for frame in turn:
                shown.add(frame)

    def _aside(self, text: str) -> None:
        sys.stderr.write(f"{self._look.dim(text)}\n")
        sys.stderr.flush()


class Shown:
    """What was written of one turn, and what it adds up to."""

    def __init__(self, look: Look) -> None:
        self._view = AnswerView(look)
        self.fold = AnswerFold()
        self.began = False

    def add(self, frame: inference_pb2.ServerFrame) -> None:
        """One more frame."""
        self.began = True
        self.fold.add(frame)
        connection.write(self._view.show(frame))

    def close(self) -> None:
        """Ends the line that was begun."""
        connection.write(self._view.close())
