"""What a terminal shows of a turn."""

import re
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.commands.columns import cut, width
from gateway.commands.provenance import sentences_of
from gateway.commands.terminal import AnswerView, Look, dollars, one_line, source_lines
from gateway.v1 import content_pb2, inference_pb2
from tests.support.scripted_gateway import ended, frames_of, text

FACTS = "\ndeepseek-flash · stop · 9 tokens in, 4 out · $0.000012 · receipt r1\n"
TIDES = content_pb2.Source(source_id="S1", title="Tides", url="https://a.example/t")
MOON = content_pb2.Source(
    source_id="S2", title="Moon", url="https://b.example/m", published=Timestamp(seconds=1_741_000_000)
)


def shown(*kinds: Any, look: Look = Look()) -> tuple[str, str]:  # noqa: B008 - frozen
    """(standard output, standard error) for the frames of one turn."""
    view = AnswerView(look)
    pieces = view.begin() + [piece for frame in frames_of(*kinds) for piece in view.show(frame)] + view.close()
    return "".join(p.text for p in pieces if not p.aside), "".join(p.text for p in pieces if p.aside)


def search(*sources: content_pb2.Source, **changes: Any) -> inference_pb2.SearchEvent:
    """One search that went well."""
    return inference_pb2.SearchEvent(
        **{
            "provider": "embedded",
            "query": "tides",
            "status": inference_pb2.SEARCH_STATUS_OK,
            "sources": sources,
            "took": Duration(nanos=120_000_000),
            **changes,
        }
    )


def test_an_answer_is_its_text_and_one_line_of_facts() -> None:
    """Nothing else is written where nothing else happened."""
    assert shown(text("Hel"), text("lo"), ended()) == ("Hello\n" + FACTS, "")


def test_a_mark_stands_where_its_span_ends() -> None:
    """Offsets count UTF-8 bytes, and several marks may stand at one place."""
    out, _ = shown(
        search(TIDES, MOON),
        text("Die Flut steigt über"),
        content_pb2.Citation(start=0, end=21, source_ids=["S1", "S2"]),
        text(" alles."),
        ended(),
    )
    assert out.startswith("Die Flut steigt über[1][2] alles.\n\n[1] Tides — https://a.example/t\n[2] Moon")


def test_a_citation_that_comes_late_is_listed_under_its_source() -> None:
    """Once more text was written its mark has no place left."""
    late = content_pb2.Citation(start=0, end=5, source_ids=["S2"])
    out, _ = shown(search(TIDES, MOON), text("Tides turn."), late, ended())
    assert out == (
        "Tides turn.\n\n[1] Tides — https://a.example/t\n"
        "[2] Moon — https://b.example/m (2025-03-03)\n    on “Tides”\n" + FACTS
    )


CHINESE = (
    "通知期是三个月。 从下个月的第一天开始计算，除非合同另有规定，"
    "否则双方都必须以书面形式提前通知对方。 没有来源。"
)


def cited(words: str, support: "content_pb2.Support", *names: str, evidence: str = "") -> content_pb2.Citation:
    """A citation of these words of the Chinese answer."""
    start = len(CHINESE[: CHINESE.index(words)].encode())
    return content_pb2.Citation(
        start=start, end=start + len(words.encode()), source_ids=names, support=support, evidence=evidence
    )


def provenance(look: Look) -> list[str]:
    """The lines that say where the sentences of the Chinese answer come from."""
    out, _ = shown(
        search(TIDES, MOON),
        text(CHINESE),
        cited("通知期是三个月。", content_pb2.SUPPORT_STATED, "S1"),
        cited("从下个月", content_pb2.SUPPORT_STATED, "S1"),
        cited("书面形式", content_pb2.SUPPORT_PARTLY, "S2", evidence="合同规定，通知必须在月底之前送达。"),
        ended(),
        look=look,
    )
    return out.split("Where each sentence comes from:\n")[1].split("\n\n")[0].split("\n")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_each_sentence_says_where_it_comes_from_and_fits(columns: int) -> None:
    """Its sources, the weakest of its labels, and its words, cut by columns: a Chinese character takes two."""
    lines = provenance(Look(provenance=True, columns=columns))
    assert lines[0] == "[1]     STATED     通知期是三个月。"
    assert lines[1].startswith("[1][2]  PARTLY     从下个月的第一天")
    assert lines[2].startswith("                   the source: 合同规定")
    assert lines[3] == "        no source  没有来源。"
    assert all(width(line) <= columns for line in lines)
    assert lines[1].endswith("…") == (columns < 200)


def test_the_sign_of_a_list_is_no_part_of_a_sentence() -> None:
    """Nor is that of a heading; the offsets of citations count them all the same."""
    answer = "# Tides\n- The moon turns.\n1. 潮汐。".encode()
    found = sentences_of(answer, [content_pb2.Citation(start=8, end=25, source_ids=["S1"])])
    assert [(one.text, one.source_ids) for one in found] == [
        ("Tides", ()),
        ("The moon turns.", ("S1",)),
        ("潮汐。", ()),
    ]


