"""What must never stand in a log: whole values are masked where any part of them is a secret."""

import json
import logging

import pytest
import structlog

from gateway.domain.errors import Reason
from gateway.domain.masking import MASK
from gateway.telemetry.logging import TurnLog, configure, redact

SECRETS = [
    "Bearer abc.def",
    "key is sk-0123456789abcdef",
    "gw_0123456789abcdef",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.sig",
    "-----BEGIN EC PRIVATE KEY-----",
    "https://serpapi.com/search?q=x&api_key=abc",
    "redis://user:password@localhost:6379",
]
NAMES = ["authorization", "api_key", "client_secret", "password", "access_token", "Cookie"]


@pytest.mark.parametrize("value", SECRETS)
def test_a_value_that_holds_a_secret_is_masked_whole(value: str) -> None:
    """A prefix of a key is a hint too."""
    assert redact(None, "info", {"detail": f"upstream said: {value}!"}) == {"detail": MASK}


@pytest.mark.parametrize(
    "name", ["authorization", "api_key", "client_secret", "password", "access_token", "Cookie"]
)
def test_a_value_under_a_secret_name_is_masked(name: str) -> None:
    """Whatever it looks like."""
    assert redact(None, "info", {name: "plain"}) == {name: MASK}


@pytest.mark.parametrize("value", [7, "é€", "a\udcff.txt", 2**70, {"k": b"bytes"}, float("nan")])
def test_a_line_is_json_whatever_it_says(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that raises would end the turn it tells of."""
    root = logging.getLogger()
    before = root.handlers, root.level
    configure("info", "json")
    try:
        structlog.get_logger().info("event", value=value)
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = before
    assert json.loads(capsys.readouterr().err)["event"] == "event"


def test_what_a_turn_says_stays() -> None:
    """Counts of tokens are no tokens."""
    line: dict[str, object] = {
        "prompt_tokens": 5,
        "tenant": "acme",
        "model": "deepseek-flash",
        "cost_nano_usd": 12,
    }
    assert redact(None, "info", dict(line)) == line


def test_a_flood_of_refusals_is_one_line_and_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    """At most two lines a second for each tenant and reason."""
    moments = iter([0.0, 0.1, 0.2, 0.3, 5.0])
    log = TurnLog(lambda: next(moments, 5.0))
    for _ in range(3):
        log.refused("/m", "acme", Reason.RATE_LIMITED)
    log.refused("/m", "acme", Reason.RATE_LIMITED)
    written = capsys.readouterr()
    lines = [line for line in (written.out + written.err).splitlines() if "refused" in line]
    assert len(lines) == 3
    assert "count=2" in lines[1] or '"count": 2' in lines[1]
