"""The same question again, soon after: found in memory, told so, not paid for, and never across tenants."""

from pathlib import Path

from gateway.v1 import inference_pb2, search_pb2
from tests.support.gateway import running
from tests.support.search_web import ScriptedVendor
from tests.support.vendor_replies import KEY


async def test_a_search_is_found_again_within_its_tenant_only(tmp_path: Path) -> None:
    """The event says so, and the vendor is asked once for each tenant."""
    async with ScriptedVendor("brave") as vendor:
        environment = {
            "GATEWAY_SEARCH_PROVIDERS": "brave",
            "GATEWAY_SEARCH_BRAVE_URL": vendor.url,
            "GATEWAY_SEARCH_BRAVE_KEY": KEY,
        }
        async with running(tmp_path, environment=environment) as gateway:
            request = search_pb2.SearchRequest(query="harbour crane")
            told = []
            for tenant in ("acme", "acme", "umbrella"):
                reply = await gateway.search.Query(request, metadata=gateway.bearer(tenant))
                assert len(reply.sources) == 4
                told.append(reply.events[0].from_cache)
            assert told == [False, True, False]
            assert len(vendor.asked) == 2


async def test_a_vendor_that_cannot_filter_says_so_in_its_event(tmp_path: Path) -> None:
    """The answer goes on, with what is filtered here."""
    async with ScriptedVendor("external") as vendor:
        environment = {
            "GATEWAY_SEARCH_PROVIDERS": "external",
            "GATEWAY_SEARCH_EXTERNAL_URL": vendor.url,
            "GATEWAY_SEARCH_EXTERNAL_KEY": KEY,
        }
        async with running(tmp_path, environment=environment) as gateway:
            options = inference_pb2.SearchOptions(only_domains=["harbour2.example"])
            request = search_pb2.SearchRequest(query="harbour crane", options=options)
            reply = await gateway.search.Query(request, metadata=gateway.bearer())
            assert [source.url for source in reply.sources] == ["https://harbour2.example/cranes/2"]
            assert "domains" in reply.events[0].detail
