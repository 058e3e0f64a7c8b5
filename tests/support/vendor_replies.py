"""Search vendors as their documentation describes them: what each expects of a request, and what it answers.

Nothing here was recorded: each reply was written from documentation, with made-up pages. A question that
holds the word `zebra` finds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

KEY = "key-of-nobody-0123456789"
Body = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Asked:
    """One request as a vendor sees it; `json` is empty for a GET."""

    method: str
    path: str
    headers: dict[str, str]
    params: dict[str, str]
    json: Body


@dataclass(frozen=True)
class Script:
    """One vendor: where it listens, where the key stands, how long a query may be, what it answers."""

    method: str
    path: str
    key: Callable[[Asked], bool]
    terms: Callable[[Asked], str]
    max_terms: int
    answer: Callable[[int], object]
    content_type: str = "application/json"


def _pages(count: int) -> list[tuple[str, str, str]]:
    return [
        (
            f"https://harbour{n}.example/cranes/{n}",
            f"Harbour cranes, part {n}",
            f"The harbour crane number {n} lifts boxes.",
        )
        for n in range(1, count + 1)
    ]


def _bearer(asked: Asked) -> bool:
    return asked.headers.get("Authorization") == f"Bearer {KEY}"


def deepseek(count: int) -> object:
    return {
        "results": [
            {
                "title": title,
                "url": url,
                "snippet": text,
                "summary": f"{text} In short: it is strong.",
                "content": f"# {title}\n\n{text} It has stood there since 1999.",
                "date": "2026-10-20",
                "authority": 2,
                "rerank_score": 2.4,
            }
            for url, title, text in _pages(count)
        ]
    }


def alibaba_iqs(count: int) -> object:
    return {
        "requestId": "0F5D6C1A",
        "pageItems": [
            {
                "title": title,
                "link": url,
                "snippet": text,
                "mainText": f"{text} It has stood there since 1999.",
                "publishedTime": "2026-10-20T08:00:00+08:00",
                "rerankScore": 0.8,
            }
            for url, title, text in _pages(count)
        ],
        "searchInformation": {"searchTime": 812},
    }


def zhipu(count: int) -> object:
    return {
        "id": "20261021",
        "created": 1761004800,
        "search_intent": [{"query": "crane", "intent": "SEARCH_ALL", "keywords": "crane"}],
        "search_result": [
            {
                "title": title,
                "content": text,
                "link": url,
                "media": "Harbour News",
                "icon": "",
                "refer": f"ref_{n}",
                "publish_date": "2026-10-20",
            }
            for n, (url, title, text) in enumerate(_pages(count), start=1)
        ],
    }


def bocha(count: int) -> object:
    return {
        "code": 200,
        "log_id": "b1",
        "msg": None,
        "data": {
            "_type": "SearchResponse",
            "webPages": {
                "totalEstimatedMatches": 10_000,
                "value": [
                    {
                        "id": f"https://api.bochaai.com/v1/#WebPages.{n}",
                        "name": title,
                        "url": url,
                        "snippet": text,
                        "summary": f"{text} It has stood there since 1999.",
                        "siteName": "Harbour",
                        "datePublished": "2026-10-20T08:00:00+08:00",
                    }
                    for n, (url, title, text) in enumerate(_pages(count))
                ],
            },
        },
    }


def tavily(count: int) -> object:
    return {
        "query": "harbour crane",
        "answer": None,
        "images": [],
        "results": [
            {"title": title, "url": url, "content": text, "score": 0.9 - n / 100, "raw_content": None}
            for n, (url, title, text) in enumerate(_pages(count))
        ],
        "response_time": 1.2,
    }


def brave(count: int) -> object:
    return {
        "type": "search",
        "query": {"original": "harbour crane", "more_results_available": True},
        "web": {
            "type": "search",
            "results": [
                {
                    "title": title,
                    "url": url,
                    "description": f"{text[:-1]} &amp; more, says the <strong>harbour</strong>.",
                    "page_age": "2026-10-20T08:00:00",
                    "extra_snippets": ["It has stood there since 1999."],
                }
                for url, title, text in _pages(count)
            ],
        },
    }


def searxng(count: int) -> object:
    keyed = {"url": None, "title": "", "content": "a key-value result", "engine": "calculator"}
    pages = [
        {"url": url, "title": title, "content": text, "engine": "localdb", "score": 1.0, "publishedDate": None}
        for url, title, text in _pages(count)
    ]
    return {"query": "crane", "results": [*pages[:1], keyed, *pages[1:]], "unresponsive_engines": []}


def arxiv(count: int) -> object:
    entries = "".join(
        f"<entry><id>http://arxiv.org/abs/2610.{n:05}v1</id><published>2026-10-20T08:00:00Z</published>"
        f"<title>{escape(title)}</title><summary>  {escape(text)}\n  </summary>"
        f"<author><name>A. N. Author</name></author><link href='{url}'/></entry>"
        for n, (url, title, text) in enumerate(_pages(count))
    )
    return (
        "<?xml version='1.0' encoding='UTF-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<title>arXiv Query</title><id>http://arxiv.org/api/x</id>{entries}</feed>"
    )


def external(count: int) -> object:
    return [{"link": url, "title": title, "snippet": text} for url, title, text in _pages(count)]


SCRIPTS: dict[str, Script] = {
    "deepseek": Script("POST", "/v1/tools/search", _bearer, lambda a: a.json["query"], 128, deepseek),
    "alibaba_iqs": Script(
        *("POST", "/search/unified", lambda a: a.headers.get("X-API-Key") == KEY),
        *(lambda a: a.json["query"], 500, alibaba_iqs),
    ),
    "zhipu": Script("POST", "/web_search", _bearer, lambda a: a.json["search_query"], 70, zhipu),
    "bocha": Script("POST", "/v1/web-search", _bearer, lambda a: a.json["query"], 500, bocha),
    "tavily": Script("POST", "/search", _bearer, lambda a: a.json["query"], 400, tavily),
    "brave": Script(
        *("GET", "/res/v1/web/search", lambda a: a.headers.get("X-Subscription-Token") == KEY),
        *(lambda a: a.params["q"], 400, brave),
    ),
    "searxng": Script("GET", "/search", lambda _: True, lambda a: a.params["q"], 400, searxng),
    "arxiv": Script(
        *("GET", "/api/query", lambda _: True, lambda a: a.params["search_query"], 1_000, arxiv),
        content_type="application/atom+xml",
    ),
    "external": Script("POST", "/", _bearer, lambda a: a.json["query"], 500, external),
}
NEEDS_KEY = ("deepseek", "alibaba_iqs", "zhipu", "bocha", "tavily", "brave")
