"""Revocations that every worker and replica hears of: one hash in Redis, and a channel that says when it changed.

No call ever waits for Redis: a task of its own listens, and looks every two seconds in case a message was lost.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.auth.revocation import FOREVER, Revocation, read_revocation
from gateway.auth.revocations import Revocations
from gateway.auth.strict_json import parse_object
from gateway.domain.errors import OperatorError, Reason

ENTRIES = "gateway:revocations"
VERSION = "gateway:revocations:version"
CHANNEL = "gateway:revocations:changed"
TIMEOUT_S = 1.0
LOOK_EVERY_S = 2.0
RETRY_S = 1.0

_log = logging.getLogger(__name__)
T = TypeVar("T")
_FAILURES = (RedisError, OSError, TimeoutError)


class SharedRevocations:
    """The list in the Redis at `url`."""

    def __init__(self, url: str) -> None:
        """Raises OperatorError for what is no Redis URL."""
        self._trouble = ""
        try:
            self._redis: redis.asyncio.Redis = redis.asyncio.from_url(
                url,
                protocol=2,
                decode_responses=True,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                # redis-py would try ten times over, for seconds.
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise OperatorError(Reason.INTERNAL, f"redis.url: {error}") from error

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._redis.aclose()

    async def add(self, revocation: Revocation, now: float) -> None:
        """Revokes everywhere, and drops what has run out. Raises OperatorError when Redis cannot be reached."""
        expired = await self._call(lambda: self._expired(now))
        await self._write(expired, revocation)

    async def lift(self, revocation: Revocation) -> None:
        """Takes one back everywhere. Raises OperatorError when Redis cannot be reached."""
        await self._write([_field(revocation)], None)

    async def follow(self, heard: Revocations, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Tells `heard` of every change, for ever; what it knows stands while Redis is away."""
        while not _cancelled():
            try:
                await self._listen(heard)
            except _FAILURES as error:
                self._tell(f"cannot be heard, the last ones stay: {type(error).__name__}; look at redis.url")
            except (OperatorError, ValueError) as error:
                self._tell(f"cannot be used, the last ones stay: {error}")
            await sleep(RETRY_S)

    async def _listen(self, heard: Revocations) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(CHANNEL)
            known: str | None = None
            while not _cancelled():
                known = await self._look(heard, known)
                self._tell("")
                await channel.get_message(timeout=LOOK_EVERY_S)

    def _tell(self, trouble: str) -> None:
        """Each trouble once, however long it lasts, and its end."""
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("the shared revocations %s", trouble or "are heard again")

    async def _look(self, heard: Revocations, known: str | None) -> str | None:
        # The version first: a change between the two reads is seen as one more change, never missed.
        version = str(await self._redis.get(VERSION))
        if version == known:
            heard.confirm()
            return known
        await heard.hear([_parsed(text) for text in (await self._entries()).values()])
        return version

    async def _expired(self, now: float) -> list[str]:
        entries = await self._entries()
        return [field for field, text in entries.items() if FOREVER < _parsed(text).until <= now]

    async def _entries(self) -> dict[str, str]:
        entries = await self._redis.hgetall(ENTRIES)
        return {str(field): str(text) for field, text in entries.items()}

    async def _write(self, gone: list[str], new: Revocation | None) -> None:
        async def write() -> None:
            async with self._redis.pipeline(transaction=True) as batch:
                if gone:
                    batch.hdel(ENTRIES, *gone)
                if new is not None:
                    batch.hset(ENTRIES, _field(new), json.dumps(asdict(new)))
                version = secrets.token_hex(8)
                batch.set(VERSION, version)
                batch.publish(CHANNEL, version)
                await batch.execute()

        await self._call(write)

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except _FAILURES as error:
            advice = "check GATEWAY_REDIS_URL and call again; on this machine's data directory it is in force"
            raise OperatorError(
                Reason.INTERNAL, f"Redis cannot be reached ({type(error).__name__}); {advice}"
            ) from error


def _cancelled() -> bool:
    """Whether this task is to end: redis-py waits in ways that may take a cancellation for an answer."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _field(revocation: Revocation) -> str:
    return json.dumps([str(part) for part in revocation.key])


def _parsed(text: str) -> Revocation:
    return read_revocation(parse_object(text.encode("utf-8")), "a shared revocation")


def create(url: str) -> SharedRevocations:
    """What is loaded by name where a URL is set. Raises OperatorError for what is no Redis URL."""
    return SharedRevocations(url)
