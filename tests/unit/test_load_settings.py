"""How many calls of a model there may be: what is known, what an operator says, and each worker's part."""

from pathlib import Path

import pytest

from gateway.admitting import limits_of
from gateway.models import embedded
from gateway.models.catalogue import Catalogue, Endpoint, Served
from gateway.models.openai_compatible import OpenAICompatible
from gateway.models.profiles import PROFILES
from gateway.server.sampler import memory_limit, resident_bytes
from gateway.settings import ConfigurationError, Settings, load

PROFILE = PROFILES["deepseek"]
FLASH, PRO = ("deepseek", "deepseek-flash"), ("deepseek", "deepseek-v4-pro")


def settings(tmp_path: Path, text: str) -> Settings:
    """Of a file with this text."""
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), {})


async def limits(found: Settings, parts: int = 1) -> dict[tuple[str, str], int]:
    """What they come to for DeepSeek, a model of the operator's own machines, and the embedded one."""
    cloud = OpenAICompatible(
        "deepseek", base_url="https://upstream.example", api_key="k", cards=PROFILE.cards, quirks=PROFILE.quirks
    )
    own = OpenAICompatible(
        "own", base_url="http://127.0.0.1:1", api_key="", cards=PROFILE.cards, quirks=PROFILE.quirks
    )
    endpoints = (Endpoint(cloud), Endpoint(own, local=True))
    here = Served(embedded.CARD, (Endpoint(embedded.create(), local=True),))
    catalogue = Catalogue([*(Served(card, endpoints) for card in PROFILE.cards), here])
    try:
        return limits_of(found, catalogue, parts)
    finally:
        await cloud.aclose()
        await own.aclose()


async def test_four_fifths_of_what_is_known_of_deepseek(tmp_path: Path) -> None:
    """Models of the house have no slots, and each of several workers has its part."""
    found = settings(tmp_path, "")
    assert await limits(found) == {FLASH: 2000, PRO: 400}
    assert await limits(found, parts=4) == {FLASH: 500, PRO: 100}


async def test_an_operator_says_otherwise_by_model_or_by_upstream(tmp_path: Path) -> None:
    """The upstream's own word wins, 0 is no limit, and the smallest part is one."""
    words = '["deepseek-flash=100", "deepseek-v4-pro=0", "own/deepseek-flash=10", "deepseek/deepseek-flash=50"]'
    found = settings(tmp_path, f"[slots]\ncalls_at_once = {words}")
    assert await limits(found) == {FLASH: 40, ("own", "deepseek-flash"): 8}
    assert (await limits(found, parts=100))[FLASH] == 1
    assert await limits(settings(tmp_path, "[slots]\nenabled = false")) == {}


def test_what_is_wrong_is_said_all_at_once(tmp_path: Path) -> None:
    """With an example of what is right."""
    slots = '[slots]\ncalls_at_once = ["deepseek-flash"]\nwait_s = 0\n'
    text = f"{slots}[overload]\nleave_after_s = -1\n[grpc]\ncalls = 0\n"
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, text)
    assert {fault.split(":")[0] for fault in caught.value.faults} == {
        "slots.calls_at_once",
        "slots.wait_s",
        "overload.leave_after_s",
        "grpc.calls",
    }
    assert "for example deepseek-flash=2500" in str(caught.value)


def test_memory_is_what_the_operator_says_or_what_there_is() -> None:
    """Several workers share it; this process uses some of it."""
    assert memory_limit(1_000, 4) == 250
    assert 0 < resident_bytes() < memory_limit(0, 1)
