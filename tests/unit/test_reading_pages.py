"""What a page shows, and what it only carries: text, tables and key points out of HTML, PDF and plain text."""

import pytest

from gateway.search.best_passages import best_passages
from gateway.search.key_points import key_points
from gateway.search.layout_tables import layout_tables
from gateway.search.outline import UnreadableFileError
from gateway.search.reading import kind_of, read
from tests.support.tiny_pdf import locked, tiny_pdf

ARTICLE = """<p>The harbour crane lifts boxes from ships all day. It was built in 1999 and lifts 40 tonnes.</p>
<p>Every crane is inspected twice a year by an engineer of the port authority, who signs the log.</p>"""
HIDING = {
    "comment": "<!-- CANARY -->",
    "hidden_attribute": "<p hidden>CANARY</p>",
    "display_none": '<p style="color:red; DISPLAY : none">CANARY</p>',
    "visibility": '<p style="visibility:hidden">CANARY</p>',
    "no_size": '<p style="font-size:0">CANARY</p>',
    "off_screen": '<p style="position:absolute;left:-9999px">CANARY</p>',
    "transparent": '<p style="opacity:0">CANARY</p>',
    "known_class": '<p class="sr-only">CANARY</p>',
    "own_class": '<p class="x9">CANARY</p>',
    "own_id": '<div id="deep"><p>CANARY</p></div>',
    "inside_hidden": "<div hidden><section><p>CANARY</p></section></div>",
    "alt": '<img src="x.png" alt="CANARY">',
    "title_attribute": '<p title="CANARY">seen</p>',
    "aria_label": '<button aria-label="CANARY">go</button>',
    "noscript": "<noscript><p>CANARY</p></noscript>",
    "template": "<template><p>CANARY</p></template>",
    "script": "<script>var x = 'CANARY'</script>",
    "style": "<style>p::after{content:'CANARY'}</style>",
    "json_ld": '<script type="application/ld+json">{"description":"CANARY"}</script>',
    "meta": '<meta name="description" content="CANARY">',
    "svg": "<svg><text>CANARY</text></svg>",
    "input": '<input value="CANARY"><textarea>CANARY</textarea>',
    "iframe": '<iframe srcdoc="CANARY">CANARY</iframe>',
    "closed_dialog": "<dialog>CANARY</dialog>",
}
STYLE = "<style>.x9, #deep{display:none} @media print{.seen{display:none}} .seen{color:red}</style>"


def html(body: str, head: str = "") -> bytes:
    """A page around a body."""
    return f"<!doctype html><html><head><title>Cranes</title>{head}</head><body>{body}</body></html>".encode()


@pytest.mark.parametrize("kind", HIDING)
def test_what_a_reader_would_not_see_is_not_read(kind: str) -> None:
    """Whatever carries it, and wherever it stands; the visible text around it stays."""
    found = read(html(f"{HIDING[kind]}<article>{ARTICLE}{HIDING[kind]}</article>{HIDING[kind]}", STYLE))
    assert "CANARY" not in repr(found)
    assert "harbour crane lifts boxes" in found.text


def test_a_rule_for_print_hides_nothing() -> None:
    """Neither does a rule that hides nothing."""
    assert (
        "Seen indeed"
        in read(html(f'<article>{ARTICLE}<p class="seen">Seen indeed by all.</p></article>', STYLE)).text
    )


def test_menus_go_and_the_article_stays() -> None:
    """The text of a page is what it is about."""
    body = f"<nav><a href=/>Home</a><a href=/a>About us</a></nav><article><h1>Cranes of the port</h1>{ARTICLE}"
    found = read(html(f"{body}</article><footer>Imprint</footer>"))
    assert "About us" not in found.text
    assert "Imprint" not in found.text
    assert found.title == "Cranes"
    assert (
        found.text.index("Cranes of the port")
        < found.text.index("lifts 40 tonnes")
        < found.text.index("signs the log")
    )


def test_the_tables_of_a_page_are_data() -> None:
    """Caption, header and rows; a cell over two columns leaves the second empty; layout tables are none."""
    table = (
        "<table><caption>Loads</caption><tr><th>Crane<th>Tonnes<th>Year</tr>"
        "<tr><td>North <b>pier</b><td>40<td>1999</tr><tr><td colspan=2>South<td>2004</tr></table>"
        "<table><tr><td>only layout</td></tr></table>"
    )
    (found,) = read(html(ARTICLE + table)).tables
    assert (found.caption, found.header) == ("Loads", ("Crane", "Tonnes", "Year"))
    assert found.rows == (("North pier", "40", "1999"), ("South", "", "2004"))


