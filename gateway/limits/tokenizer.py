"""Counts tokens with a vendor's own tokenizer, from the file that the operator gives.

The file is DeepSeek's `tokenizer.json`; reading it needs the package `tokenizers`, which is an extra. Nothing is
ever downloaded.
"""

import importlib
from pathlib import Path
from typing import Any

from gateway.domain.errors import OperatorError, Reason
from gateway.limits.estimate import CountText, count_text

EXACT_CHARACTERS = 16_384
"""A longer text is counted this far, and the estimate of the rest is corrected by what that showed: encoding a
megabyte would hold up every other stream."""


def load_tokenizer(path: Path) -> CountText:
    """Counts texts with the tokenizer in this file. Raises OperatorError, which says what to do."""
    try:
        tokenizers: Any = importlib.import_module("tokenizers")  # Any: an extra that type checkers may not see
    except ImportError as error:
        raise _unusable("reading it needs a package: pip install 'inference-gateway[server,tokenizer]'") from error
    try:
        tokenizer = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"{path} cannot be read: {error}") from error
    except Exception as error:
        raise _unusable(f"{path} is no tokenizer.json: {error}") from error

    def encoded(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    return counting(encoded)


def counting(encoded: CountText) -> CountText:
    """Exact up to `EXACT_CHARACTERS`; beyond, the estimate, corrected by how wrong it was for the first ones."""

    def count(text: str) -> int:
        if len(text) <= EXACT_CHARACTERS:
            return encoded(text) if text else 0
        head = text[:EXACT_CHARACTERS]
        return -(-count_text(text) * encoded(head) // max(count_text(head), 1))

    return count


def _unusable(what: str) -> OperatorError:
    return OperatorError(Reason.INTERNAL, f"deepseek.tokenizer_file: {what}")
