"""Builds those whom models are asked of: one provider for each upstream and key, and the catalogue of them all."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from gateway.domain.errors import Reason
from gateway.limits.pricing import ModelPrice, PriceBook, Rates
from gateway.models import ModelCard, embedded
from gateway.models.breaker import BreakerRules
from gateway.models.catalogue import Catalogue, Endpoint, Served
from gateway.models.health import Health, Told
from gateway.models.openai_compatible import OpenAICompatible
from gateway.models.profiles import PROFILES
from gateway.models.retry import RetryRules
from gateway.models.routing import RoutingRules
from gateway.settings import Settings
from gateway.upstream_sections import Model, Upstream

FREE = Rates(0, 0, 0)
Observe = Callable[[str, int], None]


@asynccontextmanager
async def opened(settings: Settings, observe: Observe) -> AsyncIterator[Catalogue]:
    """Every model of the configuration, and the embedded one always; leaving closes the connections.

    `observe` is told what was odd about answers, as `OpenAICompatible` says.
    """
    async with AsyncExitStack() as stack:
        serving, by_upstream = settings.serving, {}
        for name in serving.upstreams:
            by_upstream[name] = list(_endpoints(settings, name, observe))
            for endpoint in by_upstream[name]:
                stack.push_async_callback(endpoint.provider.aclose)
        models = [
            Served(model.card, tuple(e for name, _ in model.places for e in by_upstream[name]))
            for model in serving.models.values()
        ]
        here = Served(embedded.CARD, (Endpoint(embedded.create(), local=True),))
        yield Catalogue([*models, here], settings.routing.default_model)


def cards(settings: Settings) -> list[ModelCard]:
    """The models that would be served, the default one first."""
    default = settings.routing.default_model
    served = [*(model.card for model in settings.serving.models.values()), embedded.CARD]
    return sorted(served, key=lambda card: card.name != default)


def with_free(book: PriceBook, settings: Settings) -> PriceBook:
    """The price book, in which models that are declared free cost nothing."""
    free = [name for name, model in settings.serving.models.items() if model.free]
    prices = {name: (ModelPrice(name, 0.0, "free", FREE, FREE, None),) for name in free}
    return replace(book, models={**book.models, **prices})


def routing_rules(settings: Settings) -> RoutingRules:
    """Who comes first."""
    section = settings.routing
    return RoutingRules(
        first=section.first,
        local_prompt_tokens=section.local_prompt_tokens,
        local_complexity=section.local_complexity,
        peak_local=section.peak_local,
        dearer=section.dearer_standby,
    )


def health(settings: Settings, catalogue: Catalogue, told: Told) -> Health:
    """How everything in the catalogue is doing; `told` hears of every circuit that changes."""
    section = settings.routing
    retry = RetryRules(
        attempts=section.attempts,
        backoff_s=section.backoff_s,
        most_backoff_s=section.backoff_s * 10,
        budget=section.retry_budget,
        budget_floor=section.retry_budget / 2,
    )
    breaker = BreakerRules(
        failures=section.circuit_failures,
        open_s=section.circuit_open_s,
        most_open_s=section.circuit_open_s * 10,
        probe_s=section.probe_s,
        ramp_step_s=section.probe_s,
    )
    return Health(catalogue, breaker, retry, told)


def why_refused(dead: Reason | None) -> dict[str, str]:
    """What the log says of an upstream that refuses its key, and what to do; nothing where it does not."""
    match dead:
        case None:
            return {}
        case Reason.UPSTREAM_BALANCE:
            advice = "top up the account, or give the upstream another key"
        case _:
            advice = "give the upstream a key that is valid; `gateway check-config --online` tries every key"
    return {"refused_key": dead, "advice": advice}


def _endpoints(settings: Settings, name: str, observe: Observe) -> Iterator[Endpoint]:
    """One for each key of an upstream."""
    upstream = settings.serving.upstreams[name]
    served = [model for model in settings.serving.models.values() if name in dict(model.places)]
    for number, key in enumerate(upstream.keys or ("",), start=1):
        yield Endpoint(
            _provider(upstream, key, served, settings.timers.connect_s, observe),
            key=number,
            region=upstream.table.region,
            local=upstream.table.local,
            first_output_s=upstream.table.first_output_s,
            first_output_thinking_s=upstream.table.first_output_thinking_s,
        )


def _provider(
    upstream: Upstream, key: str, served: list[Model], connect_s: float, observe: Observe
) -> OpenAICompatible:
    profile = PROFILES[upstream.kind]
    return OpenAICompatible(
        upstream.name,
        base_url=upstream.base_url,
        api_key=key,
        cards=[model.card for model in served],
        quirks=profile.quirks,
        names={model.card.name: dict(model.places)[upstream.name] for model in served},
        key_header=profile.key_header,
        connect_timeout_s=upstream.table.connect_s or connect_s,
        observe=observe,
    )
