"""A person at a terminal: `gateway serve --dev` on a bare machine, what it prints, and every command after it."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import tools

SCRIPT = Path(sys.executable).with_name("gateway")
START_S, RUN_S, STOP_S = 60, 60, 30
NOBODY = 65534


@dataclass(frozen=True)
class Terminal:
    """A gateway that runs, the text it printed, and a shell beside it in the same folder."""

    folder: Path
    printed: str
    environment: Mapping[str, str]

    def line(self, beginning: str) -> str:
        """The printed line that begins so, or holds it behind variables."""
        return next(line for line in self.printed.splitlines() if beginning in line.split("'")[0])

    def shell(self, line: str, *, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """What a shell makes of a line."""
        path = f"{SCRIPT.parent}:{self.environment['PATH']}"
        return subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env={**self.environment, "PATH": path},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    @property
    def target(self) -> str:
        """`host:port` as printed."""
        return self.printed.split("gRPC on ")[1].split(",")[0].split("\n")[0]

    def gateway(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """One command, with the target and the data directory of this gateway."""
        environment = {
            **self.environment,
            "GATEWAY_GRPC_TARGET": self.target,
            "GATEWAY_DATA_DIR": str(self.folder / "data"),
        }
        return run(*words, folder=self.folder, environment=environment, stdin=stdin)


def bare(folder: Path) -> dict[str, str]:
    """An environment without any setting, and with free ports for `serve`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "DEEPSEEK_"))}
    ports = {f"GATEWAY_{name}_ADDRESS": "127.0.0.1:0" for name in ("GRPC", "HTTP", "METRICS")}
    return {**kept, **ports, "GATEWAY_DATA_DIR": str(folder / "data")}


