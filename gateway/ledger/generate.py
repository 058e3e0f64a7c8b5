"""Writes `sql/` anew, after a change of `wording` or a new migration: `python -m gateway.ledger.generate`.

SQLAlchemy and Alembic are loaded here and nowhere else: a gateway that serves reads what they wrote. A migration
is written without a database at hand, so it cannot look into one (Alembic calls that its offline mode).
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.dialects.sqlite import pysqlite

from gateway.ledger.statements import SQL
from gateway.ledger.wording import statements

_MIGRATIONS = SQL.with_name("migrations")
_DIALECTS: dict[str, Callable[[], Dialect]] = {
    "sqlite": lambda: pysqlite.dialect(paramstyle="qmark"),
    "postgresql": lambda: psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]  # SQLAlchemy's own
}


class _Output(io.StringIO):
    """Keeps apart what Alembic writes: one statement, or one remark, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def write(self, text: str) -> int:
        """One more; remarks are no statements."""
        if not text.startswith("--"):
            self.said.append(text.strip().removesuffix(";"))
        return len(text)


def generated() -> dict[str, str]:
    """What each file of `sql/` shall hold, by its name."""
    return {f"{name}.json": _file(name, make()) for name, make in _DIALECTS.items()}


def main() -> None:
    """Writes them."""
    for name, text in generated().items():
        (SQL / name).write_text(text, encoding="utf-8")


def _file(name: str, dialect: Dialect) -> str:
    scripts = ScriptDirectory(str(_MIGRATIONS))
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    steps = [
        {"revision": revision, "sql": _said(name, command.upgrade, f"{before}:{revision}")}
        for before, revision in zip(["base", *revisions], revisions, strict=False)
    ]
    stamp = _said(name, command.stamp, revisions[0])
    whole = {"statements": asdict(statements(dialect)), "stamp": stamp, "steps": steps}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _said(dialect: str, say: Callable[..., None], revision: str) -> list[str]:
    output = _Output()
    config = Config(attributes={"dialect": dialect, "output": output})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    say(config, revision, sql=True)
    return output.said


if __name__ == "__main__":
    main()
