"""An issuer's keys from a JWK set on disk, for installations whose issuer cannot be reached."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.auth.key_source import StaticKeys, read_verifying_keys
from gateway.auth.policy import IssuerPolicy
from gateway.auth.signatures import VerifyingKey
from gateway.auth.snapshot import FileSnapshot

_log = logging.getLogger(__name__)


class FileKeys(StaticKeys):
    """Follows the file; a bad new one keeps the keys of the last good one.

    Raises OperatorError when there is no good file to begin with.
    """

    def __init__(self, path: Path, policy: IssuerPolicy, *, clock: Callable[[], float] = time.monotonic) -> None:
        def parse(document: bytes) -> Mapping[str, VerifyingKey]:
            keys, skipped = read_verifying_keys(document, policy)
            for reason in skipped:
                _log.warning("%s: an entry was skipped: %s", path, reason)
            return keys

        self._file = FileSnapshot(path, parse, clock=clock)
        super().__init__(self._file.current())

    def holds(self, generation: int) -> bool:
        self.replace(self._file.current())
        return super().holds(generation)

    async def find(self, key_id: str) -> VerifyingKey | None:
        self.replace(self._file.current())
        return await super().find(key_id)
