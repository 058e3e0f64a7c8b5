"""An issuer's policy: strict unless somebody says otherwise, and every exception is said aloud."""

from dataclasses import replace

import pytest

from gateway.auth.policy import IssuerPolicy, relaxations
from tests.support.identity import STRICT


def test_the_shipped_policy_has_nothing_to_warn_about() -> None:
    """Strict means no warning, and more algorithms are no relaxation."""
    assert relaxations(STRICT) == ()
    assert relaxations(replace(STRICT, algorithms=frozenset({"PS256", "EdDSA"}))) == ()


RELAXATIONS = [
    ({"types": frozenset({"at+jwt", "JWT"})}, "typ JWT"),
    ({"ignored_header_members": frozenset({"x5t"})}, "x5t"),
    ({"default_algorithm": "RS256"}, "RS256"),
    ({"audiences": ("a", "b")}, "a, b"),
    ({"audience_list": True}, "other audiences"),
    ({"tenant_claim": "org"}, "org"),
    ({"scope_claim": "scp"}, "scp"),
    ({"scope_list": True}, "list"),
    ({"client_id_claim": "azp"}, "azp"),
    ({"jti_claim": "uti"}, "uti"),
    ({"optional_claims": frozenset({"jti"})}, "jti"),
    ({"fixed_tenant": "acme"}, "acme"),
    ({"fixed_scopes": frozenset({"search"})}, "search"),
    ({"actor_clients": frozenset({"bot"})}, "bot"),
]


@pytest.mark.parametrize(("changes", "word"), RELAXATIONS)
def test_each_relaxation_is_one_warning_that_names_it(changes: dict[str, object], word: str) -> None:
    """The warning says which issuer and what is given up."""
    (warning,) = relaxations(replace(STRICT, **changes))
    assert word in warning
    assert STRICT.issuer in warning


def test_several_relaxations_are_several_warnings() -> None:
    """None hides another."""
    policy = replace(STRICT, audience_list=True, scope_list=True, fixed_tenant="acme")
    assert len(relaxations(policy)) == 3


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"issuer": ""}, "issuer"),
        ({"audiences": ()}, "audience"),
        ({"audiences": ("",)}, "audience"),
        ({"algorithms": frozenset()}, "algorithm"),
        ({"algorithms": frozenset({"HS256", "RS256"})}, "HS256"),
        ({"algorithms": frozenset({"none"})}, "none"),
        ({"types": frozenset()}, "typ"),
        ({"ignored_header_members": frozenset({"crit"})}, "crit"),
        ({"ignored_header_members": frozenset({"b64"})}, "b64"),
        ({"default_algorithm": "PS256"}, "PS256"),
        ({"optional_claims": frozenset({"sub"})}, "sub"),
        ({"fixed_tenant": "A:B"}, "A:B"),
        ({"tenant_claim": ""}, "claim name"),
    ],
)
def test_a_policy_that_makes_no_sense_cannot_be_made(changes: dict[str, object], word: str) -> None:
    """The fault is named; rules that protect the signature cannot be switched off."""
    with pytest.raises(ValueError, match=word):
        replace(STRICT, **changes)


def test_every_fault_is_told_at_once() -> None:
    """An operator mends a configuration in one go."""
    with pytest.raises(ValueError, match=r"issuer.*audience.*typ"):
        IssuerPolicy("", (), types=frozenset())
