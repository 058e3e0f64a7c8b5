"""Where a call comes from: what a bridge says counts only of one that is known to be a bridge."""

import pytest

from gateway.server.caller_address import Forwarding, caller_address

OURS = Forwarding("s3cret")
CERTIFIED = Forwarding("", frozenset({"CN=bridge"}), lambda pem: pem.decode())


def unreadable(_certificate: bytes) -> str:
    """A certificate that names nobody."""
    raise ValueError("nobody")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:5123", "192.0.2.7"),
        ("ipv6:%5B2001:db8::1%5D:5123", "2001:db8::1"),
        ("ipv6:[::ffff:192.0.2.7]:5123", "192.0.2.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5123", "fe80::1"),
        ("unix:/tmp/gateway.sock", ""),
        ("ipv4:nonsense:1", ""),
        ("", ""),
    ],
)
def test_the_other_end_of_the_connection_is_the_caller(peer: str, address: str) -> None:
    """However gRPC writes it; a socket in the file system has no address."""
    assert caller_address(peer, "", "", lambda: None, OURS) == address


@pytest.mark.parametrize(
    ("said", "shown", "certificate", "of", "address"),
    [
        ("203.0.113.9", "s3cret", None, OURS, "203.0.113.9"),
        ("203.0.113.9", "guess", None, OURS, "127.0.0.1"),
        ("203.0.113.9", "", None, OURS, "127.0.0.1"),
        ("203.0.113.9", "", None, Forwarding(), "127.0.0.1"),
        ("203.0.113.9", "", b"CN=bridge", CERTIFIED, "203.0.113.9"),
        ("203.0.113.9", "", b"CN=other", CERTIFIED, "127.0.0.1"),
        ("203.0.113.9", "", None, CERTIFIED, "127.0.0.1"),
        ("203.0.113.9", "", b"x", Forwarding("", frozenset({"CN=bridge"}), unreadable), "127.0.0.1"),
        ("no address", "s3cret", None, OURS, "127.0.0.1"),
    ],
)
def test_a_forwarded_address_counts_only_of_a_known_bridge(
    said: str, shown: str, certificate: bytes | None, of: Forwarding, address: str
) -> None:
    """By its secret or its certificate; anybody else's word is not looked at."""
    assert caller_address("ipv4:127.0.0.1:9", said, shown, lambda: certificate, of) == address
