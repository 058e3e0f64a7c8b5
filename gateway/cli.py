"""The console script `gateway`: finds the command's file, imports that file alone, runs it.

Exit codes: 0 done, 1 the call failed, 2 wrong usage or configuration, 130 interrupted.
"""

import argparse
import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from gateway import __version__

COMMANDS = {
    "serve": ("serve", "run the gateway"),
    "token": ("token", "print a token of the development issuer"),
    "key": ("key", "create, list and revoke gateway API keys"),
    "client": ("client", "create, list and revoke clients of the gateway's own token issuer, rotate its key"),
    "revoke": ("revoke", "withdraw tokens and keys, and end what runs with them"),
    "forget": ("forget", "make everything unreadable that is kept sealed for a tenant"),
    "ask": ("ask", "ask one question, print the answer as it comes, with its sources"),
    "chat": ("chat", "talk to a model over one stream"),
    "index": ("index", "add files to the embedded search index"),
    "receipts": ("receipts", "list, total and export receipts"),
    "audit": ("audit", "verify and list the audit"),
    "health": ("health", "ask a gateway whether it is ready for calls"),
    "check-config": ("check_config", "check the configuration and list every fault"),
    "bridge": ("bridge", "run the HTTP bridge alone"),
}
DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

_BASE_INSTALL = {"gateway", "gateway_client", "deepseek_pb2", "deepseek_pb2_grpc", "grpc", "google"}
_FOLDER = Path(__file__).parent / "commands"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that the words name, those of the command line unless given; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    # gRPC tells standard error of every connection that goes away; a person at a terminal asked for an answer.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows a question mark, and the answer goes on.
            stream.reconfigure(errors="replace")
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return FAILED
    except SystemExit as leaving:  # argparse leaves this way
        return leaving.code if isinstance(leaving.code, int) else WRONG_USAGE
    return code


def offered() -> dict[str, tuple[str, str]]:
    """The commands whose file is there: a name, its file and what it does."""
    return {name: entry for name, entry in COMMANDS.items() if (_FOLDER / f"{entry[0]}.py").is_file()}


def _dispatch(words: Sequence[str]) -> int:
    commands = offered()
    name = words[0] if words else ""
    if name in ("-h", "--help", "help"):
        print(_overview(commands))
        return DONE
    if name in ("-V", "--version"):
        print(f"gateway {__version__}")
        return DONE
    if name not in commands:
        print(_unknown(name, commands), file=sys.stderr)
        return WRONG_USAGE
    module, summary = commands[name]
    try:
        return _run(module, name, summary, words[1:])
    except ModuleNotFoundError as error:
        if not _is_extra(error):
            raise
        print(f"gateway {name} needs the server extra: pip install 'inference-gateway[server]'", file=sys.stderr)
        return WRONG_USAGE


def _run(module: str, name: str, summary: str, words: Sequence[str]) -> int:
    command: ModuleType = importlib.import_module(f"gateway.commands.{module}")
    parser = argparse.ArgumentParser(prog=f"gateway {name}", description=f"{summary[0].upper()}{summary[1:]}.")
    command.configure(parser)
    code: int = command.run(parser.parse_args(words))
    return code


def _is_extra(error: ModuleNotFoundError) -> bool:
    """Whether the missing module is one that only the server extra brings, rather than a fault of ours."""
    missing = (error.name or "").partition(".")[0]
    return missing not in _BASE_INSTALL and missing not in sys.stdlib_module_names


def _overview(commands: dict[str, tuple[str, str]]) -> str:
    width = max(map(len, commands), default=0)
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in commands.items()]
    return "\n".join(
        ["usage: gateway COMMAND …", "", *lines, "", "`gateway COMMAND --help` says more about each."]
    )


def _unknown(name: str, commands: dict[str, tuple[str, str]]) -> str:
    if not name:
        return _overview(commands)
    near = difflib.get_close_matches(name, commands, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(commands)}"
    return f"gateway: no command {name!r}: {hint}"


def _give_up_stdout() -> None:
    """The reader left. What is still buffered goes nowhere, so that the interpreter does not complain at exit."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
