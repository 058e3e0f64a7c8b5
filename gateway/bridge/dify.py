"""Dify's external knowledge and API extension: requests to searches, and results in Dify's forms (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.bridge import Moderation
from gateway.bridge.conditions import Conditions, read_conditions
from gateway.bridge.errors import Refusal, Refused, bad
from gateway.bridge.fields import Fields
from gateway.bridge.moderation import is_blocked, masked
from gateway.bridge.sources import day
from gateway.v1 import content_pb2, inference_pb2, search_pb2

ALL_KNOWLEDGE = ("search", "all")
MAX_TOP_K = 50
MAX_QUERY = 4_000
BAD_FORM, REFUSED, UNKNOWN_KNOWLEDGE = 1001, 1002, 2001
DIRECT, OVERRIDDEN = "direct_output", "overridden"
MODERATION_IN, MODERATION_OUT = "app.moderation.input", "app.moderation.output"
EXTERNAL_DATA = "app.external_data_tool.query"


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One query of an external knowledge base."""

    request: search_pb2.SearchRequest
    top_k: int
    threshold: float
    conditions: Conditions


def read_retrieval(values: Mapping[str, object]) -> Retrieval:
    """Reads the body of a query. Raises Refused; an absent `knowledge_id` is an unknown one."""
    body = Fields(values)
    query = body.required("query", body.text("query"))
    if not query.strip():
        raise bad("query", "is empty; say what to look for")
    setting = body.inner("retrieval_setting") or Fields({})
    top_k = setting.integer("top_k")
    threshold = setting.number("score_threshold")
    conditions = read_conditions(body)
    top_k = min(max(5 if top_k is None else top_k, 1), MAX_TOP_K)
    options = inference_pb2.SearchOptions(
        mode=inference_pb2.SEARCH_MODE_ALWAYS,
        providers=_providers(body.text("knowledge_id")),
        # What conditions remove must not leave the list short.
        max_results=MAX_TOP_K if conditions.items else top_k,
        required=True,
    )
    request = search_pb2.SearchRequest(query=query[:MAX_QUERY], options=options)
    return Retrieval(request, top_k, threshold or 0.0, conditions)


def records(reply: search_pb2.SearchReply, asked: Retrieval) -> dict[str, object]:
    """The sources as records, best first, their scores between 0 and 1: 1 is the best one of this query."""
    best = max((source.score for source in reply.sources), default=0.0)
    found = [_record(source, best) for source in reply.sources]
    kept = [
        record for record, metadata, score in found if score >= asked.threshold and asked.conditions.hold(metadata)
    ]
    return {"records": kept[: asked.top_k]}


def _providers(knowledge_id: str | None) -> list[str]:
    if not knowledge_id:
        raise unknown_knowledge("")
    if knowledge_id in ALL_KNOWLEDGE:
        return []
    return [name.strip() for name in knowledge_id.replace("+", ",").split(",") if name.strip()]


def unknown_knowledge(knowledge_id: str) -> Refused:
    """There is no such knowledge."""
    named = f" {knowledge_id[:64]!r}" if knowledge_id else ""
    text = f"there is no knowledge{named}; use `search` for everything, or a search provider's name"
    return Refused(Refusal(404, "invalid_request_error", "knowledge_not_found", text, param="knowledge_id"))


def _record(source: content_pb2.Source, best: float) -> tuple[dict[str, object], dict[str, object], float]:
    metadata: dict[str, object] = {
        "source_id": source.source_id,
        "title": source.title,
        "url": source.url,
        "provider": source.provider,
        "flags": ", ".join(source.flags),
    }
    if source.HasField("published"):
        metadata["published"] = day(source)
    score = round(source.score / best, 4) if best > 0 else 0.0
    record = {"content": source.snippet, "score": score, "title": source.title, "metadata": metadata}
    return record, metadata, score


def error_object(refusal: Refusal, *, has_form: bool) -> tuple[int, dict[str, object]]:
    """Status and body of a refusal for Dify's proxy, which tries 429 and 5xx again and drops their body.

    `has_form` says whether the request had a bearer token at all.
    """
    status, code = refusal.status, refusal.status
    match refusal.status:
        case 401 if not has_form:
            code = BAD_FORM
        case 401 | 403:
            status, code = 403, REFUSED
        case 404:
            code = UNKNOWN_KNOWLEDGE
        case 400 if refusal.param == "knowledge_id":
            status, code = 404, UNKNOWN_KNOWLEDGE
    if is_retried(status):
        status = 422
    return status, {"error_code": code, "error_msg": refusal.message}


def is_retried(status: int) -> bool:
    """Whether Dify's proxy would send the request again."""
    return status == 429 or status >= 500


def moderate(point: str, params: Fields, rules: Moderation) -> dict[str, object]:
    """What the rules make of an application's input or output."""
    if point == MODERATION_OUT:
        text = params.text("text") or ""
        changed: dict[str, object] = {"text": masked(text, rules)}
        blocked, touched = is_blocked(text, rules), changed["text"] != text
    else:
        query, given = params.text("query") or "", _inputs(params)
        inputs = {name: _masked_value(value, rules) for name, value in given.items()}
        changed = {"inputs": inputs, "query": masked(query, rules)}
        texts = [query, *(value for value in given.values() if isinstance(value, str))]
        blocked = any(is_blocked(text, rules) for text in texts)
        touched = changed["query"] != query or inputs != given
    action = DIRECT if blocked or not touched else OVERRIDDEN
    return {
        "flagged": blocked or touched,
        "action": action,
        "preset_response": rules.reply if blocked else "",
        **changed,
    }


def question(params: Fields) -> str:
    """What an external data tool is to look for: the query, or else the first text among the inputs."""
    query = params.text("query") or ""
    texts = [value for value in _inputs(params).values() if isinstance(value, str) and value.strip()]
    return (query if query.strip() else next(iter(texts), ""))[:MAX_QUERY]


def _inputs(params: Fields) -> dict[str, object]:
    value = params.value("inputs")
    if value is not None and not isinstance(value, dict):
        raise bad(params.where("inputs"), "must be an object")
    return dict(value or {})


def _masked_value(value: object, rules: Moderation) -> object:
    return masked(value, rules) if isinstance(value, str) else value
