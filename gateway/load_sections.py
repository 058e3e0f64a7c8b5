"""The `[slots]` and `[overload]` tables: how much is taken on at once, and what happens when it is too much."""

from dataclasses import dataclass

from gateway import schema
from gateway.schema import setting


@dataclass(frozen=True, slots=True)
class Slots:
    """How many calls of models there are at once, over all workers, and how turns wait for one.

    `calls_at_once` holds `MODEL=N` or `UPSTREAM/MODEL=N` beside what is known of DeepSeek; four fifths of it are
    used, 0 = no limit. A turn waits for at most `wait_s` seconds, and at most `waiting` turns wait for one model
    in one worker.
    """

    enabled: bool = setting(True)
    calls_at_once: tuple[str, ...] = setting((), check=schema.numbered)
    wait_s: float = setting(10.0, check=schema.positive)
    waiting: int = setting(1000, check=schema.not_negative)


@dataclass(frozen=True, slots=True)
class Overload:
    """The ladder that a worker climbs under load. Times in seconds; `memory_bytes` 0 = the container's limit.

    `enabled` false: nothing is given up, only what is full is refused.
    """

    enabled: bool = setting(True)
    enter_after_s: float = setting(2.0, check=schema.not_negative)
    leave_after_s: float = setting(10.0, check=schema.not_negative)
    memory_bytes: int = setting(0, check=schema.not_negative)
