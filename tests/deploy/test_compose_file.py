"""deploy/compose.yaml starts what it says, with settings that the gateway reads."""

import json
import re
import subprocess
from dataclasses import fields

import pytest

from gateway import settings
from tests.support import tools
from tests.support.manifests import K8S, Object

COMPOSE = tools.ROOT / "deploy" / "compose.yaml"
TEXT = COMPOSE.read_text("utf-8")
SET = {"REDIS_PASSWORD": "a" * 48, "POSTGRES_PASSWORD": "b" * 48, "GATEWAY_SEAL_KEY": "c" * 64}


def filled(text: str, values: dict[str, str]) -> str:
    """The text as compose fills it in. Raises KeyError with the words for a variable that must be set."""

    def value(found: re.Match[str]) -> str:
        name, how, rest = found.groups()
        if values.get(name):
            return values[name]
        if how == ":?":
            raise KeyError(f"{name} {rest}")
        return rest or ""

    return re.sub(r"(?<!\$)\$\{(\w+)(:\?|:-)?([^}]*)\}", value, text).replace("$$", "$")


def every(node: object, values: dict[str, str]) -> object:
    """A document with each text filled: compose reads the YAML first, so that an empty value stays a text."""
    match node:
        case str():
            return filled(node, values)
        case list():
            return [every(item, values) for item in node]
        case dict():
            return {name: every(item, values) for name, item in node.items()}
    return node


def services(values: dict[str, str]) -> Object:
    """Every service, with these variables set."""
    command = [tools.go_tool("yq"), "-o=json", "."]
    done = subprocess.run(command, input=TEXT, capture_output=True, text=True, check=True)
    found = every(json.loads(done.stdout)["services"], values)
    assert isinstance(found, dict)
    return found


def test_the_gateway_shares_limits_and_books_with_the_servers_beside_it() -> None:
    """Its environment is one that it understands, and names both by their passwords."""
    found = services(SET)
    gateway = found["gateway"]["environment"]
    known = {
        f.metadata.get("env") or f"GATEWAY_{s}_{f.name}".upper()
        for s, t in settings.SECTIONS.items()
        for f in fields(t)
    }
    assert set(gateway) <= known | {"GATEWAY_WORKERS"}
    loaded = settings.load(None, {name: str(value) for name, value in gateway.items()})
    assert loaded.redis.url == f"redis://:{SET['REDIS_PASSWORD']}@redis:6379/0"
    assert loaded.database.url == f"postgresql://gateway:{SET['POSTGRES_PASSWORD']}@postgresql:5432/gateway"
    assert found["gateway"]["depends_on"] == {
        name: {"condition": "service_healthy"} for name in ("redis", "postgresql")
    }
    assert found["redis"]["environment"]["REDIS_PASSWORD"] == SET["REDIS_PASSWORD"]
    assert found["postgresql"]["environment"]["POSTGRES_PASSWORD"] == SET["POSTGRES_PASSWORD"]


def test_it_starts_with_the_passwords_alone() -> None:
    """Without a key for the provider, an issuer or a seal the settings are still whole."""
    gateway = services({name: SET[name] for name in ("REDIS_PASSWORD", "POSTGRES_PASSWORD")})["gateway"][
        "environment"
    ]
    assert settings.load(None, {name: str(value) for name, value in gateway.items()}).workers == 1


@pytest.mark.parametrize("missing", ["REDIS_PASSWORD", "POSTGRES_PASSWORD"])
def test_a_missing_password_is_asked_for(missing: str) -> None:
    """No default password: compose stops with the name of the variable and where it goes."""
    with pytest.raises(KeyError, match=rf"{missing} is not set; put it into deploy/\.env"):
        filled(TEXT, {name: value for name, value in SET.items() if name != missing})


def test_no_service_has_more_rights_than_it_needs() -> None:
    """Read-only roots, no capabilities, no root, and ports on loopback alone."""
    for name, service in services(SET).items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert name == "gateway" or service["user"] == "999"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_servers_are_those_of_kubernetes() -> None:
    """The same versions in both places, so that what was tried in one holds in the other."""
    for name in ("redis", "postgresql"):
        stateful = (K8S / "components" / name / "stateful-set.yaml").read_text("utf-8")
        (image,) = re.findall(r"image: (.+)", stateful)
        assert services(SET)[name]["image"] == image
