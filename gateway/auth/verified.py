"""Tokens that were verified a moment ago, so that the next call with the same one costs a hash."""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.auth.key_source import KeySource
from gateway.domain.call import Caller


@dataclass(frozen=True, slots=True)
class _Entry:
    caller: Caller
    keys: KeySource
    generation: int


class VerifiedTokens:
    """The least recently used ones go first. Entries are named by the digest of the token, never by the token.

    A digest costs 1-2 us where the token itself as a key would cost half of one; for that no dump of the memory
    holds credentials that still work, and an entry is small however long the token is.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, digest: bytes, now: float) -> Caller | None:
        """The caller behind the token, until it expires or its issuer's keys change. `now` since the epoch."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if now >= entry.caller.expires_at or not entry.keys.holds(entry.generation):
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return entry.caller

    def add(self, digest: bytes, caller: Caller, keys: KeySource) -> None:
        """Remembers a token that was just verified with the keys as they are now."""
        self._entries[digest] = _Entry(caller, keys, keys.generation)
        self._entries.move_to_end(digest)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forgets every token."""
        self._entries.clear()
