"""Counting with a tokenizer's own file, and what is said where that cannot be."""

import importlib.util
import json
from pathlib import Path

import pytest

from gateway.domain.errors import OperatorError
from gateway.domain.turn import Message, Role
from gateway.limits.estimate import count_text, prompt_tokens
from gateway.limits.tokenizer import EXACT_CHARACTERS, counting, load_tokenizer

installed = pytest.mark.skipif(
    importlib.util.find_spec("tokenizers") is None, reason="the extra `tokenizer` is not installed"
)
WORDS = {"[UNK]": 0, "how": 1, "are": 2, "limits": 3, "shared": 4}
FILE = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"},
}


def words(text: str) -> int:
    """A tokenizer whose tokens are words."""
    return len(text.split())


@installed
def test_the_file_of_the_operator_counts(tmp_path: Path) -> None:
    """One token for each word of its vocabulary, and none for nothing."""
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(FILE), encoding="utf-8")
    count = load_tokenizer(path)
    assert (count("how are limits shared"), count("")) == (4, 0)


@installed
@pytest.mark.parametrize("content", [b"{}", b"not json", b"\xff\xfe"])
def test_a_file_that_is_none_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """The error names the setting and the file."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(OperatorError, match=r"deepseek\.tokenizer_file: .*tokenizer\.json"):
        load_tokenizer(path)


def test_without_the_package_or_the_file_the_error_says_what_to_do(tmp_path: Path) -> None:
    """Either the extra is to be installed, or the file cannot be read."""
    with pytest.raises(OperatorError, match=r"pip install|cannot be read"):
        load_tokenizer(tmp_path / "missing.json")


def test_a_long_text_is_counted_at_its_head_and_estimated_beyond() -> None:
    """No text holds up the others; an even text comes out as if it were counted whole."""
    text = "limits " * EXACT_CHARACTERS
    asked: list[int] = []

    def encoded(part: str) -> int:
        asked.append(len(part))
        return words(part)

    assert counting(encoded)(text) == pytest.approx(words(text), rel=0.01)
    assert max(asked) <= EXACT_CHARACTERS


def test_a_prompt_is_counted_by_the_counter_it_is_given() -> None:
    """The frames of the chat template are added to either."""
    messages = [Message(Role.USER, "one two three four five six seven")]
    frames = prompt_tokens(messages) - count_text(messages[0].text)
    assert prompt_tokens(messages, count=words) == frames + 7
