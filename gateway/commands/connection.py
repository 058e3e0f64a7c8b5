"""The options by which `ask` and `chat` reach the gateway, and their writing to the terminal."""

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gateway.commands.terminal import Look, Piece
from gateway_client.channel import Tls
from gateway_client.client import LONGEST_TURN_S, ClientOptions
from gateway_client.settings import ClientSettings
from gateway_client.turns import TurnOptions

DONE, FAILED, WRONG_USAGE = 0, 1, 2
NOT_UTF8 = "what was given is not valid UTF-8"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares where the gateway is and what every turn is asked with."""
    parser.add_argument("--model", help="the model (default: the gateway's)")
    parser.add_argument("--search", choices=("never", "auto", "always"), help="whether to search first")
    parser.add_argument("--system", metavar="TEXT", help="a system message in front of the question")
    parser.add_argument("--max-tokens", type=positive, metavar="N", help="at most N tokens, reasoning included")
    parser.add_argument("--thinking", choices=("off", "low", "high", "max"), help="how much the model reasons")
    parser.add_argument("--show-reasoning", action="store_true", help="show the reasoning on standard error")
    parser.add_argument(
        "--timeout", type=positive_s, default=LONGEST_TURN_S, metavar="S", help="seconds to wait (default: 900)"
    )
    parser.add_argument("--target", metavar="HOST:PORT", help="the gateway (default: GATEWAY_GRPC_TARGET)")
    parser.add_argument("--insecure", action="store_true", help="plain text, the token too (GATEWAY_INSECURE)")
    parser.add_argument("--ca-file", type=Path, metavar="PEM", help="whom to trust instead of the system's roots")


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def positive_s(text: str) -> float:
    """A number of seconds above 0."""
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from error
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def client_options(args: argparse.Namespace) -> ClientOptions:
    """How to reach the gateway; what was not said comes from the environment."""
    options = ClientOptions(timeout_s=args.timeout)
    if args.insecure:
        options["insecure"] = True
    if args.ca_file:
        options["tls"] = Tls(args.ca_file)
    return options


def turn_options(args: argparse.Namespace) -> TurnOptions:
    """What every turn is asked with, but for its question."""
    options = TurnOptions(include_reasoning=args.show_reasoning)
    if args.model:
        options["model"] = args.model
    if args.system:
        options["system"] = args.system
    if args.search:
        options["search"] = args.search
    if args.max_tokens:
        options["max_tokens"] = args.max_tokens
    if args.thinking:
        options["thinking"] = args.thinking
    return options


def look(settings: ClientSettings, *, reasoning: bool, searches: bool = False, provenance: bool = False) -> Look:
    """What the terminal allows; colours need both streams to be one."""
    out, aside = sys.stdout.isatty(), sys.stderr.isatty()
    return Look(
        colour=settings.colour and out and aside,
        live=aside,
        terminal=out,
        reasoning=reasoning,
        searches=searches,
        provenance=provenance,
        columns=columns(),
    )


def columns() -> int:
    """How wide the terminal is, whichever stream is one; 80 where none is."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            # A terminal that was told no size says 0.
            return max(40, os.get_terminal_size(stream.fileno()).columns or 80)
    return 80


def write(pieces: Iterable[Piece]) -> None:
    """Writes and flushes, so that every token shows when it came."""
    for piece in pieces:
        stream = sys.stderr if piece.aside else sys.stdout
        stream.write(piece.text)
        stream.flush()


def complain(command: str, message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"gateway {command}: {message}\n")
    sys.stderr.flush()
