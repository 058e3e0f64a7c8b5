"""Which database keeps the books. The driver of a server is loaded where a server is set."""

from pathlib import Path
from typing import Literal

from gateway import plugins
from gateway.ledger.sqlite import SqliteStore
from gateway.ledger.store import Store


def store(
    directory: Path, url: str = "", synchronous: Literal["NORMAL", "FULL"] = "NORMAL", max_pages: int = 0
) -> Store:
    """The PostgreSQL database at `url`; without one, a file in this directory. Connects to nothing."""
    if not url:
        return SqliteStore(directory, synchronous, max_pages)
    made: Store = plugins.load("gateway.ledger", "postgres").create(url)
    return made
