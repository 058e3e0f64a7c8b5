"""Turns a request into what will be asked of a model, and what must be held for it (pure)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from gateway.domain.errors import CallerError, Reason, invalid
from gateway.domain.events import Notice, NoticeKind
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Generation, Image, Message, Role, SearchOptions, Thinking, ToolMode, Turn
from gateway.domain.usage import Usage, UsageBasis
from gateway.limits.estimate import (
    CountText,
    count_text,
    effective_max_tokens,
    prompt_tokens,
    reserve_tokens,
)
from gateway.limits.pricing import CardPrices, PriceBook, hold_price
from gateway.models import ModelCard
from gateway.models.catalogue import Catalogue, Route

NEAR_PERCENT = 80


@dataclass(frozen=True, slots=True)
class Plan:
    """One turn, decided: the route, the options as the model will get them, the estimated prompt in tokens.

    `cost_capped` says that the caller's own limit made max_tokens smaller, so that its end is a LIMIT;
    `near_tokens` is the output at which four fifths of that limit are used up (0 = the caller set none).
    """

    route: Route
    generation: Generation
    estimated_tokens: int
    notices: tuple[Notice, ...]
    cost_capped: bool = False
    near_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a tenant may use, with what it costs now."""

    card: ModelCard
    prices: CardPrices


def plan_turn(turn: Turn, tenant: Tenant, catalogue: Catalogue, count: CountText = count_text) -> Plan:
    """Raises CallerError for a model or option that cannot be had, naming the field."""
    route = catalogue.resolve(turn.model, tenant, turn.routing.place)
    card = route.card
    _check_capabilities(turn, route)
    if turn.routing.region:
        raise invalid("routing.region", "no upstream of this gateway is configured with a region; leave it empty")
    generation, notices = _adapt(turn, route)
    capped = effective_max_tokens(generation, card.max_output_tokens, tenant.max_output_tokens)
    if generation.max_tokens > capped:
        notices.append(clamped("generation.max_tokens", f"lowered to {capped}", max_tokens=str(capped)))
    generation = replace(generation, max_tokens=capped)
    estimated = prompt_tokens(turn.messages, turn.tools, generation, count)
    if estimated + capped > card.context_tokens:
        raise CallerError(
            Reason.CONTEXT_LENGTH_EXCEEDED,
            f"about {estimated} prompt tokens and max_tokens {capped} exceed the {card.context_tokens} tokens "
            f"of {card.name}; shorten the messages or lower generation.max_tokens",
            facts={"context_tokens": str(card.context_tokens), "prompt_tokens": str(estimated)},
        )
    return Plan(route, generation, estimated, tuple(notices))


def held(
    plan: Plan,
    turn: Turn,
    *,
    evidence_tokens: int,
    span: tuple[float, float],
    prices: PriceBook,
    searches: Mapping[str, int],
) -> tuple[Plan, Usage]:
    """The most this turn may use, and the plan with max_tokens lowered to what `limit.max_cost_nano_usd` pays for.

    `span` is the first and the last moment (seconds since the epoch) that may set the price.
    """
    prompt = reserve_tokens(plan.estimated_tokens) + evidence_tokens
    most, ceiling = plan.generation.max_tokens, turn.limit.max_cost_nano_usd

    def cost_of(tokens: int) -> int:
        name, (start, end) = plan.route.card.name, span
        return hold_price(prompt, tokens, name, start=start, end=end, book=prices, searches=searches).cost_nano_usd

    cost = cost_of(most)
    if 0 < ceiling < cost:
        fixed = cost_of(0)
        affordable = (ceiling - fixed) * most // (cost - fixed) if ceiling > fixed else 0
        if affordable < 1:
            raise invalid(
                "limit.max_cost_nano_usd", f"{ceiling} does not even pay for the prompt, which may cost {fixed}"
            )
        plan = replace(plan, generation=replace(plan.generation, max_tokens=affordable), cost_capped=True)
        most, cost = affordable, cost_of(affordable)
    if ceiling and cost > cost_of(0):
        near = (ceiling * NEAR_PERCENT // 100 - cost_of(0)) * most // (cost - cost_of(0))
        plan = replace(plan, near_tokens=max(1, near))
    usage = Usage(
        prompt_tokens=prompt,
        completion_tokens=most,
        search_calls=sum(searches.values()),
        cost_nano_usd=cost,
        basis=UsageBasis.ESTIMATED,
    )
    return plan, usage


def check_providers(options: SearchOptions, tenant: Tenant, known: Collection[str], field: str) -> None:
    """Raises CallerError for a search provider by name that is not there, or that this tenant may not use."""
    offered = [name for name in known if tenant.may_search_with(name)]
    for name in options.providers:
        if name not in offered:
            these = f"use some of {', '.join(offered)}" if offered else "this tenant may use none"
            raise invalid(field, f"there is no search provider {name[:64]!r} for this tenant; {these}")


def clamped(field: str, what: str, **facts: str) -> Notice:
    """The notice of an option that was changed."""
    return Notice(NoticeKind.OPTION_CLAMPED, f"{field}: {what}", {"field": field, **facts})


def _check_capabilities(turn: Turn, route: Route) -> None:
    name, able = route.card.name, route.card.capabilities
    if turn.tools and "tools" not in able:
        raise invalid("tools", f"{name} calls no tools; choose a model with the capability tools")
    if "vision" not in able and any(isinstance(p, Image) for m in turn.messages for p in m.parts):
        raise invalid("messages", f"{name} reads no images; choose a model with the capability vision")
    wants_json = turn.generation.json_object or turn.generation.json_schema
    if wants_json and "json" not in able:
        raise invalid(
            "generation.response_format", f"{name} has no JSON mode; choose one with the capability json"
        )


def _adapt(turn: Turn, route: Route) -> tuple[Generation, list[Notice]]:
    """What the model's own rules make of the wishes; every change is a notice, nothing is dropped silently."""
    wish, notices = turn.generation, []
    thinking = wish.thinking or Thinking.OFF
    if thinking is not Thinking.OFF and "thinking" not in route.card.capabilities:
        notices.append(clamped("generation.thinking", f"{route.card.name} does not think; switched off"))
        thinking = Thinking.OFF
    # https://api-docs.deepseek.com: a thinking model takes no forced tool, and wants its reasoning of every
    # earlier tool call back.
    if thinking is not Thinking.OFF and wish.tool_mode in (ToolMode.REQUIRED, ToolMode.NAMED):
        notices.append(clamped("generation.thinking", "switched off, because a tool call is demanded"))
        thinking = Thinking.OFF
    if thinking is not Thinking.OFF and _lacks_reasoning(turn.messages):
        notices.append(
            clamped("generation.thinking", "switched off, because an earlier tool call came without its reasoning")
        )
        thinking = Thinking.OFF
    if thinking is not Thinking.OFF and wish.temperature is not None:
        notices.append(clamped("generation.temperature", "has no effect while the model thinks"))
        wish = replace(wish, temperature=None)
    if wish.top_logprobs is not None:
        notices.append(clamped("generation.top_logprobs", "has no effect: frames carry no log probabilities"))
        wish = replace(wish, top_logprobs=None)
    return replace(wish, thinking=thinking), notices


def _lacks_reasoning(messages: tuple[Message, ...]) -> bool:
    return any(m.role is Role.ASSISTANT and m.tool_calls and not m.reasoning for m in messages)