def test_labels_have_colours_only_where_colours_are_allowed() -> None:
    """And the same columns either way."""
    coloured, plain = (provenance(Look(provenance=True, colour=colour)) for colour in (True, False))
    assert "\x1b[32mSTATED\x1b[39m" in coloured[0]
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == plain


@pytest.mark.parametrize(
    ("line", "columns"), [("tide", 4), ("潮汐", 4), ("e\u0301te\u0301", 3), ("ＡＢ", 4), ("한국", 4), ("🌊", 2)]
)
def test_a_line_is_as_wide_as_a_terminal_shows_it(line: str, columns: int) -> None:
    """Wide characters count twice, combining ones not at all."""
    assert width(line) == columns
    assert cut(line, columns) == line
    assert width(cut(line * 3, 5)) <= 5


def test_a_long_address_gets_a_line_of_its_own() -> None:
    """Whole, so that it can be copied; the title is cut instead."""
    source = content_pb2.Source(source_id="S1", title="潮汐" * 40, url="https://a.example/" + "x" * 90)
    first, second = source_lines(source, 60)
    assert width(first) <= 60
    assert second == f"    {source.url}"


def test_notices_and_a_cut_are_said_plainly() -> None:
    """Whoever reads only the answer still learns that it is not the usual one."""
    notice = inference_pb2.Notice(
        kind=inference_pb2.NOTICE_KIND_DEGRADED, message="answered by\nthe embedded model"
    )
    out, _ = shown(notice, text("Hm"), ended(inference_pb2.FINISH_LENGTH))
    assert "\n\nnote: answered by the embedded model\nnote: the answer was cut at its token limit" in out
    assert " · length · " in out


def test_searches_and_the_queue_show_only_where_somebody_watches() -> None:
    """On a terminal they are asides; into a file nothing of them goes."""
    happening = (
        inference_pb2.Accepted(receipt_id="r1", queue_position=2),
        search(TIDES),
        search(provider="brave", status=inference_pb2.SEARCH_STATUS_FAILED, detail="timeout"),
        search(provider="old", status=inference_pb2.SEARCH_STATUS_SKIPPED),
        search(TIDES, MOON, from_cache=True),
        search(provider="pages", sources=[], detail="1 of 2 pages could not be read"),
    )
    _, aside = shown(*happening, ended(), look=Look(live=True, searches=True))
    assert aside == (
        "· searching\n"
        "· waiting, number 2\n"
        "· embedded: found 1 source in 0.1 s\n"
        "· brave: failed after 0.1 s: timeout\n"
        "· old: skipped\n"
        "· embedded: found 2 sources in the cache\n"
        "· pages: read in 0.1 s: 1 of 2 pages could not be read\n"
    )
    assert shown(*happening, ended())[1] == ""


def test_reasoning_is_an_aside_that_ends_before_the_answer() -> None:
    """It is shown only when asked for, and never mixed into the answer."""
    deltas = (inference_pb2.Delta(reasoning="hm "), inference_pb2.Delta(reasoning="so", text="Yes"), ended())
    assert shown(*deltas, look=Look(reasoning=True)) == ("Yes\n" + FACTS, "hm so\n\n")
    assert shown(*deltas) == ("Yes\n" + FACTS, "")


def test_colour_codes_appear_only_where_colours_are_allowed() -> None:
    """Dimmed on a terminal, plain elsewhere."""
    cited = (text("Hi"), content_pb2.Citation(end=2, source_ids=["S1"]), ended())
    assert "\x1b[2m[1]\x1b[22m" in shown(*cited, look=Look(colour=True))[0]
    assert "\x1b" not in shown(*cited)[0]


def test_text_from_outside_cannot_command_the_terminal() -> None:
    """On a terminal control characters are taken out; a file gets the answer byte for byte."""
    evil = (text("a\x1b[2Jb\rc\td\n"), ended())
    assert shown(*evil, look=Look(terminal=True))[0] == "a[2Jbc\td\n" + FACTS
    assert shown(*evil)[0] == "a\x1b[2Jb\rc\td\n" + FACTS
    assert one_line("a\x1b]0;x\x07\n b\u202ec") == "a]0;x bc"


def test_a_stream_that_breaks_ends_its_line() -> None:
    """The message that follows stands on a line of its own."""
    assert shown(text("Hel"))[0] == "Hel\n"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (content_pb2.Source(source_id="S3", url="https://a.example"), "[3] https://a.example"),
        (content_pb2.Source(source_id="S3", title="Only a title"), "[3] Only a title"),
        (content_pb2.Source(source_id="doc", title="T", url="u"), "[doc] T — u"),
    ],
)
def test_a_source_shows_what_it_has(source: content_pb2.Source, line: str) -> None:
    """A missing title or address leaves no hole."""
    assert source_lines(source) == [line]


@pytest.mark.parametrize(
    ("nano_usd", "shown_as"),
    [(0, "$0.00"), (1, "$0.000000001"), (12_000, "$0.000012"), (1_500_000_000, "$1.50"), (-1, "-$0.000000001")],
)
def test_money_is_shown_exactly(nano_usd: int, shown_as: str) -> None:
    """No rounding: the receipt says the same."""
    assert dollars(nano_usd) == shown_as
