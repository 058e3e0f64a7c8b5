"""The embedded search provider: BM25 over the files an operator indexed, in one SQLite file, without a network."""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from gateway.domain.errors import OperatorError, Reason, UpstreamError
from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.index_schema import DAMAGED, open_for_reading
from gateway.search.indexing import ensure_shipped
from gateway.search.ranking import Candidate, Ranked, ranked
from gateway.search.snippets import snippet
from gateway.search.tokens import Question, match_expression, question

CANDIDATES = 48
RAREST, ENOUGH = 3, 1_000
MISSING = "the embedded search index does not exist yet; run `gateway index` with the same data directory"
CLOSED = "the embedded search index is closed; the gateway is stopping"

# FTS5 gives the rows in the order of their rank, so the other conditions are checked from the best row on and only
# until there are enough. Another tenant's rows never leave SQLite.
_FIND = """
    SELECT passages.id, documents.id, -terms.rank, terms.title, terms.heading, terms.body
    FROM terms CROSS JOIN passages ON passages.id = terms.rowid
               CROSS JOIN documents ON documents.id = passages.document
    WHERE terms MATCH ? AND documents.tenant IN ('', ?)
      AND (? IS NULL OR documents.mtime >= ?) AND (? IS NULL OR documents.mtime <= ?)
    ORDER BY terms.rank LIMIT ?
"""
_SHOW = """
    SELECT roots.label, documents.path, documents.title, passages.heading, passages.anchor, passages.body,
           documents.mtime
    FROM passages JOIN documents ON documents.id = passages.document JOIN roots ON roots.id = documents.root
    WHERE passages.id = ?
"""

DATABASE = "index.db"


class EmbeddedIndex:
    """Keeps the promise of `SearchProvider` from the index at `database`.

    A caller finds what is shared by all and what is its own tenant's. `only_domains` finds nothing, for files have
    no domain; a time span leaves out documents whose time is unknown; `locale` changes nothing.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-index")
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] = (0, 0)
        self._closed = False

    @property
    def name(self) -> str:
        """`embedded`."""
        return "embedded"

    def unsupported(self, _query: SearchQuery) -> tuple[str, ...]:
        """Nothing: what does not apply to files finds what it should."""
        return ()

    def calls_for(self, _results: int) -> int:
        """One, whatever is wanted."""
        return 1

    async def search(self, query: SearchQuery) -> list[Hit]:
        """At most `max_results` hits, best first. Raises UpstreamError(ENRICHMENT_FAILED)."""
        asked = question(query.terms)
        if self._closed:
            raise UpstreamError(Reason.ENRICHMENT_FAILED, CLOSED)
        if not asked.terms or query.only_domains or query.max_results < 1:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._search, query, asked)

    async def aclose(self) -> None:
        """Lets the search that is running finish, then gives the file back; may be called again."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._worker, self._disconnect)
            self._worker.shutdown(wait=False)

    def _search(self, query: SearchQuery, asked: Question) -> list[Hit]:
        """What runs in the worker's thread, the only one that touches the connection."""
        try:
            connection = self._connected()
            connection.execute("BEGIN")  # one state of the index for both statements, whoever writes meanwhile
            try:
                found = ranked(_candidates(connection, query, asked), asked, query.max_results)
                return [_hit(connection, one, asked.terms) for one in found]
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._disconnect()
            raise UpstreamError(Reason.ENRICHMENT_FAILED, DAMAGED) from error
        except OperatorError as error:
            raise UpstreamError(error.reason, error.message) from error

    def _connected(self) -> sqlite3.Connection:
        """The connection to the file that has the name now: an operator may have replaced it."""
        try:
            status = self._database.stat()
        except OSError as error:
            self._disconnect()
            raise OperatorError(Reason.ENRICHMENT_FAILED, MISSING) from error
        identity = (status.st_dev, status.st_ino)
        if self._connection is None or identity != self._opened:
            self._disconnect()
            self._connection = open_for_reading(self._database)
            self._opened = identity
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _candidates(connection: sqlite3.Connection, query: SearchQuery, asked: Question) -> list[Candidate]:
    since, until = query.not_before, query.not_after
    wanted = max(CANDIDATES, 4 * query.max_results)
    expression = match_expression(_focused(connection, asked, wanted))
    rows = connection.execute(_FIND, (expression, query.tenant, since, since, until, until, wanted))
    return [Candidate(*row) for row in rows]


def _focused(connection: sqlite3.Connection, asked: Question, wanted: int) -> Question:
    """The question by its rarest terms: three of them, and as many more as ENOUGH passages hold together.

    FTS5 scores every passage that has any of the terms, most of them for common ones, to which BM25 gives next to
    no weight. Which of the passages covers most of the question is decided after that, by all its terms.
    """
    if asked.prefix:
        return asked
    frequency = {term: _frequency(connection, term) for term in asked.terms}
    kept: set[str] = set()
    passages = 0
    for term in sorted(filter(frequency.__getitem__, asked.terms), key=frequency.__getitem__):
        if len(kept) >= RAREST and passages + frequency[term] > ENOUGH:
            break
        kept.add(term)
        passages += frequency[term]
    if passages < wanted:
        return asked
    phrases = tuple(phrase for phrase in asked.phrases if kept.issuperset(phrase))
    return replace(asked, terms=tuple(term for term in asked.terms if term in kept), phrases=phrases)


def _frequency(connection: sqlite3.Connection, term: str) -> int:
    found = connection.execute("SELECT doc FROM temp.frequencies WHERE term = ?", (term,)).fetchone()
    return int(found[0]) if found else 0


def _hit(connection: sqlite3.Connection, found: Ranked, asked: Sequence[str]) -> Hit:
    label, path, title, heading, anchor, body, mtime = connection.execute(_SHOW, (found.passage,)).fetchone()
    return Hit(
        url=reference(label, path, anchor),
        title=f"{title} › {heading}" if heading else title,
        snippet=snippet(body, asked),
        passage=body,
        published=mtime,
        score=found.score,
    )


def reference(label: str, path: str, anchor: str) -> str:
    """The address of a passage, `doc:guide/setup.md#ports`: stable, and silent about where the file lies."""
    address = "doc:" + quote("/".join(part for part in (label, path) if part), safe="/~")
    return f"{address}#{quote(anchor, safe='=')}" if anchor else address


async def create(_options: ProviderOptions, shared: Shared) -> EmbeddedIndex:
    """The index of the data directory, with the gateway's own documents in it. Raises OperatorError."""
    database = shared.data_dir / DATABASE
    await asyncio.to_thread(ensure_shipped, database)
    return EmbeddedIndex(database)
