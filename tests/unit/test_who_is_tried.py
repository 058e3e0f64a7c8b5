"""Trying gives back what a circuit let through, whatever happens on the way."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.domain.errors import CallerLeft
from gateway.domain.events import TurnEvent
from gateway.models.breaker import BreakerRules
from gateway.models.catalogue import Catalogue, Route
from gateway.models.health import Health
from gateway.pipeline.trying import Trying
from tests.support.routes import card, place, served


async def test_who_leaves_while_it_is_told_of_another_upstream_takes_no_call_along() -> None:
    """The circuit of the first is open, the other is chosen, and the caller goes before anybody is asked."""
    model = served(card("m"), place("first"), place("other"))
    health = Health(Catalogue((model,)), BreakerRules(failures=1, open_s=1e9))
    routes = [Route(model.card, endpoint, "") for endpoint in model.endpoints]
    begun = health.begin(routes, 0.0)
    assert begun is not None
    begun[1].failed(0.0)

    async def leave(_event: TurnEvent) -> None:
        raise CallerLeft

    async def ask(job: Any) -> None:
        raise AssertionError("nobody is asked")

    # Any: of a job, only what is read before the first call.
    job: Any = SimpleNamespace(
        plan=SimpleNamespace(routes=routes, route=routes[0]),
        visitor=SimpleNamespace(tenant=SimpleNamespace(name="acme")),
    )
    with pytest.raises(CallerLeft):
        await Trying(health, lambda: 0.5).answer(job, ask, lambda _route: True, leave)
    assert [standing.in_flight for standing in health.standings()] == [0, 0]
