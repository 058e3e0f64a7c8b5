"""Deletes receipts for an operator, beside gateways that run: small batches, so that nobody waits long."""

import time
from collections.abc import Iterator
from pathlib import Path

from gateway.ledger import stores
from gateway.ledger.rows import Malformed
from gateway.ledger.store import Session, Store, unusable
from gateway.ledger.works import forget_work

BATCH = 200
PAUSE_S = 0.02


class ReceiptEraser:
    """The receipts of one data directory, or of the database at `url`, for deleting."""

    def __init__(self, directory: Path, url: str = "") -> None:
        self._store: Store = stores.store(directory, url)

    def erase(self, tenant: str, before: float) -> Iterator[int]:
        """How many of this tenant's closed receipts of before a moment each batch deleted. Raises OperatorError.

        A running turn keeps its receipt.
        """
        # This looks whether the database can be used at all, and is of this version.
        self._store.read_only().close()
        try:
            connection = self._store.connect()
            try:
                while forgotten := self._batch(Session(connection, self._store.say), tenant, before):
                    yield forgotten
                    time.sleep(PAUSE_S)
            finally:
                self._store.disconnect(connection)
        except Malformed as error:
            raise unusable(str(error)) from error
        except self._store.errors as error:
            raise unusable(self._store.advice(error)) from error

    def _batch(self, session: Session, tenant: str, before: float) -> int:
        session.connection.execute(self._store.begin)
        forgotten = forget_work(session.say, tenant, before, BATCH).run(session)
        session.connection.execute("COMMIT")
        return forgotten
