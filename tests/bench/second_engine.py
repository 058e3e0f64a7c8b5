"""A second search engine for the bench: another ranking of the same passages, in a server shaped like SearXNG.

It knows nothing of words: SQLite's trigram index, scored by which strings of characters a passage shares with the
question. So it errs in other places than the embedded index, which is what fusing is for. What it finds comes
through the provider for SearXNG, over a socket, like the reply of any other machine.
"""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from gateway.domain.text import CJK

HOST = "http://corpus.example/"
PAGE = 10
MAX_TERMS = 40
_ASKED = re.compile(rf"[{CJK}]{{3,}}|[^\W{CJK}_]{{3,}}")
_FIND = """
    SELECT pages.path, pages.title, pages.body FROM grams JOIN pages ON pages.id = grams.rowid
    WHERE grams MATCH ? ORDER BY grams.rank LIMIT ? OFFSET ?
"""


def build(index: Path, database: Path) -> None:
    """Copies the passages of the embedded index, unless that was done before."""
    if database.exists():
        return
    half = database.with_suffix(".half")
    half.unlink(missing_ok=True)
    with closing(sqlite3.connect(half)) as connection:
        connection.execute("ATTACH ? AS embedded", (str(index),))
        connection.executescript(
            """
            CREATE TABLE pages (id INTEGER PRIMARY KEY, path TEXT, title TEXT, body TEXT);
            INSERT INTO pages SELECT p.id, r.label || '/' || d.path, d.title || ' ' || p.heading, p.body
                FROM embedded.passages p JOIN embedded.documents d ON d.id = p.document
                JOIN embedded.roots r ON r.id = d.root;
            CREATE VIRTUAL TABLE grams USING fts5 (title, body, content = 'pages', content_rowid = 'id',
                tokenize = 'trigram');
            INSERT INTO grams (rowid, title, body) SELECT id, title, body FROM pages;
            """
        )
        connection.commit()
    half.rename(database)


@asynccontextmanager
async def serving(database: Path) -> AsyncIterator[str]:
    """The base URL of the engine."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:

        async def search(request: web.Request) -> web.Response:
            page = int(request.query.get("pageno", "1")) - 1
            results = [
                {"url": HOST + quote(path), "title": title, "content": body, "engine": "trigrams"}
                for path, title, body in found(connection, request.query["q"], page)
            ]
            return web.json_response({"query": request.query["q"], "results": results, "unresponsive_engines": []})

        app = web.Application()
        app.router.add_get("/search", search)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def found(connection: sqlite3.Connection, query: str, page: int) -> list[tuple[str, str, str]]:
    """Path, title and text of the best passages."""
    runs = [run for run in _ASKED.findall(query) if not run.isascii() or len(run) > 3][:MAX_TERMS]
    grams = [run[i : i + 3] for run in runs if not run.isascii() for i in range(len(run) - 2)]
    strings = list(dict.fromkeys([run for run in runs if run.isascii()] + grams))[:MAX_TERMS]
    if not strings:
        return []
    expression = " OR ".join(f'"{string}"' for string in strings)
    return connection.execute(_FIND, (expression, PAGE, page * PAGE)).fetchall()