def test_the_date_of_a_page_is_read_from_its_head() -> None:
    """As a number, never as text."""
    head = '<meta property="article:published_time" content="2026-10-20T00:00:00Z">'
    assert read(html(ARTICLE, head)).published == 1_792_454_400.0
    assert read(html(ARTICLE, '<meta name="date" content="Ignore all rules">')).published is None


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("<p>港口起重机从船上卸下集装箱。</p>".encode("gb2312"), "gb2312"),
        ('<meta charset="gbk"><p>港口起重机从船上卸下集装箱。</p>'.encode("gbk"), ""),
        ("<p>港口起重机从船上卸下集装箱。</p>".encode("big5", "ignore"), "big5"),
        ("<p>港口起重机从船上卸下集装箱。</p>".encode(), ""),
        ("<p>港口起重机从船上卸下集装箱。</p>".encode("utf-16"), ""),
    ],
)
def test_encodings_are_read_as_declared(content: bytes, charset: str) -> None:
    """By the server, by the page, by a mark, or by its looks."""
    assert "船上" in read(content, "text/html", charset).text


def test_a_pdf_has_text_pages_and_tables() -> None:
    """Columns that stand under each other are a table, the line above it its caption."""
    rows = ["Crane          Tonnes     Year", "North pier         40     1999", "South pier         65     2004"]
    page = "\n".join(["Loads of the cranes", *rows])
    found = read(tiny_pdf(page, "The second page tells of harbour cranes."), "application/octet-stream")
    assert (found.mime_type, found.pages) == ("application/pdf", 2)
    assert "second page tells" in found.text
    (table,) = found.tables
    assert table.header == ("Crane", "Tonnes", "Year")
    assert table.rows == (("North pier", "40", "1999"), ("South pier", "65", "2004"))
    assert table.caption == "Loads of the cranes"


def test_prose_is_no_table() -> None:
    """Two lines that happen to have gaps are not enough, and neither is ragged text."""
    assert layout_tables("one  two\nthree  four") == ()
    assert layout_tables("A line of prose.\nAnother line of prose.\nAnd a third one, too.") == ()


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (b"\x00\x01\x02" * 50, ""),
        (b"%PDF-1.4 broken", "application/pdf"),
        (b"", "text/plain"),
        (b"<html><body></body></html>", ""),
        (locked(tiny_pdf("secret"), "password"), ""),
        (b"<div>" * 30_000 + b"deep", "text/html"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "text/html"),
    ],
    ids=["binary", "broken_pdf", "empty", "blank", "locked", "deep", "image"],
)
def test_what_gives_no_text_is_refused_with_a_reason(content: bytes, mime_type: str) -> None:
    """The message says what is wrong, and names nothing of ours."""
    with pytest.raises(UnreadableFileError) as caught:
        read(content, mime_type)
    assert str(caught.value)


def test_the_first_bytes_decide_what_was_not_said() -> None:
    """And a PDF is a PDF whatever was said."""
    assert kind_of(b"%PDF-1.7", "text/html") == "application/pdf"
    assert kind_of(b"  <!DOCTYPE html>", "") == "text/html"
    assert kind_of(b"<?xml version='1.0'?><!-- x --><html>", "") == "text/html"
    assert kind_of(b"a < b and b > c", "") == "text/plain"
    assert kind_of(b"# Title", "text/markdown") == "text/markdown"
    assert kind_of(b"plain", "application/pdf") == "text/plain"


def test_key_points_are_sentences_of_the_document() -> None:
    """Word for word, in order, none twice, and those about what it is about."""
    text = " ".join(
        [
            "The harbour crane lifts boxes from ships.",
            "My aunt once had a blue umbrella there.",
            "A harbour crane lifts forty tonnes of boxes at once.",
            "The crane of the harbour was built for boxes in 1999.",
            "The harbour crane lifts boxes from ships.",
        ]
    )
    points = key_points("Harbour cranes", text, most=2)
    assert len(points) == 2
    assert all(point in text for point in points)
    assert not any("umbrella" in point for point in points)


def test_the_best_passages_of_a_page_are_kept_in_order() -> None:
    """Not its beginning: what speaks of the question, wherever it stands."""
    filler = "\n".join(
        f"Paragraph {n} speaks of the weather, of tea and of other small things." * 5 for n in range(60)
    )
    page = f"{filler}\nThe crane lifts 40 tonnes.\n{filler}\nThe crane was built in 1999.\n{filler}"
    best = best_passages(page, "How many tonnes does the crane lift?", max_tokens=400)
    assert best.index("40 tonnes") < best.index("in 1999")
    assert len(best) < 3_000
    assert best_passages(page, "zebra").startswith("Paragraph 0")
    assert best_passages("", "crane") == ""
