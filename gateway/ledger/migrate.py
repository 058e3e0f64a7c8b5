"""Makes the tables, or brings them up to date: Alembic's migrations, in one transaction that keeps others out."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from gateway.domain.errors import OperatorError, Reason

MIGRATIONS = Path(__file__).parent / "migrations"
FIRST = "0001"


def migrate(engine: Engine, place: str, lock: Callable[[Connection], None]) -> None:
    """Brings the database at `place` to the newest revision; `lock` keeps other programs from doing so meanwhile.

    Raises OperatorError for one that is newer than this program, and what the driver raises.
    """
    with engine.begin() as connection:
        lock(connection)
        if revision(connection, place) == newest():
            return
        config = _config()
        config.attributes["connection"] = connection
        if _is_hand_made(connection):
            command.stamp(config, FIRST)
        command.upgrade(config, "head")


def check(connection: Connection, place: str) -> None:
    """Raises OperatorError for a database that this program cannot read as it is."""
    if revision(connection, place) != newest():
        raise _wrong_version(place, "older", "start the gateway once, which brings it up to date")


def revision(connection: Connection, place: str) -> str | None:
    """The revision of a database, None for one that Alembic has not seen. OperatorError for one of the future."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise _wrong_version(place, "newer", "install that version")
    return found


def newest() -> str | None:
    """The revision that this program writes."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _is_hand_made(connection: Connection) -> bool:
    """Whether the first version of the gateway made the tables, which knew no Alembic."""
    tables = inspect(connection)
    return tables.has_table("receipts") and not tables.has_table("alembic_version")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _wrong_version(place: str, word: str, what: str) -> OperatorError:
    return OperatorError(Reason.AUDIT_UNAVAILABLE, f"{place} was written by a {word} gateway: {what}.")
