"""The books in PostgreSQL, for replicas that share them.

The URL is libpq's (https://www.postgresql.org/docs/current/libpq-connect.html), so TLS, several hosts and service
files work as everywhere. What survives is PostgreSQL's own affair: by default a commit is on its disk.
"""

import socket
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from typing import cast
from urllib.parse import urlsplit

import psycopg

from gateway.ledger import migrate
from gateway.ledger.statements import texts
from gateway.ledger.store import Connection, Cursor, Row, Store, unusable

CONNECT_S = 2
MIGRATION_LOCK = 0x6761746577617900
_LOST_STATES = ("57P", "25006", "08")
"""The server ends or has become a read-only copy, or the connection failed; see
https://www.postgresql.org/docs/current/errcodes-appendix.html."""
_ADVICE = {
    "28": "it refuses the name or the password: correct the URL",
    "3D": "there is no such database: create it",
    "42501": "the user may not do this: make it the owner of the database, or of the tables",
    "53100": "its disk is full: free some space",
    "53300": "it has too many connections: raise max_connections, or run fewer gateways",
    "25006": "it is a read-only copy: give the URL of the primary (target_session_attrs=read-write)",
}

_WORDS = {"authentication failed": "28", "no pg_hba.conf entry": "28", "does not exist": "3D"}


class PostgresStore:
    """Keeps the promise of `Store` with the database at `url`."""

    errors: tuple[type[Exception], ...] = (psycopg.Error, OSError)
    begin = "BEGIN"
    remote = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: socket.socket | None = None
        said = texts("postgresql")
        self.say = said.say
        self._place = migrate.Place(_public(url), said.steps, "SELECT count(to_regclass(%s))")

    def prepare(self) -> None:
        """See `Store`."""
        try:
            with closing(self._open()) as connection:
                lock = f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
                migrate.migrate(cast(Connection, connection), self._place, ("BEGIN", lock))
        except self.errors as error:
            raise unusable(self.advice(error)) from error

    def connect(self) -> Connection:
        """See `Store`."""
        connection = self._open()
        self._forget_socket()
        self._socket = socket.socket(fileno=socket.dup(connection.fileno()))
        return cast(Connection, connection)

    def disconnect(self, connection: Connection) -> None:
        """See `Store`."""
        self._forget_socket()
        connection.close()

    def read_only(self) -> Connection:
        """See `Store`."""
        try:
            with ExitStack() as stack:
                connection = cast(Connection, stack.enter_context(closing(self._open())))
                migrate.check(connection, self._place)
                connection.execute("SET default_transaction_read_only = on")
                stack.pop_all()
        except self.errors as error:
            raise unusable(self.advice(error)) from error
        return connection

    def many(self, connection: Connection, statements: Sequence[tuple[str, Row]]) -> list[Cursor]:
        """See `Store`. One way to the server and back for all of them."""
        with cast("psycopg.Connection[Row]", connection).pipeline():
            return [connection.execute(sql, values) for sql, values in statements]

    def is_gone(self, connection: Connection, error: Exception) -> bool:
        """See `Store`."""
        state = getattr(error, "sqlstate", None) or ""
        return cast("psycopg.Connection[Row]", connection).closed or state.startswith(_LOST_STATES)

    def is_passing(self, error: Exception) -> bool:
        """See `Store`."""
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | OSError)

    def interrupt(self) -> None:
        """See `Store`. What waits for the server finds the connection ended."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def advice(self, error: Exception) -> str:
        """See `Store`."""
        state = getattr(error, "sqlstate", None) or ""
        # A connection that was not made has no code.
        state = state or next((code for words, code in _WORDS.items() if words in str(error)), "")
        known = next((said for code, said in _ADVICE.items() if state.startswith(code)), "")
        if not known and self.is_passing(error):
            known = "it cannot be reached: look whether it runs, and at the network in between"
        said = " ".join(str(error).split())
        return f"{self._place.name}: {known or 'it cannot be used'} ({said})"

    def _open(self) -> "psycopg.Connection[Row]":
        # What the URL says goes before these.
        ours: dict[str, str | int] = {
            "connect_timeout": CONNECT_S,
            "application_name": "inference-gateway",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }
        said = psycopg.conninfo.conninfo_to_dict(self._url)
        kept = {name: value for name, value in ours.items() if name not in said}
        return psycopg.connect(psycopg.conninfo.make_conninfo(self._url, **kept), autocommit=True)

    def _forget_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def create(url: str) -> Store:
    """What `stores` asks for where a URL is set."""
    return PostgresStore(url)


def _public(url: str) -> str:
    """Host and database, without name and password."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
