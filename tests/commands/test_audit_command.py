"""`gateway audit`: what an operator is told of an audit, and by which exit code."""

import json
from pathlib import Path

import pytest

from gateway import cli
from gateway.audit.folder import segments
from gateway.audit.opening import Keeping
from tests.support.audit import audit, turns


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    """A data directory with the audit of two tenants."""
    async with audit(Keeping(tmp_path / "audit")) as opened:
        await turns(opened, range(1, 4))
        await turns(opened, range(4, 6), "zeta")
    return tmp_path


def damaged(data_dir: Path) -> Path:
    """The audit with one bit of one record changed."""
    path = segments(data_dir / "audit" / "a0")[0]
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    return path


def test_a_whole_audit_is_said_to_be_whole(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With counts and the head, as text and as JSON."""
    assert cli.main(["audit", "verify", "--data-dir", str(data_dir)]) == 0
    said = capsys.readouterr().out
    assert "chain a0: whole\n  12 records in 1 segments, 5 intents, 5 outcomes, 0 intents without one" in said
    assert cli.main(["audit", "verify", "--json", str(data_dir / "audit")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["whole"], found["records"], found["open"], found["sealed"]) == (True, 12, [], True)
    assert found["head"]["hash"] in said


def test_a_broken_audit_is_named_with_file_and_byte(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, for every act; what stands before the break is listed."""
    path = damaged(data_dir)
    for act in ("verify", "head", "list"):
        assert cli.main(["audit", act, str(data_dir / "audit")]) == 1
        told = "".join(capsys.readouterr())
        assert f"{path}, at byte " in told


def test_a_head_that_was_kept_vouches_for_what_stands_before_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cutting off the end, which the chain cannot see, is seen by it."""
    folder = data_dir / "audit"
    assert cli.main(["audit", "head", str(folder)]) == 0
    heads = data_dir / "heads.txt"
    heads.write_text(f"# kept elsewhere\n{capsys.readouterr().out}")
    assert cli.main(["audit", "verify", "--head", str(heads), str(folder)]) == 0
    assert "1 kept heads fit" in capsys.readouterr().out
    segments(folder / "a0")[0].write_bytes(segments(folder / "a0")[0].read_bytes()[:-40])
    assert cli.main(["audit", "verify", str(folder)]) == 0
    assert cli.main(["audit", "verify", "--head", str(heads), str(folder)]) == 1
    heads.write_text("nonsense\n")
    assert cli.main(["audit", "verify", "--head", str(heads), str(folder)]) == 2
    assert "line 1 is no head" in capsys.readouterr().err


def test_records_are_listed_by_tenant_receipt_and_time(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table and as JSON lines, each intent with its outcome."""
    folder = str(data_dir / "audit")
    assert cli.main(["audit", "list", "--tenant", "zeta", folder]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 3
    assert all(" zeta " in line and "192.0.2.7" in line and " stop " in line for line in table[1:])
    assert cli.main(["audit", "list", "--receipt", "r2", "--json", folder]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["intent"]["tenant"], line["outcome"]["cost_nano_usd"]) == ("acme", 2000)
    assert line["outcome"]["sources"][0]["url"] == "https://example.org/tides"
    assert cli.main(["audit", "list", "--since", "2100-01-01", folder]) == 0
    assert capsys.readouterr().out == "no records\n"


def test_wrong_words_and_missing_folders_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is 2, an audit that is not there is 1."""
    assert cli.main(["audit"]) == 2
    assert cli.main(["audit", "list", "--since", "yesterday"]) == 2
    assert cli.main(["audit", "verify", "--data-dir", str(tmp_path)]) == 1
    assert "was the gateway started there?" in capsys.readouterr().err
