"""`[search.NAME]` tables and their variables."""

from pathlib import Path

import pytest

from gateway import settings


def load(tmp_path: Path, text: str, **environment: str) -> settings.Settings:
    """The settings of a file and some variables."""
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(str(path), environment)


def test_a_provider_has_a_table_and_variables_of_its_own(tmp_path: Path) -> None:
    """The variable wins; a secret may come from a file and shows in no repr."""
    secret = tmp_path / "key"
    secret.write_text("tvly-secret\n", encoding="utf-8")
    loaded = load(
        tmp_path,
        '[search]\nproviders = ["tavily", "searxng"]\n[search.searxng]\nurl = "http://127.0.0.1:8888"',
        GATEWAY_SEARCH_TAVILY_KEY_FILE=str(secret),
        GATEWAY_SEARCH_SEARXNG_TIMEOUT_S="1.5",
    )
    assert loaded.search.providers == ("tavily", "searxng")
    assert loaded.search_endpoints["tavily"].key == "tvly-secret"
    assert loaded.search_endpoints["searxng"].url == "http://127.0.0.1:8888"
    assert loaded.search_endpoints["searxng"].timeout_s == 1.5
    assert "tvly-secret" not in repr(loaded)


def test_providers_named_in_the_environment_have_variables_too(tmp_path: Path) -> None:
    """A container needs no file at all."""
    loaded = load(tmp_path, "", GATEWAY_SEARCH_PROVIDERS="embedded,brave", GATEWAY_SEARCH_BRAVE_KEY="BSA-1")
    assert loaded.search_endpoints["brave"].key == "BSA-1"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[search.brave]\nkee = "x"', "search.brave.kee: unknown setting; did you mean key?"),
        ('[search.searxng]\nurl = "ftp://x"', "search.searxng.url"),
        ('[search.searxng]\nurl = "http://search.example.org"', "allow_plaintext = true in [search.searxng]"),
        ("[search.searxng]\ntimeout_s = 0", "search.searxng.timeout_s: 0.0 must be above 0"),
        ("[search]\nprovider = 3", "search.provider: unknown setting; did you mean providers?"),
        ("search = 3", "[search] must be a table"),
    ],
)
def test_every_fault_of_a_table_is_named(tmp_path: Path, text: str, fault: str) -> None:
    """The operator reads what to change, and where."""
    with pytest.raises(settings.ConfigurationError, match=r".") as caught:
        load(tmp_path, text)
    assert any(fault in found for found in caught.value.faults), caught.value.faults


def test_plain_http_to_another_machine_may_be_allowed(tmp_path: Path) -> None:
    """It is the operator's own network."""
    text = '[search.searxng]\nurl = "http://search.example.org"\nallow_plaintext = true'
    assert load(tmp_path, text).search_endpoints["searxng"].allow_plaintext
