"""Which authenticator judges a credential, and what a missing one means on a developer's machine."""

from pathlib import Path

import pytest

from gateway.auth import Authenticator
from gateway.auth.api_key import ApiKeyAuthenticator, ApiKeyFile
from gateway.auth.development import AllowMissing, development_caller
from gateway.auth.dispatch import ByCredentialKind
from gateway.domain.call import Caller
from gateway.domain.errors import CallerError, Reason
from tests.support.identity import NOW, ManualClock, authenticator, bearer, token


def everything(directory: Path) -> tuple[Authenticator, str]:
    """Keys and tokens behind one door, and a good key."""
    file, clock = ApiKeyFile(directory), ManualClock()
    key, _ = file.create("acme", "search", NOW)
    return ByCredentialKind(ApiKeyAuthenticator(file, now=lambda: NOW, clock=clock), authenticator()), key


async def test_keys_and_tokens_come_through_the_same_door(tmp_path: Path) -> None:
    """The prefix says which; both become callers of their tenant."""
    door, key = everything(tmp_path)
    assert (await door.authenticate(bearer(key))).scopes == {"search"}
    assert (await door.authenticate(bearer(token()))).subject == "user-1"


@pytest.mark.parametrize("text", [None, "", "gw_unknown", "GW_x", "gw", "junk", "Bearer gw_x"])
async def test_what_is_neither_is_refused(text: str | None, tmp_path: Path) -> None:
    """With the words of every refusal."""
    door, _ = everything(tmp_path)
    with pytest.raises(CallerError, match=r"^invalid_token$") as refused:
        await door.authenticate(bearer(text))
    assert refused.value.reason is Reason.TOKEN_INVALID


def developer() -> Caller:
    return development_caller(NOW)


async def test_in_development_nothing_shown_is_the_developer() -> None:
    """Tenant `dev`, every scope but `admin`."""
    caller = await AllowMissing(authenticator(), developer).authenticate(bearer(None))
    assert caller.tenant == "dev"
    assert caller.scopes == {"model.read", "model.stream", "search"}
    assert caller.expires_at > NOW


@pytest.mark.parametrize("text", ["", " ", "junk", "gw_x"])
async def test_in_development_a_bad_credential_is_still_bad(text: str) -> None:
    """Showing something wrong is not the same as showing nothing."""
    with pytest.raises(CallerError):
        await AllowMissing(authenticator(), developer).authenticate(bearer(text))


async def test_in_development_a_good_credential_is_who_it_says() -> None:
    """The developer does not replace a caller who showed a token."""
    caller = await AllowMissing(authenticator(), developer).authenticate(bearer(token()))
    assert caller.tenant == "acme"
