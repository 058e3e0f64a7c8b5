"""Which provider is asked what, within the calls that a turn allows; pure.

Every provider is asked the first query before any is asked the second, and every call is made before any provider
turns a page: with few calls allowed, many different answers beat many answers of one kind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

MAX_QUERIES = 3
"""How many queries a question may become."""

CallsFor = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """One provider asked one query, for at most `max_results`, which takes it `calls` calls."""

    provider: str
    terms: str
    max_results: int
    calls: int


def planned(
    providers: Mapping[str, CallsFor], queries: Sequence[str], max_results: int, max_calls: int
) -> tuple[list[Asked], list[str]]:
    """What is asked, and the providers for which no call is left. `max_calls` 0 means no ceiling.

    `providers` are in order of preference, each with how many calls it needs for so many results.
    """
    wanted = [(name, query) for query in queries for name in providers]
    left = max_calls or len(wanted) * max_results
    first = [Asked(name, query, max_results, 1) for name, query in wanted[:left]]
    left -= len(first)
    asked: list[Asked] = []
    for one in first:
        calls_for = providers[one.provider]
        more = min(left, calls_for(max_results) - 1)
        left -= more
        asked.append(replace(one, max_results=_affordable(calls_for, max_results, 1 + more), calls=1 + more))
    return asked, [name for name in providers if not any(one.provider == name for one in first)]


def most_calls(
    providers: Mapping[str, CallsFor], queries: int, max_results: int, max_calls: int
) -> dict[str, int]:
    """The most calls of each provider; together at most `max_calls`, where that is not 0."""
    asked, _ = planned(providers, [str(number) for number in range(queries)], max_results, max_calls)
    totals: dict[str, int] = {}
    for one in asked:
        totals[one.provider] = totals.get(one.provider, 0) + one.calls
    return totals


def _affordable(calls_for: CallsFor, max_results: int, calls: int) -> int:
    """The most results that so many calls find."""
    return next(results for results in range(max_results, 0, -1) if calls_for(results) <= calls)
