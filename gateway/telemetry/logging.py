"""Logs: one JSON object a line on standard error, one line per turn, never a secret and never a prompt."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any

import orjson
import structlog

from gateway.domain.masking import MASK, holds_secret
from gateway.domain.record import TurnRecord

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
SECRET_NAMES = re.compile(r"(?i)authorization|api_?key|secret|password|token$|bearer|cookie")
WINDOW_S = 1.0


def configure(level: str, style: str) -> None:
    """Sends the gateway's own log and what libraries log to standard error, through one redaction."""
    renderer = (
        structlog.dev.ConsoleRenderer(colors=False)
        if style == "console"
        else structlog.processors.JSONRenderer(_to_json)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[_drop_internals, redact, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))


def redact(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Masks every value that is, or holds, a secret."""
    for key, value in event.items():
        if _names_a_secret(key) or (isinstance(value, str) and holds_secret(value)):
            event[key] = MASK
    return event


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return SECRET_NAMES.search(key) is not None


def _to_json(event: object, default: Callable[[Any], Any]) -> str:  # Any: json's own protocol for strange values
    """A line of JSON; what the fast encoder refuses, such as names of files that are no UTF-8, is escaped."""
    try:
        return orjson.dumps(event, default=default).decode()
    except TypeError:
        return json.dumps(event, default=default)


def _drop_internals(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    return {key: value for key, value in event.items() if not key.startswith("_")}


class TurnLog:
    """Writes one line per turn; a flood of refusals is at most two lines a second for each tenant and reason."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger()
        self._now = now
        self._repeats: dict[tuple[str, str, str], int] = {}
        self._window = now()

    def ended(self, record: TurnRecord) -> None:
        """The line of a settled turn."""
        receipt, used = record.receipt, record.receipt.settled
        self._log.info(
            "turn",
            receipt=receipt.receipt_id,
            request=receipt.request_id,
            tenant=receipt.tenant,
            subject=receipt.subject,
            method=record.call.method,
            peer=record.call.peer,
            model=receipt.model,
            served_by=receipt.served_by,
            finish=receipt.finish.name if receipt.finish else "",
            reason=receipt.reason,
            degraded=receipt.degraded,
            cache=receipt.cache_level,
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            searches=used.search_calls,
            search_ms=None if record.search_s is None else round(record.search_s * 1000, 2),
            connect_overlap_ms=round(record.connect_overlap_s * 1000, 2),
            cost_nano_usd=used.cost_nano_usd,
            basis=used.basis.name,
            first_output_ms=None if record.first_output_s is None else round(record.first_output_s * 1000, 2),
            longest_gap_ms=round(record.longest_gap_s * 1000, 2),
            duration_ms=round(record.duration_s * 1000, 2),
            events=record.events,
            batches=record.batches,
            attempts=[f"{attempt.upstream}: {attempt.outcome}" for attempt in receipt.attempts],
        )

    def refused(self, method: str, tenant: str, reason: str) -> None:
        """Writes a line for the first refusal of its kind in a second, and counts the rest of that second."""
        if self._now() - self._window >= WINDOW_S:
            self.flush()
        key = (method, tenant, reason)
        if key not in self._repeats:
            self._repeats[key] = 0
            self._log.warning("refused", method=method, tenant=tenant, reason=reason)
        else:
            self._repeats[key] += 1

    def flush(self) -> None:
        """Writes how often the refusals of the last second were repeated."""
        repeats, self._repeats = self._repeats, {}
        self._window = self._now()
        for (method, tenant, reason), count in repeats.items():
            if count:
                self._log.warning("refused_again", method=method, tenant=tenant, reason=reason, count=count)

    def broke(self, method: str, request_id: str, error: BaseException) -> None:
        """A bug, by its kind and its place; its text may hold anything, so it stays out."""
        frames = traceback.extract_tb(error.__traceback__)
        place = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
        self._log.error("bug", method=method, request=request_id, kind=type(error).__name__, place=place)

    def note(self, event: str, **facts: object) -> None:
        """A line of the server's own life: started, draining, stopped."""
        self._log.info(event, **facts)

    def warn(self, event: str, **facts: object) -> None:
        """Something an operator should look at."""
        self._log.warning(event, **facts)
