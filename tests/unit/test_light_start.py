"""What the serving process does not load: parsers of strangers' documents live in processes of their own."""

import subprocess
import sys

SERVING = {"grpc", "google", "aiohttp", "uvloop", "orjson", "structlog", "prometheus_client", "cryptography"}
PARSERS = {"trafilatura", "lxml", "charset_normalizer"}


def test_the_gateway_loads_no_parser_of_web_pages() -> None:
    """They cost 20 MiB, and a hostile page shall not even be able to reach them here."""
    program = "import sys, gateway.commands.serving; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "gateway.app" in loaded
    assert not loaded & PARSERS


def test_the_parent_of_several_workers_loads_nothing_that_serves() -> None:
    """It stays small beside them, and what it does not have cannot fail."""
    program = "import sys, gateway.commands.supervising; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "gateway.workers.supervisor" in loaded
    assert not loaded & SERVING
