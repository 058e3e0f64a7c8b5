"""What docs/routing.md shows works as printed."""

import re
from pathlib import Path

from gateway import settings
from gateway.commands import configuration
from gateway.upstreams import cards
from tests.support import tools

PAGE = (tools.ROOT / "docs" / "routing.md").read_text("utf-8")
(BLOCK,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_configuration_to_paste_is_good(tmp_path: Path) -> None:
    """With keys where it says that they are; and its tables name settings that there are."""
    (tmp_path / "key").write_text("sk-hong-kong", encoding="utf-8")
    path = tmp_path / "gateway.toml"
    path.write_text(BLOCK.replace("/run/secrets/hong-kong", str(tmp_path / "key")), encoding="utf-8")
    loaded = settings.load(str(path), {"GATEWAY_UPSTREAM_DEEPSEEK_KEY": "sk-one,sk-two"})
    assert configuration.faults(loaded) == []
    assert [card.name for card in cards(loaded)] == ["deepseek-flash", "deepseek-v4-pro", "qwen", "embedded"]
    assert [len(upstream.keys) for upstream in loaded.serving.upstreams.values()] == [2, 1, 0]


def test_every_number_is_the_settings_own() -> None:
    """The defaults that the page names."""
    routing = settings.Settings().routing
    assert f"local_prompt_tokens` ({routing.local_prompt_tokens:,})" in PAGE
    assert f"local_complexity` ({routing.local_complexity} of 1" in PAGE
    assert f"At most {routing.attempts} calls in all (`attempts`)" in PAGE
    assert f"budget of {routing.retry_budget:.0f}" in PAGE
    assert f"after {routing.circuit_failures} failures in a row (`circuit_failures`)" in PAGE
    assert f"after {routing.circuit_open_s:.0f} s (`circuit_open_s`)" in PAGE
