"""Which callers a revocation holds for, until when, and what the file that keeps them may look like."""

from dataclasses import replace

import pytest

from gateway.auth.revocation import (
    Kind,
    Revocation,
    Revoked,
    added,
    lifted,
    read_revocations,
    write_revocations,
)
from gateway.domain.call import Caller

ALICE = Caller("acme", "alice", "web", frozenset(), 2e9, "jti-1", "kid-1")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.CREDENTIAL, "jti-1"),
        (Kind.SUBJECT, "alice"),
        (Kind.CLIENT, "web"),
        (Kind.TENANT, "acme"),
        (Kind.SIGNING_KEY, "kid-1"),
    ],
)
def test_each_kind_names_one_fact_of_the_caller(kind: Kind, value: str) -> None:
    """It holds for exactly that value, and not for one that only resembles it."""
    assert Revoked([Revocation(kind, value)]).holds(ALICE, 0)
    assert not Revoked([Revocation(kind, value.upper())]).holds(ALICE, 0)
    assert not Revoked([Revocation(kind, value[:-1])]).holds(ALICE, 0)


def test_a_revocation_may_be_limited_to_a_tenant() -> None:
    """The same subject of another tenant is somebody else."""
    revoked = Revoked([Revocation(Kind.SUBJECT, "alice", "acme")])
    assert revoked.holds(ALICE, 0)
    assert not revoked.holds(replace(ALICE, tenant="globex"), 0)


def test_a_revocation_ends_when_it_was_to_end() -> None:
    """Until that second it holds."""
    revoked = Revoked([Revocation(Kind.SUBJECT, "alice", until=100)])
    assert [revoked.holds(ALICE, now) for now in (99.9, 100)] == [True, False]


def test_a_new_revocation_replaces_its_like_and_drops_what_has_run_out() -> None:
    """The list holds each once, and does not grow with time."""
    old = Revocation(Kind.CREDENTIAL, "jti-0", revoked_at=1, until=50)
    first = Revocation(Kind.SUBJECT, "alice", revoked_at=1, until=500)
    second = Revocation(Kind.SUBJECT, "alice", revoked_at=100)
    assert added([old, first], second) == [second]


def test_what_is_not_revoked_cannot_be_lifted() -> None:
    """A misspelt name is told, not ignored."""
    one = Revocation(Kind.SUBJECT, "alice")
    assert lifted([one], Revocation(Kind.SUBJECT, "alice", revoked_at=9)) == []
    with pytest.raises(KeyError):
        lifted([one], Revocation(Kind.SUBJECT, "alise"))


def test_the_file_keeps_what_was_written() -> None:
    """Every member of every revocation."""
    both = [Revocation(Kind.SUBJECT, "alice", "acme", 5, 9), Revocation(Kind.CREDENTIAL, "gw_abcdefgh")]
    assert read_revocations(write_revocations(both)) == both


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[]", b"", b'{"revocations": 1}', b'{"revocations": [{"kind": "nobody"}]}', b'{"revocations": [1]}'],
)
def test_a_damaged_file_is_an_error_and_not_an_empty_list(content: bytes) -> None:
    """Nobody is let in because a file was cut short."""
    with pytest.raises(ValueError, match=r"JSON|revocation|Expecting"):
        read_revocations(content)
