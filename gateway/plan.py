"""Turns a request into what will be asked of a model, and what must be held for it (pure)."""

from dataclasses import dataclass, replace

from gateway.domain.errors import CallerError, Reason, invalid
from gateway.domain.events import Notice, NoticeKind
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Generation, Image, Message, Role, Thinking, ToolMode, Turn
from gateway.limits.estimate import effective_max_tokens, prompt_tokens, reserve_tokens
from gateway.models.catalogue import Catalogue, Route


@dataclass(frozen=True, slots=True)
class Plan:
    """One turn, decided: the route, the options as the model will get them, the estimated prompt (tokens)."""

    route: Route
    generation: Generation
    prompt_tokens: int
    notices: tuple[Notice, ...]


def plan_turn(turn: Turn, tenant: Tenant, catalogue: Catalogue) -> Plan:
    """Raises CallerError for a model or option that cannot be had, naming the field."""
    route = catalogue.resolve(turn.model, tenant, turn.routing.place)
    card = route.card
    _check_capabilities(turn, route)
    generation, notices = _adapt(turn, route)
    capped = effective_max_tokens(generation, card.max_output_tokens, tenant.max_output_tokens)
    if generation.max_tokens > capped:
        notices.append(clamped("generation.max_tokens", f"lowered to {capped}", max_tokens=str(capped)))
    generation = replace(generation, max_tokens=capped)
    estimated = prompt_tokens(turn.messages, turn.tools, generation)
    if estimated + capped > card.context_tokens:
        raise CallerError(
            Reason.CONTEXT_LENGTH_EXCEEDED,
            f"about {estimated} prompt tokens and max_tokens {capped} exceed the {card.context_tokens} tokens "
            f"of {card.name}; shorten the messages or lower generation.max_tokens",
            facts={"context_tokens": str(card.context_tokens), "prompt_tokens": str(estimated)},
        )
    return Plan(route, generation, reserve_tokens(estimated), tuple(notices))


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
