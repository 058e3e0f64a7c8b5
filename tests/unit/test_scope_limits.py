"""Limits within a tenant: how they are configured, and which of them a turn counts against."""

import pytest

from gateway import settings
from gateway.domain.call import Call, Caller, Visitor
from gateway.domain.tenant import NO_LIMITS, Tenant
from gateway.limits import ScopeKind
from gateway.pipeline.scopes import scopes_of

CONFIG = """
[tenant_defaults.per_subject]
requests_per_minute = 5
[tenant_defaults.per_model."*"]
concurrent_streams = 9
[tenants.acme.per_subject]
tokens_per_minute = 1000
[tenants.acme.per_key]
usd_per_day = 0.5
[tenants.acme.per_model."deepseek-*"]
concurrent_streams = 2
"""


def tenant(config: str, name: str = "acme") -> Tenant:
    """One tenant of a configuration file."""
    found = settings.parse_tenants(config.encode()).get(name)
    assert found is not None
    return found


def visitor(of: Tenant) -> Visitor:
    """Alice, with the key k1."""
    caller = Caller(of.name, "alice", "client", frozenset(), 0.0, "k1")
    return Visitor(Call("/m", "request", 0.0), caller, of)


def test_a_scope_has_only_the_limits_that_are_written() -> None:
    """Nothing of the tenant's own defaults is taken over; the defaults of the same scope are."""
    acme = tenant(CONFIG)
    assert (acme.per_subject.requests_per_minute, acme.per_subject.tokens_per_minute) == (5, 1_000)
    assert acme.per_subject.concurrent_streams == 0
    assert tenant("").per_subject == NO_LIMITS


def test_the_first_pattern_that_fits_a_model_holds() -> None:
    """A tenant's own patterns come before those of the defaults."""
    acme = tenant(CONFIG)
    assert acme.model_limits("deepseek-flash").concurrent_streams == 2
    assert acme.model_limits("embedded").concurrent_streams == 9


def test_a_turn_counts_against_each_scope_with_limits() -> None:
    """Subject, credential and model; a search has no model."""
    acme = visitor(tenant(CONFIG))
    labels = [scope.label for scope in scopes_of(acme, "deepseek-flash")]
    assert labels == ["subject:alice", "key:k1", "model:deepseek-flash"]
    assert [scope.kind for scope in scopes_of(acme)] == [ScopeKind.SUBJECT, ScopeKind.KEY]
    assert scopes_of(visitor(Tenant("plain")), "deepseek-flash") == ()


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("[tenants.acme.per_subject]\nrequests = 1", "tenants.acme.per_subject.requests: unknown setting"),
        ('[tenants.acme.per_model."a*"]\ntokens_per_minute = -1', 'tenants.acme.per_model."a*".tokens_per_minute'),
        ("[tenants.acme.per_model]\nflash = 1", 'tenants.acme.per_model."flash"] must be a table'),
        ("[tenants.acme]\nper_key = 7", "tenants.acme.per_key] must be a table"),
    ],
)
def test_bad_limits_are_named_by_their_place(config: str, fault: str) -> None:
    """Every fault says which table and which setting."""
    with pytest.raises(ValueError, match="acme") as caught:
        settings.parse_tenants(config.encode())
    assert fault in str(caught.value)
