"""`gateway index` reports what it did in lines a person can read, and in its exit code."""

import argparse
from pathlib import Path

import pytest

from gateway.commands import index


def run(*words: str) -> int:
    """The command with these words."""
    parser = argparse.ArgumentParser()
    index.configure(parser)
    return index.run(parser.parse_args(words))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with a page, a text, a broken PDF and a picture."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nText.")
    (folder / "b.txt").write_text("Text.")
    (folder / "c.pdf").write_bytes(b"%PDF-1.4 torn")
    (folder / "d.png").write_bytes(b"\x89PNG\x00")
    return folder


def test_the_report_counts_each_class_of_files(
    docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults come one by one with the reason, the rest is counted."""
    assert run(str(docs), "--data-dir", str(tmp_path / "state")) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"skipped {docs}/c.pdf: broken PDF; save it again from the program that made it",
        "Markdown: 1 added, 0 updated, 0 unchanged, 0 removed, 0 skipped",
        "PDF: 0 added, 0 updated, 0 unchanged, 0 removed, 1 skipped",
        "other: 0 added, 0 updated, 0 unchanged, 0 removed, 1 skipped",
        "text: 1 added, 0 updated, 0 unchanged, 0 removed, 0 skipped",
        "total: 2 added, 0 updated, 0 unchanged, 0 removed, 2 skipped",
    ]
    assert (tmp_path / "state" / "index.db").is_file()


def test_many_faults_are_not_all_shown(docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list ends after twenty."""
    for number in range(30):
        (docs / f"{number}.pdf").write_bytes(b"torn")
    assert run(str(docs), "--data-dir", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("skipped ") for line in lines) == 21
    assert "skipped 11 more" in lines


def test_nothing_indexed_is_a_failure(docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder full of pictures is probably the wrong folder."""
    for name in ("a.md", "b.txt"):
        (docs / name).unlink()
    assert run(str(docs), "--data-dir", str(tmp_path)) == 1
    assert "nothing could be indexed" in capsys.readouterr().err


def test_emptying_the_index_is_no_failure(docs: Path, tmp_path: Path) -> None:
    """The files are gone, and so are their documents: that was the wish."""
    assert run(str(docs), "--data-dir", str(tmp_path)) == 0
    for file in docs.iterdir():
        file.unlink()
    assert run(str(docs), "--data-dir", str(tmp_path)) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [(["missing.md"], "no such file or folder: missing.md"), ([".", "--tenant", "No"], "'No' is no tenant name")],
)
def test_wrong_words_are_wrong_usage(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that is not there and a name that cannot be: exit 2, and nothing is written."""
    assert run(*words, "--data-dir", str(tmp_path / "state")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_a_damaged_index_is_a_failure(docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what to do."""
    (tmp_path / "index.db").write_bytes(b"no database, though it is long enough to look like one " * 40)
    assert run(str(docs), "--data-dir", str(tmp_path)) == 1
    assert "delete index.db* in the data directory and index again" in capsys.readouterr().err
