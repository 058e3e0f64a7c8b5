"""Files become documents: visible text only, whatever the encoding, under the headings it stands under."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.search.documents import MAX_TEXT_BYTES, read_document
from gateway.search.encodings import decode
from gateway.search.outline import BlockKind, Document, UnreadableFileError
from tests.support.tiny_pdf import locked, tiny_pdf


def text_of(document: Document) -> str:
    """All text of the document."""
    return "\n".join(block.text for section in document.sections for block in section.blocks)


def html(body: str, head: str = "") -> Document:
    """A page read as a file called `page.html`."""
    return read_document("page.html", f"<html><head>{head}</head><body>{body}</body></html>".encode())


def markdown(text: str) -> Document:
    """A file called `rate-limits.md`."""
    return read_document("rate-limits.md", text.encode())


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>secret</script>",
        "<style>secret {}</style>",
        "<template><p>secret</p></template>",
        "<noscript>secret</noscript>",
        "<!-- secret -->",
        "<div hidden>secret</div>",
        "<div hidden><p>shown nowhere: <b>secret</b></p></div>",
        '<p style="display: none">secret</p>',
        '<p style="DISPLAY:NONE !important">secret</p>',
        '<p style="visibility : hidden">secret</p>',
        '<p style="font-size:0px">secret</p>',
        '<p style="opacity: 0">secret</p>',
        '<p style="position:absolute;left:-9999px">secret</p>',
        '<p class="note sr-only">secret</p>',
        '<img src="x" alt="secret" title="secret">',
        "<svg><title>secret</title></svg>",
        '<meta name="description" content="secret">',
        '<script type="application/ld+json">{"a": "secret"}</script>',
        "<iframe>secret</iframe>",
        "<textarea>secret</textarea>",
        "<dialog>secret</dialog>",
        '<input type="hidden" value="secret">',
    ],
)
def test_hidden_html_is_not_read(hidden: str) -> None:
    """What a browser does not show is in no document, in HTML or inside Markdown."""
    assert text_of(html(f"<p>before</p>{hidden}<p>after</p>")) == "before\nafter"
    assert "secret" not in text_of(markdown(f"before\n\n{hidden}\n\nafter"))


def test_a_hidden_main_element_is_not_read_either() -> None:
    """The shortcut to the main part of a page does not lead past a hidden ancestor."""
    assert text_of(html("<div hidden><main>secret</main></div><p>shown</p>")) == "shown"


def test_html_becomes_headings_paragraphs_tables_and_code() -> None:
    """The structure that a reader sees is kept, the furniture around it is not."""
    page = html(
        "<nav>menu</nav><h1>Limits</h1><p>One <b>bold</b>\n word.<br>Next line.</p>"
        '<h2 id="money">Money</h2><ul><li>day<li>month</ul>'
        "<table><tr><th>a<th>b<tr><td>1<td>2</table><pre>x = 1\n  y</pre>tail",
        "<title> A  page </title>",
    )
    assert page.title == "A page"
    first, second = page.sections
    assert (first.path, [block.text for block in first.blocks]) == (
        ("Limits",),
        ["One bold word.\nNext line."],
    )
    assert (second.path, second.anchor) == (("Limits", "Money"), "money")
    assert [block.text for block in second.blocks] == ["- day", "- month", "a | b\n1 | 2", "x = 1\n  y", "tail"]
    assert [block.kind for block in second.blocks][2:4] == [BlockKind.TABLE, BlockKind.CODE]


def test_the_first_heading_names_a_page_without_a_title() -> None:
    """And it is not repeated in the heading path."""
    page = html("<h1>Limits</h1><p>text</p>")
    assert (page.title, page.sections[0].path) == ("Limits", ())


def test_html_that_nests_without_end_is_refused() -> None:
    """The parser would take minutes over it."""
    with pytest.raises(UnreadableFileError, match="nested"):
        html("<div>" * 30_000 + "x")


def test_markdown_becomes_what_its_reader_sees() -> None:
    """Marks, link targets, image texts and comments go; code stays as it is written."""
    document = markdown(
        "# Rate **limits**\n\nA [link](https://x.example/secret 'secret') and ![secret](y.png) `max_tokens` and\n"
        "snake_case_word, 5 * 3 * 2, \\*starred\\*, a &lt; b, <https://a.example>.\n\n"
        "## Second\n\n* one\n* two\n  more\n\n| a | b |\n|:--|--:|\n| 1 | `x` |\n\n"
        "```python\nif a < b:  # <b>not markup</b>\n    _run_()\n```\n\nUnder\n-----\n> quoted\n\n"
        "[ref]: https://secret.example\n"
    )
    assert document.title == "Rate limits"
    first, second, third = document.sections
    assert first.blocks[0].text == (
        "A link and  max_tokens and snake_case_word, 5 * 3 * 2, *starred*, a < b, https://a.example."
    )
    assert [block.text for block in second.blocks] == [
        *("- one\n- two more", "a | b\n1 | x", "if a < b:  # <b>not markup</b>\n    _run_()"),
    ]
    assert [block.kind for block in second.blocks] == [BlockKind.PROSE, BlockKind.TABLE, BlockKind.CODE]
    assert (third.path, third.anchor, text_of(document).count("secret")) == (("Under",), "under", 0)
    assert third.blocks[0].text == "quoted"


def test_two_headings_of_one_name_have_two_anchors() -> None:
    """A link to a passage leads to that passage."""
    sections = markdown("# T\n\n## Same\n\na\n\n## Same\n\nb").sections
    assert [section.anchor for section in sections] == ["same", "same-1"]


def test_markdown_front_matter_only_gives_the_title() -> None:
    """It is not part of the text."""
    document = markdown('---\ntitle: "Named"\ndraft: secret\n---\ntext')
    assert (document.title, text_of(document)) == ("Named", "text")


def test_a_file_without_a_heading_is_called_by_its_name() -> None:
    """`rate-limits.md` is "rate limits"."""
    assert markdown("just text").title == "rate limits"


def test_plain_text_has_paragraphs_and_perhaps_a_title() -> None:
    """A short first line that stands alone is the title; wrapped lines are joined, Chinese without a space."""
    document = read_document(
        "a.txt", "A title\n\nFirst line\nsecond line\n\n- item\n- item\n\n一行\n二行".encode()
    )
    assert document.title == "A title"
    assert text_of(document) == "First line second line\n- item\n- item\n一行二行"


@pytest.mark.parametrize(
    "encoded",
    [
        codecs.BOM_UTF8 + "计费规则 é".encode(),
        codecs.BOM_UTF16_LE + "计费规则 é".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "计费规则 é".encode("utf-16-be"),
        "计费规则 é".encode(),
    ],
)
def test_marked_and_plain_unicode_is_read(encoded: bytes) -> None:
    """With a byte order mark or as UTF-8, in text and Markdown alike."""
    assert text_of(read_document("a.txt", encoded)) == "计费规则 é"
    assert text_of(read_document("a.md", encoded)) == "计费规则 é"


def test_old_encodings_are_told_apart() -> None:
    """Chinese bytes come in pairs, accented letters alone; a declaration in HTML decides."""
    assert decode("网关按令牌数计费。".encode("gbk")) == "网关按令牌数计费。"
    assert decode("Un café à l’été – naïve".encode("cp1252")) == "Un café à l’été – naïve"
    assert decode('<meta charset="big5"><p>計費</p>'.encode("big5"), markup=True).endswith("<p>計費</p>")
    assert decode(b'<meta charset="no-such">caf\xe9', markup=True).endswith("café")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_document_or_a_reason(content: bytes) -> None:
    """Nothing but UnreadableFileError comes out of a file, whatever is in it."""
    for name in ("a.md", "a.html", "a.txt", "a.pdf", "a"):
        try:
            assert read_document(name, content).sections
        except UnreadableFileError as error:
            assert str(error)


def test_a_lone_angle_bracket_in_markdown_is_text() -> None:
    """`a <b` swallows nothing, although a browser would read a tag there; real tags are still tags."""
    text = text_of(markdown("if a <b then\n\nc <d and <i class='x > y'>e</i>\n\n<p hidden title='<'>secret</p>"))
    assert text == "if a <b then\nc <d and e"


@pytest.mark.parametrize(
    "piece",
    [
        "`",
        "` ",
        "~",
        "[a",
        "![",
        "[^",
        "[a](",
        "[a](b(",
        "_a ",
        "*a ",
        "***a ",
        "<",
        "<a ",
        "<a b='",
        "> ",
        ":-|",
        "- - ",
    ],
)
def test_repeated_marks_do_not_slow_the_reader_down(piece: str) -> None:
    """Text made to keep a pattern busy is read in one pass: a second look at each mark would take minutes."""
    text = "start " + piece * 100_000 + "x"
    document = markdown(f"{text}\n\nend of it")
    assert text_of(document).endswith("end of it")


def test_invisible_characters_are_taken_out() -> None:
    """Zero-width, bidi, tag and control characters neither hide words nor smuggle text."""
    document = read_document(
        "a.txt", "pass\u200bword \u202eevil\u202c \U000e0041\U000e0042 red\x1b heart\ufe0f".encode()
    )
    assert text_of(document) == "password evil  red heart"


def test_a_pdf_is_read_page_by_page() -> None:
    """Each page is a section whose anchor opens that page; the first line is the title."""
    document = read_document(
        "a.pdf", tiny_pdf("Price list\nTokens are billed", "Second page about inter-\nrupted streams")
    )
    assert document.title == "Price list"
    assert [(section.path, section.anchor) for section in document.sections] == [
        *((("Page 1",), "page=1"), (("Page 2",), "page=2")),
    ]
    assert "interrupted streams" in text_of(document)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", locked(tiny_pdf("secret"), "word"), "encrypted PDF"),
        ("a.pdf", tiny_pdf("text")[:200], "broken PDF"),
        ("a.pdf", b"no PDF at all", "broken PDF"),
        ("a.pdf", tiny_pdf(""), "without text"),
        ("a.bin", b"\x7fELF\x00\x00\x01", "binary file"),
        ("a.txt", b"PK\x03\x04\x00\x00", "binary file"),
        ("a.txt", b" \n\n ", "no text"),
        ("a.html", b"<script>x</script>", "no text"),
        ("a.txt", b"x" * (MAX_TEXT_BYTES + 1), "larger than 10 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name: str, content: bytes, reason: str) -> None:
    """The reason is for the operator, and is the same every time."""
    with pytest.raises(UnreadableFileError, match=reason):
        read_document(name, content)


def test_a_pdf_is_recognised_whatever_it_is_called() -> None:
    """Its first bytes say so."""
    assert "billed" in text_of(read_document("list.txt", tiny_pdf("Tokens are billed")))


def test_signs_behind_headings_and_the_way_about_are_not_read() -> None:
    """A paragraph sign that links to a heading, and menus that only say by their role what they are."""
    page = (
        b'<body><div role="navigation"><h3>Navigation</h3><p>index modules</p></div>'
        b'<h1>Tea<a class="headerlink" href="#tea">\xc2\xb6</a></h1><p>Green tea.</p>'
        b'<h2 id="c">C#</h2><p>A language.</p></body>'
    )
    document = read_document("tea.html", page)
    assert document.title == "Tea"
    assert [block.text for section in document.sections for block in section.blocks] == [
        "Green tea.",
        "A language.",
    ]
