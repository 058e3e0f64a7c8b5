"""Reads receipts beside running gateways, or when none runs; never writes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.receipt import Receipt
from gateway.ledger import stores
from gateway.ledger.rows import Malformed
from gateway.ledger.store import Row, Session, Store, unusable
from gateway.ledger.works import list_work

_Sums = tuple[int, ...]


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
    """The receipts of one data directory, or of the database at `url`. Every method raises OperatorError."""

    def __init__(self, directory: Path, url: str = "") -> None:
        self._store: Store = stores.store(directory, url)

    def recent(self, tenant: str | None, limit: int) -> list[Receipt]:
        """The newest receipts first, of one tenant or of all."""
        say = self._store.say
        with self._open() as session:
            if tenant is None:
                return list_work(say.newest, limit).run(session)
            return list_work(say.newest_of_tenant, tenant, limit).run(session)

    def totals(self, tenant: str | None) -> list[Total]:
        """Totals by tenant, by model and by label, the dearest first in each."""
        with self._open() as session:
            if tenant is None:
                rows = session.connection.execute(session.say.totals).fetchall()
            else:
                rows = session.connection.execute(session.say.totals_of_tenant, (tenant,)).fetchall()
        return _totals(rows)

    @contextmanager
    def _open(self) -> Iterator[Session]:
        try:
            with closing(self._store.read_only()) as connection:
                yield Session(connection, self._store.say)
        except Malformed as error:
            raise unusable(str(error)) from error
        except self._store.errors as error:
            raise unusable(self._store.advice(error)) from error


def _totals(rows: Iterable[Row]) -> list[Total]:
    """The rows are the sums of one tenant, model and set of labels each."""
    found: dict[tuple[int, str, str], _Sums] = defaultdict(tuple)
    for tenant, model, labels, *raw in rows:
        sums = tuple(int(str(amount)) for amount in raw)
        names = [(0, "tenant", str(tenant)), (1, "model", str(model))]
        names += [(2, "label", f"{key}={value}") for key, value in json.loads(str(labels)).items()]
        for name in names:
            found[name] = tuple(map(sum, zip(found[name], sums, strict=True))) if name in found else sums
    dearest_first = sorted(found.items(), key=lambda item: (item[0][0], -item[1][-1], item[0][2]))
    return [Total(by, name, *sums) for (_, by, name), sums in dearest_first]
