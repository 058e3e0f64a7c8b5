"""Upstreams and models of the configuration: what is read, what is filled in, and every fault by its field."""

from pathlib import Path

import pytest

from gateway import settings
from gateway.domain.turn import Place
from gateway.settings import ConfigurationError, Settings
from gateway.upstream_sections import Serving
from gateway.upstreams import cards

WHOLE = """
[routing]
default_model = "qwen"

[upstreams.deepseek]
kind = "deepseek"
region = "cn"

[upstreams.hong-kong]
kind = "deepseek"
base_url = "https://hk.models.example"
region = "hk"
key_files = ["{folder}/first", "{folder}/second"]

[upstreams.rack]
kind = "vllm"
base_url = "http://127.0.0.1:8000/v1"
local = true
first_output_s = 300

[models.qwen]
upstreams = ["rack:Qwen/Qwen3-8B"]
family = "qwen"
aliases = ["small"]
context_tokens = 32768
max_output_tokens = 4096
capabilities = ["tools", "json"]
free = true

[models.deepseek-v4-pro]
upstreams = ["hong-kong"]

[tenants.clinic]
place = "local_only"
regions = ["cn"]
"""


def load(folder: Path, text: str, **environment: str) -> Settings:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(str(path), environment)


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, **environment)
    return sorted(caught.value.faults)


def places(serving: Serving, model: str) -> list[str]:
    return [f"{upstream}:{there}" for upstream, there in serving.models[model].places]


def test_without_any_table_a_key_means_deepseek_and_no_key_means_none() -> None:
    """As before there were tables."""
    assert settings.load(None, {}).serving == Serving()
    one = settings.load(None, {"DEEPSEEK_API_KEY": "sk-a", "DEEPSEEK_BASE_URL": "https://x.example"}).serving
    (upstream,) = one.upstreams.values()
    assert (upstream.name, upstream.kind, upstream.base_url, upstream.keys) == (
        "deepseek",
        "deepseek",
        "https://x.example",
        ("sk-a",),
    )
    assert list(one.models) == ["deepseek-flash", "deepseek-v4-pro"]
    assert "sk-a" not in repr(one)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Several regions and keys, a local model of one's own, a built-in one that is served elsewhere."""
    for name, key in (("first", "sk-1\n"), ("second", "sk-2")):
        (tmp_path / name).write_text(key, encoding="utf-8")
    text = WHOLE.format(folder=tmp_path)
    loaded = load(tmp_path, text, DEEPSEEK_API_KEY="sk-0", GATEWAY_UPSTREAM_HONG_KONG_KEY="sk-a, sk-b")
    upstreams = loaded.serving.upstreams
    assert upstreams["deepseek"].keys == ("sk-0",)
    assert upstreams["deepseek"].base_url == "https://api.deepseek.com"
    assert upstreams["hong-kong"].keys == ("sk-a", "sk-b", "sk-1", "sk-2")
    assert upstreams["rack"].keys == ()
    assert places(loaded.serving, "deepseek-flash") == ["deepseek:deepseek-flash", "hong-kong:deepseek-flash"]
    assert places(loaded.serving, "deepseek-v4-pro") == ["hong-kong:deepseek-v4-pro"]
    assert places(loaded.serving, "qwen") == ["rack:Qwen/Qwen3-8B"]
    assert [card.name for card in cards(loaded)] == ["qwen", "deepseek-flash", "deepseek-v4-pro", "embedded"]
    clinic = loaded.tenants.named["clinic"]
    assert (clinic.place, clinic.regions) == (Place.LOCAL_ONLY, ("cn",))
    secrets = repr(loaded)
    assert not any(key in secrets for key in ("sk-0", "sk-1", "sk-a"))


def test_every_fault_is_listed_at_once_by_its_field(tmp_path: Path) -> None:
    """Nobody mends a configuration one start at a time."""
    found = faults(
        tmp_path,
        """
        [routing]
        first = "nearest"
        attempts = 4
        default_model = "nobody"

        [upstreams.a]
        kind = "deepsek"

        [upstreams.B]
        kind = "openai"

        [upstreams.c]
        kind = "vllm"
        first_output_s = -1

        [upstreams.d]
        kind = "vllm"
        base_url = "http://far.example/v1"
        keys = ["x"]
        key = ["same", "same"]
        key_files = ["/nowhere"]

        [models.m]
        upstreams = ["c", "c", "nobody:x"]
        capabilities = ["telepathy"]
        context_tokens = 10
        max_output_tokens = 20
        free = true
        aliases = ["n", "m"]

        [models.n]
        context_tokens = -5

        [tenants.t]
        place = "moon"
        """,
    )
    expected = (
        "models.m.aliases: 'm' is the name or an alias of m already",
        "models.m.aliases: 'n' is the name or an alias of n already",
        "models.m.capabilities: 'telepathy' is none of tools, vision, json, thinking",
        "models.m.free: only where every upstream of the model is local",
        "models.m.max_output_tokens: more than its context_tokens",
        "models.m.upstreams: c stands there twice",
        "models.m.upstreams: there is no upstream 'nobody'; there are a, B, c, d",
        "models.n.context_tokens: -5 must not be negative",
        "models.n.max_output_tokens: missing",
        "models.n.upstreams: missing",
        "routing.attempts: 4 must be from 1 to 3",
        "routing.default_model: there is no model 'nobody'; there are m, n, embedded",
        "routing.first: 'nearest' is none of listed, local, cloud, auto",
        "tenants.t.place: 'moon' is none of any, local_only",
        "upstreams.B.key: missing; set GATEWAY_UPSTREAM_B_KEY",
        "upstreams.B: an upstream is named",
        "upstreams.B: no model is served there",
        "upstreams.a.kind: 'deepsek' is none of deepseek, openai",
        "upstreams.c.base_url: missing; vllm has no address of its own",
        "upstreams.c.first_output_s: -1.0 must be from 0 to 600",
        "upstreams.d.base_url: http://far.example/v1 is plain HTTP",
        "upstreams.d.key: the same key stands there twice",
        "upstreams.d.key_files: cannot read /nowhere",
        "upstreams.d.keys: unknown setting; did you mean key",
        "upstreams.d: no model is served there",
    )
    missing = [fault for fault in expected if not any(one.startswith(fault) for one in found)]
    assert missing == [], "\n".join(found)
    assert len(found) == len(expected), "\n".join(found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("upstreams = 1", "[upstreams] must be a table"),
        ("[upstreams]\na = 1", "[upstreams.a] must be a table"),
        ("models = []", "[models] must be a table"),
        ('[models.embedded]\nupstreams = ["x"]', "embedded is taken"),
    ],
)
def test_what_is_no_table_is_a_fault_like_others(tmp_path: Path, text: str, fault: str) -> None:
    """And no crash."""
    assert any(fault in one for one in faults(tmp_path, text))
