"""How well and how fast the embedded search finds: recall@5, MRR, latency, and whether citations are supported.

    python -m tests.bench.search_quality [--folder PATH] [--documents 10000 100000] [--losses]

`alone` is the index's own list; `enriched` is what the whole step makes of it (the words it searches for, the
evidence budget); `second` is another engine over the same passages (`second_engine.py`), asked over a socket;
`fused` is both together. A hit counts when it lies in the document that the question was made from.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import quantiles
from urllib.parse import unquote

from gateway.domain.events import Source
from gateway.domain.tenant import Tenant
from gateway.domain.turn import SearchMode, SearchOptions
from gateway.search import ProviderOptions, Question, SearchQuery, Shared, searxng
from gateway.search.chunks import Passage, passages
from gateway.search.documents import read_document
from gateway.search.embedded import EmbeddedIndex
from gateway.search.enrich import Enricher
from gateway.search.index_store import IndexStore, NewDocument
from gateway.search.indexing import index_paths
from gateway.search.outline import UnreadableFileError
from gateway.search.support import check
from gateway.search.tokens import analyse
from gateway.search.vendor_http import VendorHttp
from gateway.telemetry import logging
from gateway.v1 import content_pb2, inference_pb2
from tests.bench import second_engine
from tests.bench.search_corpus import Asked, NoCorpusError, build, questions
from tests.support.gateway import Running, running

AT, DEPTH = 5, 10
CITED_QUESTIONS = 60
WARM_UP = 20


@dataclass(slots=True)
class Score:
    """Ranks of the right document, 0 where it was not among the first ten."""

    ranks: list[int] = field(default_factory=list)

    def line(self, name: str) -> str:
        """One row of the table."""
        count = len(self.ranks) or 1
        recall = sum(0 < rank <= AT for rank in self.ranks) / count
        mrr = sum(1 / rank for rank in self.ranks if rank) / count
        return f"| {name} | {len(self.ranks)} | {recall:.3f} | {mrr:.3f} |"


def main() -> int:
    """Prints the tables; 0 also where the corpus cannot be had, with the reason."""
    parser = argparse.ArgumentParser(description="Quality and speed of the embedded search.")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "gateway-search-bench")
    parser.add_argument("--documents", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--losses", action="store_true", help="print the questions whose document was not found")
    args = parser.parse_args()
    logging.configure("error", "json")
    try:
        corpus = build(args.folder)
    except NoCorpusError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return 0
    database = args.folder / "data" / "index.db"
    begun = time.perf_counter()
    report = index_paths(database, sorted(path for path in corpus.iterdir()))
    print(f"# {report.changed} documents indexed in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
    asked = questions(corpus)
    second_engine.build(database, args.folder / "second.db")
    asyncio.run(measure(database, args.folder / "second.db", asked, args.losses))
    asyncio.run(citations(args.folder, corpus, asked[:: max(1, len(asked) // CITED_QUESTIONS)]))
    print("\n| documents | p50 ms | p95 ms | p99 ms | CPU ms a query |\n|---|---|---|---|---|")
    for count in args.documents:
        asyncio.run(speed(args.folder / f"speed-{count}.db", corpus, count, asked))
    return 0


async def measure(database: Path, second: Path, asked: Sequence[Asked], losses: bool) -> None:
    """Recall and MRR of each way to search."""
    index = EmbeddedIndex(database)
    scores: dict[str, Score] = {}
    async with second_engine.serving(second) as url, VendorHttp() as http:
        other = await searxng.create(ProviderOptions(url=url, timeout_s=30.0), Shared(database.parent, http))
        ways = {
            "enriched": Enricher({"embedded": index}, timeout_s=30.0),
            "second": Enricher({"searxng": other}, timeout_s=30.0),
            "fused": Enricher({"embedded": index, "searxng": other}, timeout_s=30.0),
        }
        try:
            for one in asked:
                hits = [hit.url for hit in await index.search(SearchQuery(one.text, DEPTH))]
                found = {"alone": hits, **{name: await sources(way, one) for name, way in ways.items()}}
                language = "Chinese" if one.chinese else "English"
                for way, urls in found.items():
                    for name in (f"{way}, all", f"{way}, {language}, {one.kind}"):
                        scores.setdefault(name, Score()).ranks.append(_rank(urls, one))
                if losses and not 0 < _rank(hits, one) <= AT:
                    print(f"# {_rank(hits, one):2} {one.kind} {one.path}: {one.text}", file=sys.stderr)
                    print(f"#      {hits[:3]}", file=sys.stderr)
        finally:
            await index.aclose()
    print("| search | questions | recall@5 | MRR |\n|---|---|---|---|")
    for name in sorted(scores):
        print(scores[name].line(name))


async def sources(enricher: Enricher, one: Asked) -> list[str]:
    """The addresses that the enrichment step gives for a question, best first."""
    options = SearchOptions(max_results=DEPTH, evidence_token_budget=100_000)
    found = await enricher.enrich(Question(one.text, (), SearchMode.ALWAYS, options, 30.0), Tenant("bench"))
    return [source.url for source in found.sources]


async def citations(folder: Path, corpus: Path, asked: Sequence[Asked]) -> None:
    """What the embedded model cites, through a whole gateway: the label of each citation, and the truth of it.

    The truth is found without the labels: the cited words stand in the cited document, read anew from its file.
    And the other way round: the same words held against a document without them must not be STATED.
    """
    labels: Counter[str] = Counter()
    true: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    other = ""
    async with running(folder) as gateway:
        for one in asked:
            answer, cited, named = await answered(gateway, one)
            for citation in cited:
                label = _label(citation.support)
                span = answer[citation.start : citation.end].decode()
                texts = [read_text(corpus, named[name]) for name in citation.source_ids]
                labels[label] += 1
                true[label] += any(squeezed(span) in squeezed(text) for text in texts)
                if other and squeezed(span) not in squeezed(other):
                    wrong[check(span, Source("S1", "", "", "", "", passage=other[:20_000]))[0].name] += 1
                other = texts[0] or other
    total, mistaken = sum(labels.values()) or 1, sum(wrong.values()) or 1
    print("\n| citations | count | share | their words stand in the cited document |\n|---|---|---|---|")
    for label, count in labels.most_common():
        print(f"| {label} | {count} | {count / total:.3f} | {true[label] / count:.3f} |")
    print(f"| all | {total} | 1.000 | {true.total() / total:.3f} |")
    print("\n| the same words against a wrong document | share |\n|---|---|")
    for label, count in wrong.most_common():
        print(f"| {label} ({count} of {mistaken}) | {count / mistaken:.3f} |")


async def answered(gateway: Running, one: Asked) -> tuple[bytes, list[content_pb2.Citation], dict[str, str]]:
    """The answer to a question, its citations, and the address of each source."""
    turn = inference_pb2.Turn(prompt=one.text, model="embedded")
    turn.search.mode = inference_pb2.SEARCH_MODE_ALWAYS
    answer, cited, named = b"", [], {}
    async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer()):
        answer += frame.delta.text.encode()
        named.update({source.source_id: source.url for source in frame.search.sources})
        if frame.HasField("citation"):
            cited.append(frame.citation)
    return answer, cited, named


@lru_cache(maxsize=512)
def read_text(corpus: Path, url: str) -> str:
    """The whole text of the document at an address of the index."""
    path = corpus / unquote(url.removeprefix("doc:").partition("#")[0])
    document = read_document(path.name, path.read_bytes())
    return "\n".join(block.text for section in document.sections for block in section.blocks)


def squeezed(text: str) -> str:
    """Letters and digits alone: what is left when quotation marks and line ends are taken for what they are."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


