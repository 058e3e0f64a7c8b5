"""What an admission costs when Redis decides it: CPU here, and how much longer a turn waits for it."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from tests.bench.summary import percentile
from tests.support.redis_server import redis_server

LIMITS = TenantLimits(10**9, 10**10, 10**5, 1e6, 1e6)
TENANTS, WARM, ONE_BY_ONE, TOGETHER, AT_ONCE = 100, 300, 2_000, 6_000, 24


async def shared_decisions() -> dict[str, float]:
    """Reserve and settle with every limit set, over a hundred tenants; nothing where there is no redis-server."""
    if shutil.which("redis-server") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        with on_other_cores():
            url = stack.enter_context(redis_server(Path(folder)))
        limiter = RedisLimiter(RedisScript(url, timeout_s=5.0), "bench", lambda: "bench")
        try:
            return await _measured(limiter)
        finally:
            await limiter.aclose()


async def _measured(limiter: RedisLimiter) -> dict[str, float]:
    ids, waits = count(), list[float]()

    async def decide() -> None:
        number, begun = next(ids), time.perf_counter()
        tenant = f"t{number % TENANTS}"
        reservation = await limiter.reserve(f"r{number}", tenant, LIMITS, Hold(1000, 1000))
        waits.append((time.perf_counter() - begun) * 1000)
        await limiter.settle(reservation, Hold(500, 500))

    async def several(times: int) -> None:
        for _ in range(times):
            await decide()

    await several(WARM)
    waits.clear()
    await several(ONE_BY_ONE)
    alone = list(waits)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(several(TOGETHER // AT_ONCE) for _ in range(AT_ONCE)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if limiter.alone:
        raise RuntimeError("Redis was too slow on this machine to be measured")
    return {
        "shared_decision_us": cpu / TOGETHER * 1e6,
        "shared_decisions_per_s": TOGETHER / wall,
        "shared_wait_p50_ms": percentile(alone, 0.5),
        "shared_wait_p99_ms": percentile(alone, 0.99),
    }


@contextmanager
def on_other_cores() -> Iterator[None]:
    """What is started on entering runs beside the measured process, not on its core."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - own or own)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
