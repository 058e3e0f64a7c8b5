"""The rules for headers and claims, one by one; every refusal is a TokenError, everything else a caller."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.claims import LEEWAY_S, MAX_LIFETIME_S, Header, read_caller, read_header
from gateway.auth.compact import TokenError
from gateway.auth.policy import IssuerPolicy
from gateway.domain.call import Caller
from tests.support.identity import ABSENT, AUDIENCE, ISSUER, NOW, STRICT, claims, header

OTHER = "https://other.test"


def caller_of(policy: IssuerPolicy = STRICT, now: float = NOW, **changes: object) -> Caller:
    return read_caller(claims(**changes), policy, "es", now)


def is_refused(policy: IssuerPolicy = STRICT, now: float = NOW, **changes: object) -> bool:
    try:
        caller_of(policy, now, **changes)
    except TokenError:
        return True
    return False


def relaxed(**changes: object) -> IssuerPolicy:
    return replace(STRICT, **changes)


def test_a_good_payload_becomes_the_caller() -> None:
    """Every field of the caller comes from its claim."""
    assert caller_of() == Caller(
        tenant="acme",
        subject="user-1",
        client_id="web",
        scopes=frozenset({"model.read", "model.stream"}),
        expires_at=NOW + 3590,
        credential_id="token-1",
        key_id="es",
    )


def test_a_good_header_names_the_algorithm_and_the_key() -> None:
    """Both spellings of the type are the same type."""
    assert read_header(header(), STRICT) == Header("ES256", "es")
    assert read_header(header(typ="application/at+jwt"), STRICT) == Header("ES256", "es")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alg", "none"),
        ("alg", "HS256"),
        ("alg", "EdDSA"),
        ("alg", ["ES256"]),
        ("alg", ABSENT),
        ("kid", ABSENT),
        ("kid", ""),
        ("kid", "a/b"),
        ("kid", "x" * 65),
        ("kid", "es\n"),
        ("kid", 7),
        ("typ", "JWT"),
        ("typ", "AT+JWT"),
        ("typ", ABSENT),
        ("typ", ""),
        ("typ", ["at+jwt"]),
        ("crit", []),
        ("x5t", "abc"),
        ("jwk", {}),
    ],
)
def test_a_header_outside_the_profile_is_refused(name: str, value: object) -> None:
    """Only the three members, only configured algorithms, only access tokens."""
    with pytest.raises(TokenError):
        read_header(header(**{name: value}), STRICT)


def test_times_have_thirty_seconds_of_leeway_and_no_more() -> None:
    """The edges, to the second: exp is exclusive, nbf and iat inclusive."""
    exp, soon = int(NOW) + 100, int(NOW) + LEEWAY_S
    assert not is_refused(now=exp + LEEWAY_S - 1, exp=exp)
    assert is_refused(now=exp + LEEWAY_S, exp=exp)
    assert not is_refused(nbf=soon)
    assert is_refused(nbf=soon + 1)
    assert not is_refused(iat=soon)
    assert is_refused(iat=soon + 1)


def test_a_token_lives_for_a_day_at_most_and_more_than_nothing() -> None:
    """`exp` is after `iat` and within 86,400 seconds of it."""
    assert not is_refused(iat=int(NOW), exp=int(NOW) + MAX_LIFETIME_S)
    assert is_refused(iat=int(NOW), exp=int(NOW) + MAX_LIFETIME_S + 1)
    assert is_refused(iat=int(NOW), exp=int(NOW))


def test_fractions_of_a_second_are_times() -> None:
    """NumericDate may be fractional (RFC 7519 section 2)."""
    assert caller_of(exp=NOW + 0.5).expires_at == NOW + 0.5


@given(
    st.sampled_from(["exp", "iat", "nbf"]), st.none() | st.booleans() | st.text() | st.just(10**400) | st.just([1])
)
def test_a_time_of_another_kind_is_refused(claim: str, value: object) -> None:
    """Texts, truth values, lists and giant numbers are no times."""
    assert is_refused(**{claim: value})


@given(st.sampled_from(["exp", "iat", "nbf"]), st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_as_a_time_is_judged_without_breaking(claim: str, value: float) -> None:
    """NaN, infinities and negative numbers are refused, and nothing overflows."""
    if not value >= 0 or value > 2**53:
        assert is_refused(**{claim: value})
    else:
        assert is_refused(**{claim: value}) in {True, False}


@pytest.mark.parametrize("claim", ["sub", "client_id", "jti", "tenant"])
@pytest.mark.parametrize(
    "value", [ABSENT, "", None, 7, ["x"], {"a": 1}, "a\x00b", "a\nb", "a\u200bb", "a\u202eb", "\ud800", "x" * 256]
)
def test_a_name_must_be_a_short_visible_text(claim: str, value: object) -> None:
    """Who the caller is never rests on a missing, empty, invisible or oversized text."""
    assert is_refused(**{claim: value})


@pytest.mark.parametrize(
    "tenant", ["t1:t2", "Acme", "-acme", "a_b", "a.b", "a/b", "{a}", "*", "a b", "ácme", "a" * 64]
)
def test_a_tenant_has_no_separators(tenant: str) -> None:
    """A tenant is part of keys and file names elsewhere: it can hold nothing that means something there."""
    assert is_refused(tenant=tenant)


def test_longest_names_are_accepted() -> None:
    """The limits are inclusive."""
    assert caller_of(sub="s" * 255, tenant="a" * 63).tenant == "a" * 63


@pytest.mark.parametrize(
    "audience", [ABSENT, "", AUDIENCE[:-1], AUDIENCE + "/", [AUDIENCE], [AUDIENCE, OTHER], {}, None]
)
def test_the_audience_is_exactly_this_gateway(audience: object) -> None:
    """One string, equal to ours; a list means the token was made for others too."""
    assert is_refused(aud=audience)


@pytest.mark.parametrize(
    "issuer", [ABSENT, "", ISSUER[:-1], ISSUER + "/", ISSUER.upper(), [ISSUER], {"a": ISSUER}, None]
)
def test_the_issuer_is_exactly_this_issuer(issuer: object) -> None:
    """Prefixes, other cases and other types are other issuers."""
    assert is_refused(iss=issuer)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (ABSENT, set()),
        ("", set()),
        ("search", {"search"}),
        ("  search  model.read ", {"search", "model.read"}),
        ("model.readX", {"model.readX"}),
    ],
)
def test_a_scope_is_split_into_words_and_may_be_missing(scope: object, words: set[str]) -> None:
    """Without scopes the caller exists and may do nothing: that is for the door to say."""
    assert caller_of(scope=scope).scopes == words


@pytest.mark.parametrize("scope", [None, 7, ["search"], {"search": True}, "a\tb", "a\nb", 'a"b', "a\\b", "é"])
def test_a_scope_of_another_shape_is_refused(scope: object) -> None:
    """RFC 6749 section 3.3 says what a scope is made of."""
    assert is_refused(scope=scope)


def test_a_proof_that_was_not_shown_is_refused() -> None:
    """`cnf` in any form, even empty, binds the token to a key this caller did not prove."""
    assert is_refused(cnf={"jkt": "x"})
    assert is_refused(cnf=None)


def test_acting_for_somebody_needs_an_allowed_client() -> None:
    """`act` is accepted one level deep and from a client the operator listed."""
    policy = relaxed(actor_clients=frozenset({"web"}))
    assert is_refused(act={"sub": "bot"})
    assert not is_refused(policy, act={"sub": "bot"})
    assert is_refused(policy, act={"sub": "bot"}, client_id="elsewhere")
    for wrong in ({}, {"sub": ""}, "bot", None, {"sub": "bot", "act": {"sub": "other"}}):
        assert is_refused(policy, act=wrong)


def deep(levels: int) -> dict[str, object]:
    value: dict[str, object] = {"sub": "bot"}
    for _ in range(levels):
        value = {"sub": "bot", "act": value}
    return value


def test_a_long_chain_of_actors_is_refused() -> None:
    """Fifty levels of delegation are no better than two."""
    assert is_refused(relaxed(actor_clients=frozenset({"web"})), act=deep(50))


RELAXED: list[tuple[Callable[[], IssuerPolicy], dict[str, object], Callable[[Caller], bool]]] = [
    (
        lambda: relaxed(audience_list=True),
        {"aud": [AUDIENCE, OTHER]},
        lambda caller: caller.subject == "user-1",
    ),
    (
        lambda: relaxed(audiences=(AUDIENCE, OTHER)),
        {"aud": OTHER},
        lambda caller: caller.subject == "user-1",
    ),
    (
        lambda: relaxed(tenant_claim="org"),
        {"tenant": ABSENT, "org": "globex"},
        lambda caller: caller.tenant == "globex",
    ),
    (
        lambda: relaxed(fixed_tenant="fixed"),
        {"tenant": "other"},
        lambda caller: caller.tenant == "fixed",
    ),
    (
        lambda: relaxed(scope_claim="scp", scope_list=True),
        {"scp": ["search", "model.read"], "scope": "admin"},
        lambda caller: caller.scopes == {"search", "model.read"},
    ),
    (
        lambda: relaxed(optional_claims=frozenset({"jti", "client_id"})),
        {"jti": ABSENT, "client_id": ABSENT},
        lambda caller: caller.credential_id == "" and caller.client_id == "",
    ),
    (
        lambda: relaxed(client_id_claim="azp", jti_claim="uti"),
        {"jti": ABSENT, "client_id": ABSENT, "azp": "app", "uti": "u-1"},
        lambda caller: (caller.client_id, caller.credential_id) == ("app", "u-1"),
    ),
]


@pytest.mark.parametrize(("policy", "changes", "holds"), RELAXED)
def test_each_relaxation_accepts_what_the_strict_profile_refuses_or_reads_otherwise(
    policy: Callable[[], IssuerPolicy], changes: dict[str, object], holds: Callable[[Caller], bool]
) -> None:
    """A relaxation changes exactly what it names."""
    assert holds(caller_of(policy(), **changes))
    assert is_refused(**changes) or not holds(caller_of(**changes))


def test_an_optional_claim_that_is_there_must_be_good() -> None:
    """Optional means absent is fine, not that anything is."""
    assert is_refused(relaxed(optional_claims=frozenset({"jti"})), jti="")


@pytest.mark.parametrize("audience", [[], [OTHER], [7, AUDIENCE], [[AUDIENCE]], [None]])
def test_a_list_of_audiences_must_be_texts_that_name_this_gateway(audience: object) -> None:
    """Also where lists are accepted."""
    assert is_refused(relaxed(audience_list=True), aud=audience)


def test_a_relaxed_header_ignores_only_what_was_named() -> None:
    """`x5t` may be there when the operator said so, `x5u` still may not."""
    policy = relaxed(ignored_header_members=frozenset({"x5t"}), types=frozenset({"JWT", ""}))
    assert read_header(header(x5t="abc", typ="JWT"), policy) == Header("ES256", "es")
    assert read_header(header(typ=ABSENT), policy) == Header("ES256", "es")
    with pytest.raises(TokenError):
        read_header(header(x5u="abc", typ="JWT"), policy)
    with pytest.raises(TokenError):
        read_header(header(typ=""), policy)


def test_fixed_scopes_stand_in_for_those_of_the_token() -> None:
    """For issuers that know no scopes; what the token says of them counts for nothing."""
    policy = replace(STRICT, fixed_scopes=frozenset({"search"}))
    for scope in ("model.read admin", ["admin"], ABSENT):
        assert read_caller(claims(scope=scope), policy, "es", NOW).scopes == {"search"}


@pytest.mark.parametrize("subject", ["system:serviceaccount:apps:billing", "system:serviceaccount:apps:"])
def test_a_subject_must_be_among_those_of_the_policy(subject: str) -> None:
    """A pattern is for the whole subject, in its own spelling."""
    policy = replace(STRICT, subjects=frozenset({"system:serviceaccount:apps:*"}))
    assert read_caller(claims(sub=subject), policy, "es", NOW).subject == subject
    for other in ("user-1", f"x{subject}", subject.upper(), "system:serviceaccount:other:billing"):
        with pytest.raises(TokenError):
            read_caller(claims(sub=other), policy, "es", NOW)
