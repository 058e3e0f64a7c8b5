"""What the serving process does not load: parsers of documents, and what its settings do not ask for."""

import subprocess
import sys

SERVING = {"grpc", "google", "aiohttp", "uvloop", "orjson", "structlog", "prometheus_client", "cryptography"}
PARSERS = {"trafilatura", "lxml", "charset_normalizer"}
SQL_WRITERS = {"sqlalchemy", "alembic", "mako", "pygments"}
SERVERS_OF_OTHERS = {"psycopg", "redis", "hiredis"}


def test_the_gateway_loads_no_parser_of_web_pages() -> None:
    """They cost 20 MiB, and a hostile page shall not even be able to reach them here."""
    program = "import sys, gateway.commands.serving; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "gateway.app" in loaded
    assert not loaded & PARSERS


def test_the_gateway_loads_nothing_that_its_settings_do_not_ask_for() -> None:
    """SQL is written before a release; the driver of a server is loaded where one is set. Together 40 MiB."""
    program = "import sys, gateway.commands.serving; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "gateway.ledger.sqlite" in loaded
    assert not loaded & (SQL_WRITERS | SERVERS_OF_OTHERS)


def test_the_parent_of_several_workers_loads_nothing_that_serves() -> None:
    """It stays small beside them, and what it does not have cannot fail."""
    program = "import sys, gateway.commands.supervising; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "gateway.workers.supervisor" in loaded
    assert not loaded & SERVING
