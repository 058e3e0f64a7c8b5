"""What single stations cost, called in a loop without a server: `python -m tests.bench.inside` prints JSON."""

import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from gateway.auth import Authenticator
from gateway.auth.api_key import ApiKeyAuthenticator, ApiKeyFile
from gateway.domain.call import Credentials
from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold
from gateway.limits.memory import MemoryLimiter
from gateway.search import ProviderOptions, SearchQuery, Shared
from gateway.search.embedded import create
from gateway.search.vendor_http import VendorHttp
from tests.bench.answer_cache import answers_from_cache
from tests.bench.shared_limits import shared_decisions
from tests.bench.summary import percentile
from tests.support.identity import EVERY_ALGORITHM, authenticator, claims, header, token

DECISIONS, TENANTS = 20_000, 100
TOKENS, REPEATS = 300, 20_000
QUERIES = (
    "how does the gateway meter a broken stream",
    "which claims must a token have",
    "网关如何计费",
    "rate limits and retry",
    "what happens when the upstream is down",
)


async def main() -> None:
    """Measures everything here."""
    found = {
        **await decisions(),
        **await shared_decisions(),
        **await identities(),
        **await searches(),
        **await answers_from_cache(),
    }
    print(json.dumps(found), flush=True)


async def decisions() -> dict[str, float]:
    """Reserve and settle with every limit set, over a hundred tenants."""
    limiter = MemoryLimiter(time.time, time.monotonic)
    limits = TenantLimits(10**9, 10**12, 10**5, 1e6, 1e6)

    async def decide(i: int) -> None:
        reservation = await limiter.reserve(f"r{i}", f"t{i % TENANTS}", limits, Hold(1000, 1000))
        await limiter.settle(reservation, Hold(500, 500))

    cost = await _cpu_us(decide, DECISIONS)
    return {"decision_us": cost, "decisions_per_s": 1e6 / cost}


async def identities() -> dict[str, float]:
    """Each kind of credential when it is seen first, and again."""
    found: dict[str, float] = {}
    for kid, alg in (("rs", "RS256"), ("es", "ES256"), ("ed", "EdDSA")):
        tokens = [
            token(header(kid=kid, alg=alg), claims(jti=f"token-{i}"), signer=alg, alg=alg) for i in range(TOKENS)
        ]
        found |= await _first_and_again(alg, authenticator(EVERY_ALGORITHM), tokens)
    with tempfile.TemporaryDirectory() as folder:
        file = ApiKeyFile(Path(folder))
        api_keys = [file.create("acme", "model.stream", time.time())[0] for _ in range(20)]
        found |= await _first_and_again("api_key", ApiKeyAuthenticator(file), api_keys)
    return found


async def searches() -> dict[str, float]:
    """The embedded index as it ships, one query after the other."""
    with tempfile.TemporaryDirectory() as folder:
        provider = await create(ProviderOptions(), Shared(Path(folder), VendorHttp()))
        times = []
        for i in range(len(QUERIES) * 40):
            begun = time.perf_counter()
            await provider.search(SearchQuery(QUERIES[i % len(QUERIES)], 8, tenant="acme"))
            times.append((time.perf_counter() - begun) * 1000)
        await provider.aclose()
    return {"search_p50_ms": percentile(times, 0.5), "search_p99_ms": percentile(times, 0.99)}


async def _first_and_again(name: str, authenticator: Authenticator, bearers: list[str]) -> dict[str, float]:
    async def authenticate(i: int) -> None:
        await authenticator.authenticate(Credentials(bearers[i % len(bearers)]))

    first = await _cpu_us(authenticate, len(bearers))
    return {f"{name}_first_us": first, f"{name}_again_us": await _cpu_us(authenticate, REPEATS)}


async def _cpu_us(act: Callable[[int], Awaitable[None]], times: int) -> float:
    begun = time.process_time()
    for i in range(times):
        await act(i)
    return (time.process_time() - begun) / times * 1e6


if __name__ == "__main__":
    uvloop.run(main())
