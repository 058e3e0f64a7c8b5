"""Which provider is asked what, within the calls that a turn allows."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.search.calls import CallsFor, most_calls, planned


def paged(size: int) -> CallsFor:
    """A provider that finds so many results with one call."""
    return lambda results: -(-results // size)


PROVIDERS = {"brave": paged(20), "searxng": paged(10), "tavily": paged(50)}


def told(*args: object) -> list[tuple[str, str, int, int]]:
    """What is planned, in short."""
    asked, _ = planned(*args)  # type: ignore[arg-type]  # as the test wrote them
    return [(one.provider, one.terms, one.max_results, one.calls) for one in asked]


def test_without_a_ceiling_everybody_is_asked_everything() -> None:
    """Each provider turns as many pages as the results take."""
    assert told(PROVIDERS, ["a"], 30, 0) == [
        ("brave", "a", 30, 2),
        ("searxng", "a", 30, 3),
        ("tavily", "a", 30, 1),
    ]


def test_with_few_calls_many_providers_come_before_many_pages() -> None:
    """The fourth call turns the first page of whoever is preferred."""
    assert told(PROVIDERS, ["a"], 30, 4) == [
        ("brave", "a", 30, 2),
        ("searxng", "a", 10, 1),
        ("tavily", "a", 30, 1),
    ]
    assert told(PROVIDERS, ["a", "b"], 5, 4)[3] == ("brave", "b", 5, 1)


def test_who_gets_no_call_is_named() -> None:
    """So that the caller can be told."""
    asked, without = planned(PROVIDERS, ["a", "b"], 5, 2)
    assert [one.provider for one in asked] == ["brave", "searxng"]
    assert without == ["tavily"]


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 50).map(paged)),
    st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3, unique=True),
    st.integers(1, 50),
    st.integers(0, 40),
)
def test_no_plan_makes_more_calls_than_allowed(
    providers: dict[str, CallsFor], queries: list[str], results: int, ceiling: int
) -> None:
    """Nor does any call want more results than it can bring, and what is held pays for all of them."""
    asked, without = planned(providers, queries, results, ceiling)
    assert not ceiling or sum(one.calls for one in asked) <= ceiling
    assert all(providers[one.provider](one.max_results) <= one.calls for one in asked)
    assert {one.provider for one in asked} | set(without) == set(providers)
    most = most_calls(providers, len(queries), results, ceiling)
    for name in providers:
        assert sum(one.calls for one in asked if one.provider == name) == most.get(name, 0)