def run(
    *words: str, folder: Path, environment: Mapping[str, str], stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """One command to its end; a traceback is never an answer."""
    done = subprocess.run(
        [str(SCRIPT), *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Terminal]:
    """`gateway serve --dev` until it has printed everything; ends it with Ctrl-C and expects a clean exit."""
    environment = {**bare(folder), **variables}
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [str(SCRIPT), "serve", "--dev"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield Terminal(folder, _printed(process, folder), environment)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S) == 0, (folder / "stderr").read_text("utf-8")
    finally:
        process.kill()
        process.wait(STOP_S)
        assert process.stdout is not None
        process.stdout.close()
    assert "Traceback" not in (folder / "stderr").read_text("utf-8")


def _printed(process: "subprocess.Popen[str]", folder: Path) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return "".join(lines)
    raise AssertionError(f"the gateway did not start: {(folder / 'stderr').read_text('utf-8')}")


@pytest.fixture(scope="module", name="terminal")
def open_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One gateway for the tests that change nothing of it."""
    with serving(tmp_path_factory.mktemp("terminal")) as terminal:
        yield terminal


# --- the printed lines ----------------------------------------------------------------------------------


def test_the_printed_ask_line_works_as_printed(terminal: Terminal) -> None:
    """Pasted into a shell it streams an answer with numbered sources, what it cost, and the receipt."""
    done = terminal.shell(terminal.line(" ask "))
    assert done.returncode == 0, done.stderr
    assert "\n[1] " in done.stdout
    assert "embedded" in done.stdout.splitlines()[-1]
    assert "receipt " in done.stdout.splitlines()[-1]


def test_the_printed_grpcurl_line_works_as_printed(terminal: Terminal) -> None:
    """It lists, describes and calls by reflection alone, so the line needs no proto file."""
    tool = tools.go_tool("grpcurl")
    line = terminal.line("grpcurl ").replace("grpcurl", tool, 1)
    done = terminal.shell(line)
    assert done.returncode == 0, done.stderr
    assert '"finish": "FINISH_STOP"' in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_printed_curl_line_works_as_printed(terminal: Terminal) -> None:
    """The HTTP bridge answers as OpenAI's API does."""
    done = terminal.shell(terminal.line("curl http").replace("curl", "curl -sS", 1))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_the_printed_token_is_good_and_no_line_hides_a_key(terminal: Terminal) -> None:
    """The token is that of the file which `ask` reads, and only its owner may read the file."""
    file = terminal.folder / "data" / "dev-token"
    assert file.read_text("utf-8") in terminal.printed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "listens: gRPC on 127.0.0.1:" in terminal.printed


# --- the commands ---------------------------------------------------------------------------------------


def test_ask_streams_frames_as_json_lines(terminal: Terminal) -> None:
    """`--json` is one ServerFrame a line, for programs, and last where each sentence comes from."""
    done = terminal.gateway("ask", "what is a receipt?", "--json", "--search", "always")
    *frames, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert any(sentence.get("source_ids") for sentence in last["sentences"])
    assert [frame["seq"] for frame in frames] == [str(number) for number in range(1, len(frames) + 1)]
    assert "end" in frames[-1]


def test_ask_reads_a_question_from_a_pipe(terminal: Terminal) -> None:
    """`gateway ask -`."""
    done = terminal.gateway("ask", "-", "--search", "always", stdin="what does a receipt hold?\n")
    assert (done.returncode, bool(done.stdout)) == (0, True)


def test_chat_from_a_pipe_answers_line_by_line(terminal: Terminal) -> None:
    """Each line is a turn of one conversation, each answer has its facts."""
    done = terminal.gateway("chat", "--search", "always", stdin="what is a receipt?\nand who reads it?\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("receipt ") >= 2
    assert len([line for line in done.stdout.splitlines() if line.startswith("embedded · ")]) == 2


def test_a_token_of_another_tenant_is_taken(terminal: Terminal) -> None:
    """`gateway token` mints it from the same data directory; GATEWAY_TOKEN shows it."""
    token = terminal.gateway("token", "--tenant", "acme", "--scope", "model.stream", "--ttl", "5m").stdout.strip()
    assert token.count(".") == 2
    environment = {**terminal.environment, "GATEWAY_GRPC_TARGET": terminal.target, "GATEWAY_TOKEN": token}
    done = run("ask", "what is a receipt?", "--json", folder=terminal.folder, environment=environment)
    assert done.returncode == 0, done.stderr
    receipts = terminal.gateway("receipts", "--tenant", "acme", "--format", "jsonl")
    assert [json.loads(line)["tenant"] for line in receipts.stdout.splitlines()] == ["acme"]


def test_a_file_that_was_indexed_is_found(terminal: Terminal) -> None:
    """`gateway index` beside the running gateway; the next answer quotes the file and names it."""
    page = terminal.folder / "zandvliet.md"
    page.write_text("# Harbour\n\nThe harbour of Zandvliet has exactly seventeen cranes.\n", encoding="utf-8")
    indexed = terminal.gateway("index", "zandvliet.md")
    answer = terminal.gateway("ask", "How many cranes has the harbour of Zandvliet?", "--search", "always")
    assert indexed.returncode == 0, indexed.stderr
    assert "seventeen cranes" in answer.stdout
    assert "doc:zandvliet.md" in answer.stdout


def test_receipts_are_listed_while_the_gateway_runs(terminal: Terminal) -> None:
    """The table has the receipt that `ask` printed; the totals add up what it lists."""
    asked = terminal.gateway("ask", "what is a receipt?")
    receipt = asked.stdout.rsplit("receipt ", 1)[1].split()[0]
    listed = terminal.gateway("receipts", "--limit", "500")
    totals = terminal.gateway("receipts", "--totals")
    assert receipt in listed.stdout
    assert "turns" in totals.stdout.splitlines()[0]
    assert (listed.returncode, totals.returncode) == (0, 0)


def test_the_plain_client_of_six_lines_needs_no_credential(terminal: Terminal) -> None:
    """Only under --dev: it imports the stubs, opens a channel and iterates."""
    program = f"""
import grpc, deepseek_pb2, deepseek_pb2_grpc
channel = grpc.insecure_channel("{terminal.target}")
stub = deepseek_pb2_grpc.DeepSeekStub(channel)
request = deepseek_pb2.ModelRequest(text="how does the gateway meter a broken stream?", max_tokens=200)
for part in stub.StreamPredict(request):
    print(part.text, end="", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 20


# --- a caller's trouble ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "variables", "code", "said"),
    [
        (("ask", " "), {}, 2, "there is no question"),
        (("ask",), {}, 2, "usage: gateway ask"),
        (("ask", "x", "--model", "nobody"), {}, 1, "ListModels"),
        (("ask", "x", "--max-tokens", "0"), {}, 2, "no number above 0"),
        (("ask", "x"), {"GATEWAY_TOKEN": "bad"}, 1, "set GATEWAY_TOKEN to a valid token"),
        (("ask", "x"), {"GATEWAY_GRPC_TARGET": "127.0.0.1:9"}, 1, "nothing answers at 127.0.0.1:9"),
        (("token", "--tenant", "BAD", "--scope", "x"), {}, 2, "lower-case"),
        (("index", "/nonexistent"), {}, 2, "/nonexistent"),
        (("receipts", "--data-dir", "/nonexistent"), {}, 1, "no receipts"),
        (("srve",), {}, 2, "did you mean serve?"),
        ((), {}, 2, "usage: gateway COMMAND"),
    ],
)
def test_trouble_is_told_in_words_with_an_exit_code(
    terminal: Terminal, words: tuple[str, ...], variables: dict[str, str], code: int, said: str
) -> None:
    """1 when the call failed, 2 for wrong usage; what to do stands in the message, and never a traceback."""
    environment = {
        **terminal.environment,
        "GATEWAY_GRPC_TARGET": terminal.target,
        "GATEWAY_DATA_DIR": str(terminal.folder / "data"),
        **variables,
    }
    done = run(*words, folder=terminal.folder, environment=environment)
    assert done.returncode == code, done
    assert said in done.stderr


# --- an operator's trouble ------------------------------------------------------------------------------


def refused(folder: Path, *words: str, config: str | bytes | None = None, **variables: str) -> tuple[int, str]:
    """Exit code and standard error of a gateway that does not start."""
    options = list(words)
    if config is not None:
        (folder / "gateway.toml").write_bytes(config.encode() if isinstance(config, str) else config)
        options += ["--config", "gateway.toml"]
    done = run("serve", *options, folder=folder, environment={**bare(folder), **variables})
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines
    assert all(line.startswith("gateway serve: ") for line in lines), done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", ["GRPC", "HTTP", "METRICS"])
def test_a_busy_port_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    """Exit code 1, the address, and the variable that moves it; gRPC's own complaints stay away."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        code, said = refused(tmp_path, "--dev", **{f"GATEWAY_{name}_ADDRESS": address})
    assert code == 1
    assert f"cannot listen on {address}" in said
    assert f"GATEWAY_{name}_ADDRESS" in said


def test_two_gateways_never_share_a_data_directory(tmp_path: Path) -> None:
    """The second is told which process keeps it and what to do; the first goes on."""
    with serving(tmp_path) as first:
        code, said = refused(tmp_path, "--dev")
        assert code == 1
        assert "Another gateway (process " in said
        assert "data directory of its own" in said
        assert first.gateway("ask", "what is a receipt?").returncode == 0


def test_a_file_in_place_of_the_data_directory_is_said(tmp_path: Path) -> None:
    """Exit code 1 and its path."""
    (tmp_path / "data").write_text("x", encoding="utf-8")
    code, said = refused(tmp_path, "--dev")
    assert code == 1
    assert str(tmp_path / "data") in said


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not on this machine")
def test_a_data_directory_without_permission_is_said(tmp_path: Path) -> None:
    """Exit code 1, the path, and who needs which right."""
    data = tmp_path / "data"
    data.mkdir(mode=0o500)
    # Root may write everywhere; without its capabilities it is a user like others, and this folder is another's.
    unprivileged = []
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
        unprivileged = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    done = subprocess.run(
        [*unprivileged, str(SCRIPT), "serve", "--dev"],
        env=bare(tmp_path),
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert str(data) in done.stderr
    assert "the right to read and write" in done.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[grpc\n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8 text"),
        ('[grpc]\naddres = "x"\n', "grpc.addres: unknown setting; did you mean address?"),
        ("[surch]\n", "surch: unknown setting; did you mean search?"),
        ("[grpc]\nmax_message_bytes = 0\n", "grpc.max_message_bytes: 0 must be above 0"),
        ("[timers]\ntotal_s = -1\n", "timers.total_s: -1.0 must be above 0"),
        ('[log]\nlevel = "loud"\n', "log.level: 'loud' is none of debug, info, warning, error"),
        ('[search]\nproviders = ["nobody"]\n', "there is no provider 'nobody'; there are"),
        ('[tenants.Acme]\nmodels = "x"\n', "tenants.Acme: a tenant is named"),
        ('[jwt]\nissuer = "https://id.example"\n', "jwt.audience: missing"),
        ('[billing]\nprice_book = "none.toml"\n', "cannot read none.toml"),
    ],
)
def test_a_bad_configuration_is_named_line_by_line(tmp_path: Path, config: str | bytes, said: str) -> None:
    """Exit code 2, and nothing was opened or written."""
    code, text = refused(tmp_path, "--dev", config=config)
    assert code == 2
    assert said in text
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GATEWAY_TIMERS_TOTAL_S": "soon"}, "timers.total_s: 'soon' is not a number"),
        ({"GATEWAY_GRPC_REFLECTION": "maybe"}, "grpc.reflection: 'maybe' is neither true nor false"),
        (
            {"DEEPSEEK_API_KEY": "two\nlines"},
            "deepseek.api_key: it holds characters that no HTTP header may carry",
        ),
        ({"DEEPSEEK_API_KEY": "k", "DEEPSEEK_BASE_URL": ""}, "deepseek.base_url: '' is not an http(s) URL"),
        ({"DEEPSEEK_BASE_URL": "http://other.example"}, "plain HTTP to another machine"),
        ({"DEEPSEEK_API_KEY_FILE": "/nonexistent"}, "DEEPSEEK_API_KEY_FILE: cannot read /nonexistent"),
        ({"GATEWAY_CONFIG": "/nonexistent.toml"}, "/nonexistent.toml: cannot be read"),
        ({"GATEWAY_GRPC_ADDRESS": "nowhere"}, "'nowhere' is not host:port, for example 127.0.0.1:50051"),
        ({"GATEWAY_GRPC_ADDRESS": "0.0.0.0:0"}, "--dev lets callers in without a credential"),
        ({"GATEWAY_HTTP_ADDRESS": "0.0.0.0:0"}, "http.address: --dev lets callers in without a credential"),
    ],
)
def test_a_bad_variable_is_named_by_its_setting(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    """Exit code 2; a secret is never repeated."""
    code, text = refused(tmp_path, "--dev", **variables)
    assert code == 2
    assert said in text
    assert "two" not in text


def test_several_faults_are_told_together(tmp_path: Path) -> None:
    """Nobody repairs a configuration one start at a time."""
    code, text = refused(tmp_path, "--dev", config="[surch]\n[grpc]\nreflection = 5\n", GATEWAY_LOG_LEVEL="loud")
    assert code == 2
    assert len(text.splitlines()) == 3


def test_without_dev_and_without_callers_it_does_not_start(tmp_path: Path) -> None:
    """A gateway that refuses everybody is a mistake; a key makes it start."""
    code, text = refused(tmp_path)
    assert code == 2
    assert "nobody could call this gateway" in text
