"""The client's settings, and which targets count as this machine."""

from pathlib import Path

import pytest

from gateway_client import ClientCredentials, FileToken, SettingsError, StaticToken, TokenUnavailable
from gateway_client.credentials import token_source
from gateway_client.settings import read_settings
from gateway_client.targets import is_loopback

CLIENT = {
    "GATEWAY_CLIENT_ID": "id",
    "GATEWAY_CLIENT_SECRET": "secret",
    "GATEWAY_TOKEN_URL": "https://idp.example/token",
}


def test_an_empty_environment_means_the_gateway_on_this_machine() -> None:
    """The defaults of the contract."""
    settings = read_settings({})
    assert settings.target == "127.0.0.1:50051"
    assert settings.dev_token_file == Path(".gateway/dev-token")
    assert not settings.insecure


def test_the_first_credential_that_is_set_is_used() -> None:
    """A token, then client credentials, then the development token."""
    target = "127.0.0.1:50051"
    assert isinstance(token_source(read_settings(CLIENT | {"GATEWAY_TOKEN": "t"}), target), StaticToken)
    assert isinstance(token_source(read_settings(CLIENT), target), ClientCredentials)
    assert isinstance(token_source(read_settings({}), target), FileToken)


async def test_the_development_token_goes_to_this_machine_only(tmp_path: Path) -> None:
    """A token of a local issuer is nobody else's business."""
    (tmp_path / "dev-token").write_text("dev\n")
    settings = read_settings({"GATEWAY_DATA_DIR": str(tmp_path)})
    assert await token_source(settings, "localhost:50051").token(refresh=False) == "dev"
    assert await token_source(settings, "gw.example:443").token(refresh=False) is None


async def test_without_a_development_token_no_credential_is_sent(tmp_path: Path) -> None:
    """`--dev` takes calls without one."""
    settings = read_settings({"GATEWAY_DATA_DIR": str(tmp_path)})
    assert await token_source(settings, "localhost:50051").token(refresh=False) is None


def test_every_fault_is_listed_at_once() -> None:
    """One look at the message is enough to repair them all."""
    with pytest.raises(SettingsError) as caught:
        read_settings(
            {"GATEWAY_CLIENT_ID": "id", "GATEWAY_INSECURE": "maybe", "GATEWAY_CLIENT_SECRET_FILE": "/no"}
        )
    line = str(caught.value)
    assert "GATEWAY_CLIENT_SECRET_FILE cannot be read" in line
    assert "GATEWAY_INSECURE is 'maybe': use 1 or 0" in line
    assert "GATEWAY_CLIENT_SECRET and GATEWAY_TOKEN_URL must be set as well" in line


def test_secrets_do_not_show_in_repr() -> None:
    """A logged settings object gives nothing away."""
    assert "secret" not in repr(read_settings(CLIENT | {"GATEWAY_TOKEN": "tok"}))
    assert "tok'" not in repr(read_settings({"GATEWAY_TOKEN": "tok"}))


def test_a_token_with_a_line_break_is_refused_without_being_shown() -> None:
    """What was pasted badly is named, not printed."""
    with pytest.raises(TokenUnavailable, match="the given token holds characters") as caught:
        StaticToken("ab\ncd")
    assert "ab" not in str(caught.value).replace("characters", "")


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:50051",
        "127.8.9.1:1",
        "localhost:50051",
        "localhost",
        "[::1]:50051",
        "dns:localhost:1",
        "dns:///localhost:1",
        "ipv4:127.0.0.1:1,127.0.0.2:1",
        "ipv6:[::1]:1",
        "unix:/run/gateway.sock",
    ],
)
def test_these_targets_are_this_machine(target: str) -> None:
    """Plain text is the default here."""
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target",
    [
        "gateway:50051",
        "localhost.example:1",
        "localhost:50051@gw.example",
        "0.0.0.0:50051",
        "10.0.0.1:1",
        "dns://8.8.8.8/localhost:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "[2001:db8::1]:1",
        "127.0.0.1.example:1",
        "",
    ],
)
def test_these_targets_are_not(target: str) -> None:
    """TLS is the default here, and no development token is sent."""
    assert not is_loopback(target)
