"""What the serving process does not load: parsers of strangers' documents live in processes of their own."""

import subprocess
import sys

PARSERS = {"trafilatura", "lxml", "charset_normalizer"}


def test_the_gateway_loads_no_parser_of_web_pages() -> None:
    """They cost 20 MiB, and a hostile page shall not even be able to reach them here."""
    program = "import sys, gateway.commands.serving; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "gateway.app" in loaded
    assert not loaded & PARSERS
