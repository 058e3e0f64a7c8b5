"""Two hundred secrets, each in a few places where they turn up: not one is left, and none in part."""

import random
import string
from collections.abc import Callable

import pytest

from gateway.domain.masking import MASK, holds_secret, masked_url
from gateway.telemetry.logging import redact

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BEGINNINGS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(
        ("sk-", "sk-proj-", "sk-ant-api03-", "gw_", "gsk_", "xai-", "pplx-", "nvapi-", "hf_", "r8_"), (LETTERS, 40)
    ),
    **dict.fromkeys(("AKIA", "ASIA"), (string.ascii_uppercase + string.digits, 16)),
    **dict.fromkeys(("AIza", "ya29.", "BSA", "tvly-", "EAA"), (LETTERS, 35)),
    **dict.fromkeys(
        ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "npm_", "pypi-"), (LETTERS, 36)
    ),
    **dict.fromkeys(("xoxb-", "xoxp-", "xoxa-", "xapp-"), (LETTERS, 24)),
    **dict.fromkeys(("sk_live_", "sk_test_", "rk_live_", "pk_live_", "whsec_", "SG."), (LETTERS, 32)),
    **dict.fromkeys(("dop_v1_", "dapi", "shpat_", "shpca_", "shppa_", "shpss_"), (HEX, 32)),
    **dict.fromkeys(("hvs.", "hvb.", "lin_api_", "ATATT"), (LETTERS, 30)),
}
FRAMES: dict[str, Callable[[str], str]] = {
    "alone": str,
    "in a sentence": lambda secret: f"the vendor said: {secret} is wrong",
    "in JSON": lambda secret: f'{{"detail": "{secret}"}}',
    "in a path": lambda secret: f"https://example.org/a/{secret}/b",
    "in a query": lambda secret: f"https://example.org/?q={secret}&page=2",
}
OTHERS = (
    "Bearer abc.def",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "-----BEGIN RSA PRIVATE KEY-----",
    "postgresql://user:password@db/books",
    "client_secret=hunter2",
    '"password": "hunter2"',
    "AccountKey=abc+/=",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
)


def secrets() -> list[str]:
    """One of each kind, the same every time."""
    chance = random.Random(3)
    return [b + "".join(chance.choices(alphabet, k=size)) for b, (alphabet, size) in BEGINNINGS.items()]


def test_two_hundred_secrets_are_masked_whole_in_a_log() -> None:
    """A-3: whatever stands around one, the whole value goes."""
    lines = [frame(secret) for secret in secrets() for frame in FRAMES.values()] + list(OTHERS)
    assert len(lines) >= 200
    assert [line for line in lines if redact(None, "info", {"said": line}) != {"said": MASK}] == []


@pytest.mark.parametrize("place", ["in a path", "in a query"])
def test_an_address_is_kept_without_its_secrets(place: str) -> None:
    """The rest of the address stays, so that it still says what was read."""
    for secret in secrets():
        kept = masked_url(FRAMES[place](secret))
        assert secret[4:12] not in kept
        assert kept.startswith("https://example.org/")
        assert MASK in kept


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:pw@example.org/x#part", "https://example.org/x"),
        (
            "https://example.org/x?X-Amz-Signature=abc&page=2",
            f"https://example.org/x?X-Amz-Signature={MASK}&page=2",
        ),
        ("https://example.org/x?api%5Fkey=abc", f"https://example.org/x?api%5Fkey={MASK}"),
        ("https://example.org/tides?q=spring+tide&l=en", "https://example.org/tides?q=spring+tide&l=en"),
        ("doc:gateway/metering-and-bills.md", "doc:gateway/metering-and-bills.md"),
        ("https://[broken", MASK),
    ],
)
def test_only_what_looks_like_a_secret_is_masked(url: str, kept: str) -> None:
    """Parameters by their name or by their look; user and fragment go in any case."""
    assert masked_url(url) == kept


@pytest.mark.parametrize(
    "text", ["deepseek-v4-pro", "tokens: 12", "4f1c9a2b7d8e4c0f9a1b2c3d4e5f6071", "/v1/chat/completions"]
)
def test_words_of_the_house_are_no_secrets(text: str) -> None:
    """Ids, models and paths stay readable."""
    assert not holds_secret(text)
