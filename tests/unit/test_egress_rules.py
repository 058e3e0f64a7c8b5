"""Which URLs and addresses are refused before any connection: every class of addresses, names and spellings."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.search.egress import DeniedUrlError, Egress

EGRESS = Egress()

ADDRESSES: dict[str, tuple[str, ...]] = {
    "loopback": ("127.0.0.1", "127.255.255.254", "::1"),
    "unspecified": ("0.0.0.0", "0.1.2.3", "::"),
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    "carrier_nat": ("100.64.0.1", "100.127.255.254"),
    "link_local": ("169.254.0.1", "fe80::1", "fe80::1%eth0"),
    "metadata": ("169.254.169.254", "168.63.129.16", "fd00:ec2::254", "100.100.100.200"),
    "benchmark_documentation": (
        "198.18.0.1",
        "192.0.2.1",
        "198.51.100.7",
        "203.0.113.9",
        "2001:db8::1",
        "3fff::1",
    ),
    "multicast_reserved": ("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1"),
    "special": ("192.0.0.8", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1", "2620:4f:8000::1"),
    "mapped": ("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    "nat64_6to4_teredo": ("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:4136:e378::1"),
    "ula_site_local_discard_srv6": ("fc00::1", "fd12::1", "fec0::1", "100::1", "5f00::1"),
    "no_address": ("", "localhost", "0x7f000001", "127.1", "1", "127.0.0.1:80"),
}
PUBLIC = (
    *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.254", "100.128.0.1", "126.255.255.255", "128.0.0.1"),
    *("169.253.255.255", "169.255.0.1", "172.15.255.255", "172.32.0.1", "192.167.255.255", "192.169.0.1"),
    *("198.17.255.255", "198.20.0.1", "223.255.255.255", "168.63.129.15", "2606:4700::1111", "2a00::1"),
)
URLS: dict[str, tuple[str, ...]] = {
    "notations": (
        *("http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/"),
        *("http://127.0.0.01/", "http://0x7f.0.0.1/", "http://127.0.0.1./", "http://1.2.3/", "http://256.1.1.1/"),
    ),
    "literals": tuple(f"http://{a}/" for a in ("127.0.0.1", "10.0.0.1", "169.254.169.254"))
    + tuple(f"http://[{a}]/" for a in ("::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254", "fe80::1")),
    "zone": ("http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"),
    "names": (
        *("http://localhost/", "http://redis/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/"),
        *("http://metadata.google.internal/", "http://x.local/", "http://db.svc/", "http://a.svc.cluster.local/"),
        *("http://router.home.arpa/", "http://x.onion/", "http://x.localdomain/", "http://x.INTERNAL./"),
        *("http://example.com1/", "http://example.123/", "http://-/", "http://a..b.com/", "http://.com/"),
    ),
    "unicode": (
        *(
            "http://127。0。0。1/",
            "http://１２７.0.0.1/",
            "http://ⓔxample.com/",
            "http://example。com/",
            "http://①.com/",
        ),
        *("http://exam\u00adple.com/", "http://exa\u200dmple.com/", "http://\u2025example.com/"),
    ),
    "userinfo": ("http://example.com@127.0.0.1/", "http://a:b@example.com/", "http://@example.com/"),
    "parser_disagreement": (
        *("http://example.com\\@127.0.0.1/", "http:\\\\127.0.0.1/", "http:/example.com/", "http:///example.com/"),
        *(
            "http://example.com%2f@x/",
            "http://127.0.0.1%23.example.com/",
            "http://example.com /",
            "//example.com/",
        ),
        *(" http://example.com/", "http://example.com/\n", "http://exa\tmple.com/", "http://example.com/\x00"),
        *("http://[::1/", "http://::1/", "http://[example.com]/", "http://example.com:80:80/", "http:example.com"),
    ),
    "port": (
        *(
            "http://example.com:25/",
            "http://example.com:8080/",
            "http://example.com:0/",
            "http://example.com:65616/",
        ),
        *(
            "http://example.com:/",
            "http://example.com:+80/",
            "http://example.com:８０/",
            "http://example.com:080a/",
        ),
    ),
    "scheme": (
        *("file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "javascript:alert(1)", "data:,x"),
        *("ws://example.com/", "", "example.com", "http://", "https://?x", "doc:guide.md"),
    ),
    "length": ("http://example.com/" + "a" * 2_000,),
}


@pytest.mark.parametrize(("kind", "address"), [(kind, one) for kind, many in ADDRESSES.items() for one in many])
def test_addresses_that_are_not_public_are_denied(kind: str, address: str) -> None:
    """No class of special address lets a connection through, and neither does what is no address."""
    if address == "100.100.100.200":
        assert not EGRESS.admits(address), "inside the carrier range"
    assert not EGRESS.admits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass_also_just_outside_a_denied_range(address: str) -> None:
    """The table is no wider than it must be."""
    assert EGRESS.admits(address)
    assert EGRESS.target(f"http://[{address}]/" if ":" in address else f"http://{address}/").address


@pytest.mark.parametrize(("kind", "url"), [(kind, one) for kind, many in URLS.items() for one in many])
def test_urls_that_are_not_fetched(kind: str, url: str) -> None:
    """Refused by reading alone; two parsers never get the chance to disagree."""
    with pytest.raises(DeniedUrlError):
        EGRESS.target(url)


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("https://Example.COM/Path?q=1#part", "https://example.com/Path?q=1"),
        ("HTTP://example.com", "http://example.com/"),
        ("http://example.com.:80/", "http://example.com/"),
        ("https://example.com?q=a@b", "https://example.com/?q=a@b"),
        ("http://example.com:443/x", "http://example.com:443/x"),
        ("https://zh.wikipedia.org/wiki/长城", "https://zh.wikipedia.org/wiki/%E9%95%BF%E5%9F%8E"),
        ("https://münchen.de/", "https://xn--mnchen-3ya.de/"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("http://1.1.1.1/dns", "http://1.1.1.1/dns"),
        ("http://[2606:4700:0:0::1111]/", "http://[2606:4700::1111]/"),
    ],
)
def test_honest_urls_are_requested_as_they_are_meant(url: str, requested: str) -> None:
    """Case, last dot, default port and fragment of the host go; path and query stay."""
    assert EGRESS.target(url).url == requested


@given(st.integers(0, 2**32 - 1))
def test_no_spelling_of_a_number_is_a_host(number: int) -> None:
    """Only four plain decimal parts are an address; every other notation of one is refused."""
    quads = [number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255]
    spellings = [str(number), hex(number), oct(number).replace("o", ""), ".".join(hex(quad) for quad in quads)]
    spellings += [f"{quads[0]}.{number & 0xFFFFFF}", ".".join(f"{quad:03}" for quad in quads[:3]) + ".0x1"]
    for host in spellings:
        with pytest.raises(DeniedUrlError):
            EGRESS.target(f"http://{host}/")


@given(st.text(max_size=40), st.text(max_size=20))
def test_reading_a_url_ends_in_a_target_or_a_refusal(authority: str, path: str) -> None:
    """Whatever is written there; and what passes is ASCII, on a port that is fetched."""
    try:
        target = EGRESS.target(f"http://{authority}/{path}")
    except DeniedUrlError:
        return
    assert target.url.isascii()
    assert target.port in EGRESS.ports
    assert target.url.split("/")[2].partition(":")[0] == target.host or ":" in target.host


def test_an_operators_own_ranges_come_on_top() -> None:
    """A cluster with public addresses inside denies them; an exception is exactly as wide as it is written."""
    denying = Egress(denied=(ip_network("1.1.1.0/24"),))
    assert not denying.admits("1.1.1.1")
    permitting = Egress(permitted=(ip_network("127.0.0.1/32"),))
    assert permitting.admits("127.0.0.1")
    assert not permitting.admits("127.0.0.2")
