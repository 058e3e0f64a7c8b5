"""How well and how fast the embedded search finds: recall@5, MRR, latency, and whether citations are supported.

    python -m tests.bench.search_quality [--folder PATH] [--documents 10000 100000] [--losses]

`alone` is the provider's own list; `fused` is what the enrichment step makes of it (the words it searches for, the
fusion, the evidence budget). A hit counts when it lies in the document that the question was made from.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from urllib.parse import unquote

from gateway.domain.tenant import Tenant
from gateway.domain.turn import SearchMode, SearchOptions
from gateway.search import Question, SearchQuery
from gateway.search.chunks import Passage, passages
from gateway.search.documents import read_document
from gateway.search.embedded import EmbeddedIndex
from gateway.search.enrich import Enricher
from gateway.search.index_store import IndexStore, NewDocument
from gateway.search.indexing import index_paths
from gateway.search.outline import UnreadableFileError
from gateway.search.tokens import analyse
from gateway.telemetry import logging
from gateway.v1 import inference_pb2
from tests.bench.search_corpus import Asked, NoCorpusError, build, questions
from tests.support.gateway import running

AT = 5
CITED_QUESTIONS = 60


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
    parser.add_argument("--documents", type=int, nargs="*", default=[10_000])
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
    asyncio.run(measure(database, asked, args.losses))
    asyncio.run(citations(args.folder, asked[:: max(1, len(asked) // CITED_QUESTIONS)]))
    for count in args.documents:
        asyncio.run(speed(args.folder / f"speed-{count}.db", corpus, count, asked))
    return 0


async def measure(database: Path, asked: Sequence[Asked], losses: bool) -> None:
    """Recall and MRR, for the provider alone and through the enrichment step."""
    index = EmbeddedIndex(database)
    enricher = Enricher({"embedded": index}, timeout_s=30.0)
    scores: dict[str, Score] = {}
    try:
        for one in asked:
            hits = await index.search(SearchQuery(one.text, 10))
            alone = _rank([hit.url for hit in hits], one)
            options = SearchOptions(max_results=10, evidence_token_budget=100_000)
            found = await enricher.enrich(
                Question(one.text, (), SearchMode.ALWAYS, options, 30.0), Tenant("bench")
            )
            fused = _rank([source.url for source in found.sources], one)
            language = "Chinese" if one.chinese else "English"
            for way, rank in (("alone", alone), ("fused", fused)):
                for name in (f"{way}, all", f"{way}, {language}, {one.kind}"):
                    scores.setdefault(name, Score()).ranks.append(rank)
            if losses and not 0 < alone <= AT:
                print(f"# {alone:2} {one.kind} {one.path}: {one.text}", file=sys.stderr)
                print(f"#      {[hit.url for hit in hits][:3]}", file=sys.stderr)
    finally:
        await index.aclose()
    print("| search | questions | recall@5 | MRR |\n|---|---|---|---|")
    for name in sorted(scores):
        print(scores[name].line(name))


async def citations(folder: Path, asked: Sequence[Asked]) -> None:
    """What the embedded model cites, through a whole gateway, by the label of each citation."""
    labels: Counter[str] = Counter()
    async with running(folder) as gateway:
        for one in asked:
            turn = inference_pb2.Turn(prompt=one.text, model="embedded")
            turn.search.mode = inference_pb2.SEARCH_MODE_ALWAYS
            async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer()):
                if frame.HasField("citation"):
                    labels[_label(frame.citation.support)] += 1
    total = sum(labels.values())
    print("\n| citations | share |\n|---|---|")
    for label, count in labels.most_common():
        print(f"| {label} ({count} of {total}) | {count / total:.3f} |")


async def speed(database: Path, corpus: Path, count: int, asked: Sequence[Asked]) -> None:
    """Latency over `count` documents of one passage each; passages come again in another order of their words."""
    if not database.exists():
        fill(database, corpus, count)
    index = EmbeddedIndex(database)
    took: list[float] = []
    try:
        for one in (*asked[:20], *asked):
            begun = time.perf_counter()
            await index.search(SearchQuery(one.text, AT))
            took.append((time.perf_counter() - begun) * 1_000)
    finally:
        await index.aclose()
    cuts = quantiles(took[20:], n=100)
    print(f"\n{count} documents: p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms")


def fill(database: Path, corpus: Path, count: int) -> None:
    """Writes an index of `count` documents."""
    texts: list[str] = []
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        if len(texts) >= count:
            break
        try:
            texts += [passage.text for passage in passages(read_document(path.name, path.read_bytes()))]
        except UnreadableFileError:
            continue
    with closing(IndexStore(database)) as store:
        with store.transaction():
            root = store.add_root("", "speed", "speed")
        for start in range(0, count, 1_000):
            with store.transaction():
                for number in range(start, min(count, start + 1_000)):
                    store.put(root, "", _document(number, texts), 0.0)
        store.tidy()


def _document(number: int, texts: Sequence[str]) -> NewDocument:
    words = texts[number % len(texts)].split(" ")
    turn = (number // len(texts) * 7) % (len(words) or 1)
    text = " ".join(words[turn:] + words[:turn])
    title = " ".join(analyse(text)[:4]) or "untitled"
    return NewDocument(f"{number}.txt", "text", title, None, b"", (Passage((), "", text),))


def _rank(urls: Sequence[str], one: Asked) -> int:
    """The place of the first hit in the right document; several hits in one wrong document count once."""
    seen = list(dict.fromkeys(unquote(url.removeprefix("doc:").partition("#")[0]) for url in urls))
    return next((place for place, path in enumerate(seen, start=1) if path == one.path), 0)


def _label(number: int) -> str:
    return inference_pb2.DESCRIPTOR.pool.FindEnumTypeByName("gateway.v1.Support").values_by_number[number].name


if __name__ == "__main__":
    sys.exit(main())
