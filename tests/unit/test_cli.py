"""The console script: which command runs, and what the exit code says."""

import argparse
import sys
from types import ModuleType
from typing import Any

import pytest

from gateway import __version__, cli


def install(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Puts a command `ask` in place of the real one."""
    module = ModuleType("gateway.commands.ask")
    module.configure = lambda parser: parser.add_argument("word")  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway.commands.ask", module)


def failing(error: BaseException) -> Any:
    """A command that raises."""

    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_the_command_gets_its_words_and_gives_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `run` returns is what the shell sees."""
    seen: list[str] = []
    install(monkeypatch, lambda args: seen.append(args.word) or 7)
    assert cli.main(["ask", "tides"]) == 7
    assert seen == ["tides"]


def test_version_and_help_need_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Both are done, and help lists only commands that are there."""
    assert cli.main(["--version"]) == cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert f"gateway {__version__}" in out
    assert all(f"  {name} " in out for name in cli.offered())
    assert {"ask", "chat"} <= cli.offered().keys()


def test_an_unknown_command_is_wrong_usage_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest names, or all of them."""
    assert cli.main(["akk"]) == 2
    assert "did you mean ask?" in capsys.readouterr().err
    assert cli.main(["../../evil"]) == 2
    assert "there are" in capsys.readouterr().err
    assert cli.main([]) == 2
    assert "usage: gateway COMMAND" in capsys.readouterr().err


def test_wrong_words_are_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's own refusal keeps its exit code; a command's help is done."""
    install(monkeypatch, lambda args: 0)
    assert cli.main(["ask"]) == 2
    assert "gateway ask: error" in capsys.readouterr().err
    assert cli.main(["ask", "--help"]) == 0


def test_a_missing_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base install is the client; everything else asks for the server extra."""
    install(monkeypatch, failing(ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp.web")))
    assert cli.main(["ask", "x"]) == 2
    assert (
        capsys.readouterr().err == "gateway ask needs the server extra: pip install 'inference-gateway[server]'\n"
    )


@pytest.mark.parametrize("name", ["gateway.nowhere", "grpc", "tomllib"])
def test_a_hole_of_our_own_is_not_blamed_on_the_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A module that the base install should bring is a bug, and stays visible."""
    install(monkeypatch, failing(ModuleNotFoundError(name, name=name)))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["ask", "x"])


def test_an_interrupt_has_the_shells_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 and the number of SIGINT."""
    install(monkeypatch, failing(KeyboardInterrupt()))
    assert cli.main(["ask", "x"]) == 130
