"""Limits over a Redis Cluster: everything of a tenant lies on one node, whichever it is."""

from itertools import count
from pathlib import Path

import pytest

from gateway.domain.errors import LimitError
from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold, Scope, ScopeKind
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from tests.support.redis_server import redis_cluster

LIMITS = TenantLimits(1, 1_000, 1, 1.0, 1.0)


async def test_every_act_works_for_tenants_on_every_node(tmp_path: Path) -> None:
    """Thirty tenants over three nodes: hold, refuse, show, settle, restore, tell, heartbeat."""
    ids = map(str, count())
    with redis_cluster(tmp_path) as url:
        limiter = RedisLimiter(RedisScript(url, cluster=True, timeout_s=30.0), "w", lambda: next(ids))
        for number in range(30):
            tenant, alice = f"tenant-{number}", Scope(ScopeKind.SUBJECT, "alice", LIMITS)
            limiter.upkeep.restore(tenant, LIMITS, 100, 100)
            reservation = await limiter.reserve(f"r{number}", tenant, LIMITS, Hold(10, 10), [alice])
            with pytest.raises(LimitError):
                await limiter.reserve(f"s{number}", tenant, LIMITS, Hold(10, 10), [alice])
            await limiter.upkeep.look()
            await limiter.settle(reservation, Hold(5, 5))
            money = {a.scope: a.remaining for a in await limiter.allowances(tenant, LIMITS, [alice])}
            assert set(money) == {f"tenant:{tenant}", "subject:alice"}
        assert not limiter.alone
        await limiter.aclose()
