"""What Dify asks of its external knowledge, its API extension and its custom tools."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.bridge import BridgeOptions, Moderation
from gateway.v1 import content_pb2, inference_pb2, search_pb2
from tests.support.bridge import Bridge, scripted_bridge
from tests.support.gateway import Running, running
from tests.support.scripted_gateway import Refusal, unavailable

QUERY = {
    "query": "receipts",
    "knowledge_id": "embedded",
    "retrieval_setting": {"top_k": 3, "score_threshold": 0.0},
}
FOUND = search_pb2.SearchReply(
    sources=[
        content_pb2.Source(source_id="S1", url="https://a.example/1", title="One", snippet="first", score=0.02),
        content_pb2.Source(source_id="S2", url="https://b.example/2", title="Two", snippet="second", score=0.01),
    ]
)
RULES = BridgeOptions(moderation=Moderation(("bomb",), ("darn",), "Not here."))


async def call(url: str, path: str, body: object, credential: str = "Bearer t") -> tuple[int, Any]:
    """Status and JSON body."""
    headers = {"Authorization": credential} if credential else {}
    async with aiohttp.ClientSession() as http:
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with http.post(f"{url}{path}", headers=headers, **sent) as response:
            return response.status, await response.json()


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Running, str]]:
    """A gateway with its own documents, and a token for it."""
    async with running(folder) as gateway:
        yield gateway, f"Bearer {gateway.token()}"


async def test_a_query_gives_records_with_scores_and_metadata(tmp_path: Path) -> None:
    """Best first, between 0 and 1, metadata an object."""
    async with served(tmp_path) as (gateway, token):
        status, body = await call(gateway.http_url, "/retrieval", QUERY, token)
    assert status == 200
    records = body["records"]
    assert 0 < len(records) <= 3
    assert records[0]["score"] == 1.0
    assert all(
        record["content"] and record["title"] and isinstance(record["metadata"], dict) for record in records
    )
    assert [r["score"] for r in records] == sorted((r["score"] for r in records), reverse=True)


@pytest.mark.parametrize(
    ("body", "token", "status", "code"),
    [
        (QUERY, "", 200, None),  # a development gateway takes callers without a credential
        (QUERY, "Basic abc", 401, 1001),
        (QUERY, "Bearer wrong", 403, 1002),
        (b"", "Bearer wrong", 403, 1002),
        (b"", "good", 400, 400),
        (b"{", "good", 400, 400),
        ({"knowledge_id": "embedded"}, "good", 400, 400),
        ({"query": "x"}, "good", 404, 2001),
        ({**QUERY, "knowledge_id": "nowhere"}, "good", 404, 2001),
        (
            {
                **QUERY,
                "metadata_condition": {"conditions": [{"name": "x", "comparison_operator": "~", "value": "y"}]},
            },
            "good",
            400,
            400,
        ),
    ],
)
async def test_a_query_that_cannot_be_answered_says_why_in_difys_form(
    body: object, token: str, status: int, code: int | None, tmp_path: Path
) -> None:
    """1001 for no bearer token, 1002 for a refused one, 2001 for unknown knowledge."""
    async with served(tmp_path) as (gateway, good):
        found, answer = await call(gateway.http_url, "/retrieval", body, good if token == "good" else token)
    assert found == status
    assert answer.get("error_code") == code


@pytest.mark.parametrize(
    "refusal",
    [
        unavailable(),
        Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "later", "RATE_LIMITED", retryable=True),
        Refusal(grpc.StatusCode.INTERNAL, "no", "INTERNAL"),
    ],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/retrieval", QUERY),
        ("/tools/search", {"query": "x"}),
        ("/dify/extension", {"point": "app.external_data_tool.query", "params": {"query": "x"}}),
    ],
)
async def test_nothing_is_refused_with_a_status_that_difys_proxy_repeats(
    refusal: Refusal, path: str, body: object
) -> None:
    """422, so that its words reach the user and nothing is asked three times more."""
    async with scripted_bridge(Query=[refusal]) as bridge:
        status, _ = await call(bridge.url, path, body)
    assert status == 422


async def test_four_identical_calls_are_searched_once() -> None:
    """At once or one after the other; another credential is another call."""
    async with scripted_bridge(Query=[FOUND]) as bridge:
        bridge.gateway.script("Query", FOUND)
        together = await asyncio.gather(*(call(bridge.url, "/retrieval", QUERY) for _ in range(3)))
        again = await call(bridge.url, "/retrieval", QUERY)
        assert all(answer == again for answer in together)
        assert len(bridge.gateway.calls) == 1
        await call(bridge.url, "/retrieval", QUERY, "Bearer other")
        assert [seen.metadata["authorization"] for seen in bridge.gateway.calls] == ["Bearer t", "Bearer other"]


async def test_a_refusal_is_not_kept() -> None:
    """The next call is asked anew."""
    async with scripted_bridge(Query=[unavailable()]) as bridge:
        bridge.gateway.script("Query", FOUND)
        assert (await call(bridge.url, "/retrieval", QUERY))[0] == 422
        assert (await call(bridge.url, "/retrieval", QUERY))[0] == 200


@pytest.mark.parametrize(
    ("more", "titles"),
    [
        ({}, ["One", "Two"]),
        ({"retrieval_setting": {"top_k": 1, "score_threshold": 0}}, ["One"]),
        ({"retrieval_setting": {"top_k": 5, "score_threshold": 0.6}}, ["One"]),
        (
            {
                "metadata_condition": {
                    "logical_operator": "and",
                    "conditions": [{"name": ["url"], "comparison_operator": "contains", "value": "b.example"}],
                }
            },
            ["Two"],
        ),
    ],
)
async def test_results_are_cut_by_count_score_and_condition(more: dict[str, Any], titles: list[str]) -> None:
    """In that order of the user's settings."""
    async with scripted_bridge(Query=[FOUND]) as bridge:
        _, body = await call(bridge.url, "/retrieval", {**QUERY, **more})
    assert [record["title"] for record in body["records"]] == titles


