"""One small chat stream for every class that real servers send, by hand: a clean clone has no recordings."""

from typing import Any

from tests.support.chat_events import DONE, chat_chunk, reasoning_chunk, sse, text_chunk
from tests.support.recordings import Stream

Event = str | bytes | dict[str, Any]  # Any: JSON; bytes stay as they are

A = text_chunk("a")
TEXTS = "zwölf Boxkämpfer 你好 \U0001f600 \u2028 \u2029 \x85 \x0b end"


def body(*events: Event) -> bytes:
    """One body of these events."""
    return b"".join(event if isinstance(event, bytes) else sse(event) for event in events)


def last(finish: str = "stop", **more: Any) -> dict[str, Any]:  # Any: JSON
    """The chunk with the finish reason."""
    return chat_chunk({}, finish=finish, **more)


def ended(*events: Event) -> bytes:
    """A body that ends as it should."""
    return body(*events, last(), DONE)


def tool(index: int, call_id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:  # Any: JSON
    """A chunk with one fragment of a tool call."""
    function = {"arguments": arguments, **({"name": name} if name else {})}
    fragment = {"index": index, "type": "function", "function": function, **({"id": call_id} if call_id else {})}
    return chat_chunk({"tool_calls": [fragment]})


def used(prompt: int, completion: int, **more: Any) -> dict[str, Any]:  # Any: JSON
    """A usage object that adds up."""
    total = {"total_tokens": prompt + completion}
    return {"prompt_tokens": prompt, "completion_tokens": completion, **total, **more}


def choice(index: int, text: str) -> dict[str, Any]:  # Any: JSON
    """A chunk of another choice than the first."""
    return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": "length"}]}


TEXT = [
    Stream(
        "plain",
        body(text_chunk("Hel"), text_chunk("lo"), last(usage=used(9, 2)), DONE),
        "Hello",
        usage=(9, 0, 2, 0),
    ),
    Stream("every script", ended(*map(text_chunk, TEXTS)), TEXTS),
    Stream("the same chunk twice", ended(A, A), "aa"),
    Stream("refusal", ended(chat_chunk({"refusal": "I "}), chat_chunk({"refusal": "won't"})), refusal="I won't"),
    Stream("reasoning", ended(reasoning_chunk("h"), reasoning_chunk("m"), text_chunk("42")), "42", reasoning="hm"),
    Stream(
        "reasoning by its other name",
        ended(chat_chunk({"reasoning": "so "}), chat_chunk({"reasoning": "so", "content": ""}), A),
        "a",
        reasoning="so so",
    ),
    Stream(
        "cut by length", body(A, last("length", usage=used(3, 1)), DONE), "a", finish="length", usage=(3, 0, 1, 0)
    ),
    Stream("filtered", body(A, last("content_filter"), DONE), "a", finish="content_filter"),
]
TOOLS = [
    Stream(
        "parallel tools in any order",
        body(
            tool(1, "c1", "b"),
            tool(0, "c0", "a", '{"x"'),
            tool(1, arguments="{}"),
            tool(0, arguments=":1}"),
            last("tool_calls"),
        ),
        calls=(("c1", "b", "{}"), ("c0", "a", '{"x":1}')),
        finish="tool_calls",
    ),
    Stream(
        "arguments that are no JSON",
        body(text_chunk("I look."), tool(0, "c0", "a", '{"cut'), last("tool_calls"), DONE),
        "I look.",
        calls=(("c0", "a", '{"cut'),),
        finish="tool_calls",
    ),
]
DETAILS = {"prompt_cache_hit_tokens": 40, "completion_tokens_details": {"reasoning_tokens": 4}}
TWO_USAGES = body(chat_chunk({"content": "a"}, usage=used(1, 1)), last(usage=used(7, 3)), DONE)
USAGE = [
    Stream(
        "usage in a chunk of its own",
        body(A, last(), {"choices": [], "usage": used(50, 9, **DETAILS)}, DONE),
        "a",
        usage=(50, 40, 9, 4),
    ),
    Stream("the last of two usages", TWO_USAGES, "a", usage=(7, 0, 3, 0)),
    Stream("usage 0 is a usage", body(A, last(usage=used(0, 0)), DONE), "a", usage=(0, 0, 0, 0)),
    Stream("usage that is nonsense", body(A, last(usage=used(-1, 10**18)), DONE), "a"),
]
NULLS = {"role": None, "content": "a", "tool_calls": None, "refusal": None}
CHUNKS = [
    Stream("a first chunk without choices", ended({"id": "x", "choices": []}, A), "a"),
    Stream("role alone and empty deltas", ended(chat_chunk({"role": "assistant"}), chat_chunk({}), A), "a"),
    Stream("nulls everywhere", ended(chat_chunk(NULLS)), "a"),
    Stream("finish twice and a choice after it", body(A, last(), last(), chat_chunk({"content": ""}), DONE), "a"),
    Stream("two ids in one stream", ended({**A, "id": "1"}, {**text_chunk("b"), "id": "2"}), "ab"),
    Stream("only the first choice", ended(A, choice(1, "b")), "a"),
]
BYTES = [
    Stream("no [DONE]", body(A, last()), "a"),
    Stream("no blank line at the end", body(A, last()).rstrip(), "a"),
    Stream("data after [DONE]", body(A, last(), DONE, text_chunk("never")), "a"),
    Stream("blank lines and a BOM ahead", b"\xef\xbb\xbf\n\n\n" + ended(A), "a"),
    Stream("comments", b": PROCESSING\n\n" + ended(A, b": keep-alive\n\n"), "a"),
    Stream("other fields", b"id: 1\nevent: message\nretry: 9\n" + ended(A), "a"),
    Stream("data without a space", ended(A).replace(b"data: ", b"data:"), "a"),
    Stream("several data lines", ended(A).replace(b'"choices"', b'\ndata: "choices"'), "a"),
]
STREAMS = [*TEXT, *TOOLS, *USAGE, *CHUNKS, *BYTES]
