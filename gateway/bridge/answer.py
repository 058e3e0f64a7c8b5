"""A whole answer as a chat.completion object (pure)."""

from gateway.bridge.facts import FINISHES, Facts, usage
from gateway.bridge.sources import Sources
from gateway.v1 import content_pb2, inference_pb2


def completion(
    result: inference_pb2.TurnResult, facts: Facts, *, created: int, with_lines: bool
) -> dict[str, object]:
    """The body of a blocking answer; `with_lines` puts marks and source lines into the text. Fills `facts`."""
    for notice in result.notices:
        facts.note(notice)
    facts.ended(result.end)
    facts.after_evidence = any(call.after_evidence for call in result.message.tool_calls)
    sources = Sources()
    sources.found(result.sources)
    body: dict[str, object] = {
        "id": f"chatcmpl-{facts.receipt_id}",
        "object": "chat.completion",
        "created": created,
        "model": facts.model,
        "choices": [
            {
                "index": 0,
                "message": _message(result, sources, with_lines=with_lines),
                "logprobs": None,
                "finish_reason": FINISHES.get(result.end.finish, "stop"),
            }
        ],
        "usage": usage(result.end.usage),
    }
    if sources:
        body["search_results"] = sources.results()
    body["gateway"] = facts.as_object()
    return body


def _message(result: inference_pb2.TurnResult, sources: Sources, *, with_lines: bool) -> dict[str, object]:
    said = result.message
    for citation in result.citations:
        sources.cite(citation)
    finished = result.end.finish == inference_pb2.FINISH_STOP
    text = _with_lines(result, sources) if with_lines and finished and sources else said.content
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": said.refusal or None}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.tool_calls:
        message["tool_calls"] = [tool_call(call, index) for index, call in enumerate(said.tool_calls)]
    annotations = sources.annotations(said.content.encode())
    if annotations:
        message["annotations"] = annotations
    return message


def _with_lines(result: inference_pb2.TurnResult, sources: Sources) -> str:
    """The text with a mark at the end of each citation, and the list of sources below it."""
    answer, pieces, done = result.message.content.encode(), list[str](), 0
    for citation in result.citations:
        end = max(min(citation.end, len(answer)), done)
        pieces += [answer[done:end].decode("utf-8", "replace"), sources.mark(citation)]
        done = end
    return "".join(pieces) + answer[done:].decode("utf-8", "replace") + sources.lines()


def tool_call(call: content_pb2.ToolCall, index: int) -> dict[str, object]:
    """A whole tool call."""
    return {
        "index": index,
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_json},
    }
