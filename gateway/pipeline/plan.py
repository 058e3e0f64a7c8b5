"""Turns a request into what will be asked of a model, and what must be held for it (pure)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.domain.errors import CallerError, Reason, invalid
from gateway.domain.events import Notice, NoticeKind
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Generation, Image, Message, Role, SearchOptions, Thinking, ToolMode, Turn
from gateway.domain.usage import Usage, UsageBasis
from gateway.limits.estimate import (
    CountText,
    effective_max_tokens,
    prompt_tokens,
    reserve_tokens,
)
from gateway.limits.pricing import CardPrices, PriceBook, hold_price
from gateway.models import ModelCard
from gateway.models.catalogue import Route
from gateway.models.complexity import complexity
from gateway.models.routing import Router, Wish

NEAR_PERCENT = 80


@dataclass(frozen=True, slots=True)
class Plan:
    """One turn, decided: the route, the options as the model will get them, the estimated prompt in tokens.

    `cost_capped` says that the caller's own limit made max_tokens smaller, so that its end is a LIMIT;
    `near_tokens` is the output at which four fifths of that limit are used up (0 = the caller set none). `routes`
    is everywhere the turn may go, in order; `route` is the first. What is held pays for the models `covered`.
    """

    route: Route
    generation: Generation
    estimated_tokens: int
    notices: tuple[Notice, ...]
    routes: tuple[Route, ...] = ()
    covered: frozenset[str] = frozenset()
    cost_capped: bool = False
    near_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a tenant may use, with what it costs now."""

    card: ModelCard
    prices: CardPrices


Peak = Callable[[str], bool]
"""Whether the peak price of this model holds now."""


def plan_turn(turn: Turn, tenant: Tenant, router: Router, count: CountText, peak: Peak) -> Plan:
    """Raises CallerError for a model or option that cannot be had, naming the field."""
    wish = _wish(turn)
    routes = router.routes(wish, tenant)
    generation, notices = _adapt(turn, routes[0])
    estimated = prompt_tokens(turn.messages, turn.tools, generation, count)
    if not turn.model:
        first = routes[0].card
        local, why = router.preference(
            estimated, lambda: complexity(turn.question), lambda: peak(first.name), thinks=wish.thinks
        )
        if local is not None:
            routes = router.routes(replace(wish, local=local, why=why), tenant)
        routes = _roomy_first(routes, generation, estimated)
        if routes[0].card is not first:
            generation, notices = _adapt(turn, routes[0])
    card = routes[0].card
    _check_capabilities(turn, routes[0])
    capped = effective_max_tokens(generation, card.max_output_tokens, tenant.max_output_tokens)
    if generation.max_tokens > capped:
        notices.append(clamped("generation.max_tokens", f"lowered to {capped}", max_tokens=str(capped)))
    generation = replace(generation, max_tokens=capped)
    if estimated + capped > card.context_tokens:
        raise CallerError(
            Reason.CONTEXT_LENGTH_EXCEEDED,
            f"about {estimated} prompt tokens and max_tokens {capped} exceed the {card.context_tokens} tokens "
            f"of {card.name}; shorten the messages or lower generation.max_tokens",
            facts={"context_tokens": str(card.context_tokens), "prompt_tokens": str(estimated)},
        )
    covered = _covered(routes, router)
    return Plan(routes[0], generation, estimated, tuple(notices), routes, covered)


def has_room(card: ModelCard, generation: Generation, estimated: int) -> bool:
    """Whether a model can take this prompt and write that much."""
    most = generation.max_tokens
    return most <= card.max_output_tokens and estimated + most <= card.context_tokens


def may_stand_in(plan: Plan, route: Route, receipt: Receipt, prices: PriceBook) -> bool:
    """Whether another route of the plan may serve it: it has room for the prompt, and what is held pays for it."""
    if route.card is plan.route.card:
        return True
    if not has_room(route.card, plan.generation, plan.estimated_tokens):
        return False
    reserved, when = receipt.reserved, receipt.created

    def most(model: str) -> int:
        tokens = reserved.prompt_tokens, reserved.completion_tokens
        return hold_price(*tokens, model, start=when, end=when, book=prices).cost_nano_usd

    return most(route.card.name) <= max(map(most, plan.covered))


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

    `span` is the first and the last moment (seconds since the epoch) that may set the price. The
    dearest of the models that are covered is held.
    """
    prompt = reserve_tokens(plan.estimated_tokens) + evidence_tokens
    most, ceiling = plan.generation.max_tokens, turn.limit.max_cost_nano_usd

    def cost_of(tokens: int) -> int:
        when = {"start": span[0], "end": span[1]}
        asked = (hold_price(prompt, tokens, name, **when, book=prices, searches=searches) for name in plan.covered)
        return max(priced.cost_nano_usd for priced in asked)

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


def _wish(turn: Turn) -> Wish:
    wish, needs = turn.generation, set()
    if turn.tools:
        needs.add("tools")
    if any(isinstance(part, Image) for message in turn.messages for part in message.parts):
        needs.add("vision")
    if wish.json_object or wish.json_schema:
        needs.add("json")
    routing = turn.routing
    thinks = wish.thinking not in (None, Thinking.OFF)
    return Wish(turn.model, routing.place, routing.region, frozenset(needs), thinks)


def _covered(routes: Sequence[Route], router: Router) -> frozenset[str]:
    """The models whose price is held: the first, and where both may serve, the first local and cloud one.

    Otherwise "local first" would mean "local only", because a local model costs nothing.
    """
    first = routes[0]
    if router.rules.dearer:
        return frozenset(route.card.name for route in routes)
    other = next((route for route in routes if route.endpoint.local is not first.endpoint.local), first)
    return frozenset((first.card.name, other.card.name))


def _roomy_first(routes: tuple[Route, ...], generation: Generation, estimated: int) -> tuple[Route, ...]:
    """Where the caller left the model open, one that is too small for the prompt is passed over."""
    if has_room(routes[0].card, generation, estimated):
        return routes
    roomy = [route for route in routes if has_room(route.card, generation, estimated)]
    if not roomy:
        return routes
    return (replace(roomy[0], reason="long_prompt"), *roomy[1:])


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
    if wish.thinking is None and turn.model in route.card.thinking_aliases:
        thinking = Thinking.HIGH
    if thinking is not Thinking.OFF and "thinking" not in route.card.capabilities:
        notices.append(clamped("generation.thinking", f"{route.card.name} does not think; switched off"))
        thinking = Thinking.OFF
    # https://api-docs.deepseek.com: a thinking model takes no forced tool, and wants its reasoning of every
    # earlier tool call back.
    demanded = route.card.thinks_without_tool_demand and wish.tool_mode in (ToolMode.REQUIRED, ToolMode.NAMED)
    if thinking is not Thinking.OFF and demanded:
        notices.append(clamped("generation.thinking", "switched off, because a tool call is demanded"))
        thinking = Thinking.OFF
    if thinking is not Thinking.OFF and route.card.wants_reasoning_back and _lacks_reasoning(turn.messages):
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