async def test_the_extension_answers_ping_only_to_a_good_credential(tmp_path: Path) -> None:
    """So a wrong key shows when it is saved."""
    async with served(tmp_path) as (gateway, token):
        assert await call(gateway.http_url, "/dify/extension", {"point": "ping"}, token) == (
            200,
            {"result": "pong"},
        )
        status, _ = await call(gateway.http_url, "/dify/extension", {"point": "ping"}, "Bearer wrong")
        assert status == 403


async def test_an_external_data_tool_gets_a_text_with_sources(tmp_path: Path) -> None:
    """A string, as Dify wants it."""
    params = {"app_id": "a", "tool_variable": "v", "inputs": {"topic": "receipts"}, "query": ""}
    body = {"point": "app.external_data_tool.query", "params": params}
    async with served(tmp_path) as (gateway, token):
        status, answer = await call(gateway.http_url, "/dify/extension", body, token)
    assert status == 200
    assert answer["result"].startswith("[1] ")


@pytest.mark.parametrize(
    ("point", "params", "answer"),
    [
        (
            "app.moderation.input",
            {"inputs": {"a": "fine"}, "query": "hello"},
            {"flagged": False, "action": "direct_output", "inputs": {"a": "fine"}, "query": "hello"},
        ),
        (
            "app.moderation.input",
            {"inputs": {}, "query": "a BOMB"},
            {"flagged": True, "action": "direct_output", "preset_response": "Not here."},
        ),
        (
            "app.moderation.input",
            {"inputs": {"a": "Darn it"}, "query": "hello"},
            {"flagged": True, "action": "overridden", "inputs": {"a": "**** it"}, "query": "hello"},
        ),
        ("app.moderation.output", {"text": "darn"}, {"flagged": True, "action": "overridden", "text": "****"}),
        ("app.moderation.output", {"text": "fine"}, {"flagged": False, "text": "fine"}),
    ],
)
async def test_moderation_follows_the_rule_list(
    point: str, params: dict[str, Any], answer: dict[str, Any]
) -> None:
    """A blocked word stops the answer, a masked one is covered."""
    async with scripted_bridge(RULES) as bridge:
        status, body = await call(bridge.url, "/dify/extension", {"point": point, "params": params})
    assert status == 200
    assert body.items() >= answer.items()


async def test_an_unknown_point_is_refused() -> None:
    """By its name."""
    async with scripted_bridge() as bridge:
        status, body = await call(bridge.url, "/dify/extension", {"point": "app.surprise"})
    assert status == 400
    assert "app.surprise" in body["error_msg"]


async def test_the_custom_tools_of_the_document_work(tmp_path: Path) -> None:
    """Search finds, ask answers with its sources, and every address in the document is there."""
    async with served(tmp_path) as (gateway, token), aiohttp.ClientSession() as http:
        async with http.get(f"{gateway.http_url}/openapi.json") as response:
            document = await response.json()
        assert document["servers"] == [{"url": gateway.http_url}]
        assert {"info", "servers", "paths"} <= document.keys()
        url = document["servers"][0]["url"]
        status, found = await call(url, "/tools/search", {"query": "receipts", "max_results": 2}, token)
        assert (status, len(found["results"])) == (200, 2)
        status, said = await call(url, "/tools/ask", {"question": "what is a receipt?", "search": "always"}, token)
        assert status == 200
        assert said["answer"]
        assert said["sources"]
        assert said["receipt_id"]


async def test_what_the_gateway_cannot_do_is_passed_on_as_it_is() -> None:
    """An operation that is not offered is not there."""
    refusal = Refusal(grpc.StatusCode.UNIMPLEMENTED, "not in this version", "UNIMPLEMENTED")
    async with scripted_bridge(Extract=[refusal]) as bridge:
        status, body = await call(bridge.url, "/tools/extract", {"url": "https://example.org/"})
    assert status == 404
    assert body["error"]["message"] == "not in this version"


async def test_a_provider_named_by_a_knowledge_id_is_the_one_that_is_asked() -> None:
    """`search` asks all of them, and several are joined with a plus."""
    async with scripted_bridge(Query=[FOUND]) as bridge:
        bridge.gateway.script("Query", FOUND)
        await call(bridge.url, "/retrieval", {**QUERY, "knowledge_id": "searxng+embedded"})
        await call(bridge.url, "/retrieval", {**QUERY, "knowledge_id": "search"})
        asked = [list(seen.request.options.providers) for seen in bridge.gateway.calls]
        modes = {seen.request.options.mode for seen in bridge.gateway.calls}
    assert asked == [["searxng", "embedded"], []]
    assert modes == {inference_pb2.SEARCH_MODE_ALWAYS}
    assert isinstance(bridge, Bridge)
