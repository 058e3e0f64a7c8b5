"""docs/errors.md is what the error table says, and explains every reason there is."""

import runpy
from pathlib import Path

from gateway.domain.errors import Reason
from gateway.server.status import TABLE

DOCS = Path(__file__).resolve().parents[2] / "docs"
WRITTEN = runpy.run_path(str(DOCS / "generate_errors.py"))


def test_every_reason_is_explained() -> None:
    """A new reason needs its words, and words need a reason."""
    assert set(WRITTEN["WORDS"]) == set(Reason) == set(TABLE)


def test_the_page_is_what_the_table_says() -> None:
    """Whoever changes the table runs docs/generate_errors.py and commits the page."""
    assert (DOCS / "errors.md").read_text("utf-8") == WRITTEN["page"]()


def test_what_waiting_helps_is_retryable() -> None:
    """The sections do not contradict the column beside them; a lost disk may come back as well."""
    wait, audit = WRITTEN["WAIT"], Reason.AUDIT_UNAVAILABLE
    assert {r for r, row in TABLE.items() if row.retryable} == {
        r for r, words in WRITTEN["WORDS"].items() if words[0] == wait
    } | {audit}
