"""Reads receipts beside a running gateway, or when none runs; never writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.receipt import Receipt
from gateway.ledger.files import NAME, connect_read_only, unavailable
from gateway.ledger.sqlite import newest

_SUMS = (
    "COUNT(*), SUM(finish IS NULL), SUM(settled_prompt_tokens), SUM(settled_cached_prompt_tokens),"
    " SUM(settled_completion_tokens), SUM(settled_search_calls), SUM(settled_cost_nano_usd)"
)
_BY = {
    "tenant": ("tenant", "receipts"),
    "model": ("model", "receipts"),
    "label": ("label.key || '=' || label.value", "receipts, json_each(receipts.labels) AS label"),
}


@dataclass(frozen=True, slots=True)
class Total:
    """What all turns of one tenant, of one model or under one label used and cost. `running` have not ended."""

    by: str
    name: str
    turns: int
    running: int
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    search_calls: int
    cost_nano_usd: int


class ReceiptReader:
    """The receipts of one data directory, for reading. Every method raises OperatorError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def recent(self, tenant: str | None, limit: int) -> list[Receipt]:
        """The newest receipts first, of one tenant or of all."""
        with self._open() as connection:
            return newest(connection, tenant, limit)

    def totals(self, tenant: str | None) -> list[Total]:
        """Totals by tenant, by model and by label, the dearest first in each."""
        where, values = ("", ()) if tenant is None else (" WHERE tenant = ?", (tenant,))
        found = []
        with self._open() as connection:
            for by, (name, source) in _BY.items():
                query = f"SELECT {name}, {_SUMS} FROM {source}{where} GROUP BY 1 ORDER BY 8 DESC, 1"  # noqa: S608 - constants
                found += [Total(by, *row) for row in connection.execute(query, values)]
        return found

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect_read_only(self._directory)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise unavailable(self._directory / NAME, error) from error