async def speed(database: Path, corpus: Path, count: int, asked: Sequence[Asked]) -> None:
    """Latency over `count` documents of one passage each; passages come again in another order of their words."""
    if not database.exists():
        fill(database, corpus, count)
    index = EmbeddedIndex(database)
    took: list[float] = []
    cpu = 0.0
    try:
        for one in (*asked[:WARM_UP], *asked):
            begun = time.perf_counter()
            if len(took) == WARM_UP:
                cpu = time.process_time()
            await index.search(SearchQuery(one.text, AT))
            took.append((time.perf_counter() - begun) * 1_000)
    finally:
        await index.aclose()
    cuts = quantiles(took[WARM_UP:], n=100)
    cpu_ms = (time.process_time() - cpu) * 1_000 / len(asked)
    print(f"| {count} | {cuts[49]:.2f} | {cuts[94]:.2f} | {cuts[98]:.2f} | {cpu_ms:.2f} |")


def fill(database: Path, corpus: Path, count: int) -> None:
    """Writes an index of `count` documents, whole or not at all."""
    half = database.with_suffix(".half")
    half.unlink(missing_ok=True)
    texts: list[str] = []
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        if len(texts) >= count:
            break
        try:
            texts += [passage.text for passage in passages(read_document(path.name, path.read_bytes()))]
        except UnreadableFileError:
            continue
    with closing(IndexStore(half)) as store:
        with store.transaction():
            root = store.add_root("", "speed", "speed")
        for start in range(0, count, 1_000):
            with store.transaction():
                for number in range(start, min(count, start + 1_000)):
                    store.put(root, "", _document(number, texts), 0.0)
        store.tidy()
    half.rename(database)


def _document(number: int, texts: Sequence[str]) -> NewDocument:
    words = texts[number % len(texts)].split(" ")
    turn = (number // len(texts) * 7) % (len(words) or 1)
    text = " ".join(words[turn:] + words[:turn])
    title = " ".join(analyse(text)[:4]) or "untitled"
    return NewDocument(f"{number}.txt", "text", title, None, b"", (Passage((), "", text),))


def _rank(urls: Sequence[str], one: Asked) -> int:
    """The place of the first hit in the right document; several hits in one wrong document count once."""
    bare = (url.removeprefix("doc:").removeprefix(second_engine.HOST).partition("#")[0] for url in urls)
    seen = list(dict.fromkeys(map(unquote, bare)))
    return next((place for place, path in enumerate(seen, start=1) if path == one.path), 0)


def _label(number: int) -> str:
    return inference_pb2.DESCRIPTOR.pool.FindEnumTypeByName("gateway.v1.Support").values_by_number[number].name


if __name__ == "__main__":
    sys.exit(main())
