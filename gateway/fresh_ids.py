"""Random ids for requests, turns and receipts: 128 bits, 32 hexadecimal digits; fetched ahead."""

import os
from collections import deque

AHEAD = 64
"""How many are fetched from the system together: a turn needs three, and a visit costs more than all of them."""

_ids: deque[str] = deque()


def new_id() -> str:
    """An id that nobody else has and nobody can guess."""
    try:
        return _ids.popleft()
    except IndexError:
        return _fetched()


def _fetched() -> str:
    digits = os.urandom(16 * AHEAD).hex()
    _ids.extend(digits[i : i + 32] for i in range(0, len(digits), 32))
    return _ids.popleft()


# A process that splits off must not give out the ids that its parent holds.
os.register_at_fork(after_in_child=_ids.clear)
