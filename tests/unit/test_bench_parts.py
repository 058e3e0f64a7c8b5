"""The parts of the measurements that only calculate: numbers, tables, and the bytes that the upstream sends."""

import json

import pytest

from tests.bench import guard, plan, summary
from tests.bench.goals import GOALS, Goal, verdicts
from tests.bench.peer_install import RECIPES, of_pin
from tests.bench.peer_table import Found, rows
from tests.bench.peer_targets import STARTS
from tests.bench.script import EVENT_BYTES, Body, Script, read_script, stamps


def test_a_percentile_lies_between_two_values_by_its_distance() -> None:
    """The median of four is the middle of the two in the middle, and the ends are the ends."""
    values = [4.0, 1.0, 3.0, 2.0]
    assert summary.percentile(values, 0.5) == 2.5
    assert (summary.percentile(values, 0.0), summary.percentile(values, 1.0)) == (1.0, 4.0)
    assert summary.percentile([7.0], 0.99) == 7.0


def test_no_values_have_no_percentile() -> None:
    """Nothing measured is an error, never a zero."""
    with pytest.raises(ValueError, match="no values"):
        summary.percentile([], 0.5)


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "–"), ([1.234], "1.23"), ([3.0, 1.0, 20.0], "3.00 (1.00–20.0)"), ([136005.2], "136,005")],
)
def test_repeats_become_a_median_with_its_range(values: list[float], text: str) -> None:
    """One repeat has no range."""
    assert summary.with_range(values) == text


def test_a_ratio_is_of_medians_and_nothing_without_a_reference() -> None:
    """An outlier on either side does not move it."""
    assert summary.ratio([2.0, 4.0, 100.0], [2.0, 0.1, 2.0]) == "2.00"
    assert summary.ratio([2.0], []) == "–"


def test_a_table_has_a_line_for_each_row_and_columns_of_one_width() -> None:
    """Markdown that can be read as it stands."""
    lines = summary.table(("measured", "x"), [("a", "1"), ("longer name", "22")]).splitlines()
    assert lines == [
        "| measured    | x  |",
        "|-------------|----|",
        "| a           | 1  |",
        "| longer name | 22 |",
    ]


def test_the_measured_section_of_a_page_is_replaced_and_the_rest_stays() -> None:
    """Twice is as good as once, and a page without the section gets one at its end."""
    once = summary.between_markers("# Title\n\nWords.\n", "first")
    twice = summary.between_markers(once + "\nAfter.\n", "second")
    assert once.startswith("# Title\n\nWords.\n") and "first" in once
    assert "first" not in twice and "second" in twice and twice.endswith("\nAfter.\n")
    with pytest.raises(ValueError, match="no <!-- measured: end"):
        summary.between_markers("<!-- measured: begin -->\n", "x")


def test_a_script_survives_the_way_through_a_request() -> None:
    """The upstream reads from the body what the client wrote into the prompt."""
    script = Script(events=-1, together=200, gap_ms=7, one_chunk=1, name="cancel_calls.3")
    body = json.dumps({"messages": [{"role": "user", "content": script.prompt}]}).encode()
    assert read_script(body) == script
    assert read_script(b'{"messages": []}') is None


@pytest.mark.parametrize("one_chunk", [0, 1])
def test_a_group_of_events_is_framed_as_it_says(one_chunk: int) -> None:
    """Each event has the usual size and the moment of its sending; the lengths of the chunks are true."""
    data = Body().group(3, one_chunk, 1234)
    payload = b""
    chunks = 0
    while data:
        size, _, data = data.partition(b"\r\n")
        payload += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
        chunks += 1
    assert chunks == (1 if one_chunk else 3)
    events = payload.split(b"\n\n")[:-1]
    assert {len(event) + 2 for event in events} == {EVENT_BYTES}
    texts = [json.loads(event[6:])["choices"][0]["delta"]["content"] for event in events]
    assert stamps("".join(texts)) == [1234, 1234, 1234]


def test_a_piece_that_is_not_made_of_stamps_is_refused() -> None:
    """A lost or doubled byte ends the measurement."""
    with pytest.raises(ValueError, match="17 characters"):
        stamps("0" * 17)


def test_what_is_added_is_held_against_the_direct_way_of_the_same_repeat() -> None:
    """The first repeat of the one goes with the first of the other; a ratio compares what both add."""
    row = next(row for row in plan.ROWS if row.name == "first-token")
    numbers = {"gateway": [3.0, 2.0], "bare loop": [2.0, 1.5], "direct": [1.0, 1.0]}
    samples = {target: {"p50_ms": values, "p99_ms": values} for target, values in numbers.items()}
    _text, aim, gateway, reference, ratio, direct = plan.cells(row, samples)[0]
    assert (aim, gateway, reference) == ("≤ 0.9", "1.50 (1.00–2.00)", "0.75 (0.50–1.00)")
    assert (ratio, direct) == ("2.00", "1.00 (1.00–1.00)")


def test_every_row_has_a_name_of_its_own_and_something_to_show() -> None:
    """`--only` finds one row by its name."""
    names = [row.name for row in plan.ROWS]
    assert len(set(names)) == len(names)
    assert all(row.lines and row.starts for row in plan.ROWS)


def test_a_goal_is_met_by_its_number_and_by_nothing_else() -> None:
    """Below the limit, above it, beside another row, without the direct way, and not run at all."""
    samples = {
        "row": {"gateway": {"x": [3.0, 5.0, 4.0]}, "direct": {"x": [1.0, 1.0, 1.0]}},
        "other": {"gateway": {"x": [2.0]}},
    }
    goals = (
        Goal("at the limit", "row", "x", 4.0),
        Goal("above it", "row", "x", 3.9),
        Goal("added", "row", "x", 3.0, added=True),
        Goal("a ratio", "row", "x", 1.9, beside="other"),
        Goal("added to nothing", "other", "x", 9.0, added=True),
        Goal("not run", "nowhere", "x", 9.0),
    )
    assert [line[2:] for line in verdicts(samples, goals)] == [
        ["4.00", "met"],
        ["4.00", "**not met**"],
        ["3.00", "met"],
        ["2.00", "**not met**"],
        ["–", "not measured in this run"],
        ["–", "not measured in this run"],
    ]


def test_every_goal_names_a_number_that_is_measured() -> None:
    """A goal of a row that nobody runs would never be missed."""
    measured = {(row.name, line.number) for row in plan.ROWS for line in row.lines}
    assert {(goal.row, goal.number) for goal in GOALS} <= measured
    assert {goal.beside for goal in GOALS} <= {"", *(row.name for row in plan.ROWS)}


def test_the_guard_sees_growth_of_more_than_a_quarter() -> None:
    """A quarter is let pass, more is not; and the committed ratios are those of the things it measures."""
    recorded = {"a": 1.0, "b": 2.0}
    assert guard.grown({"a": 1.25, "b": 2.51}, recorded) == ["b"]
    assert set(json.loads(guard.RECORDED.read_text())) == {"paced event", "burst of 200", "plain call"}


def test_peers_stand_side_by_side_and_what_is_added_is_beside_the_direct_way() -> None:
    """A saturated one is called so, a missing number is a dash, and who has no number, or is direct, no column."""
    found = {
        "direct": Found("", {"first_p50_ms": [0.5, 0.5]}),
        "a": Found("1.0", {"first_p50_ms": [1.5, 2.5], "paced_100_cpu_us": [600.0], "paced_100_used": [0.99]}),
        "b": Found("2.0", {"idle_mib": [10.0]}),
        "c": Found("3.0"),
    }
    header, lines = rows(found)
    assert header == ["measured", "a 1.0", "b 2.0"]
    assert lines == [
        ["added to the first token, one stream, p50 (ms)", "1.50 (1.00–2.00)", "–"],
        ["CPU per event, 100 paced streams (µs)", "600 saturated", "–"],
        ["memory, idle (MiB)", "–", "10.0"],
    ]


def test_every_peer_is_pinned_and_can_be_started() -> None:
    """Bifrost alone has no version here: its module is asked for by name where Go is."""
    assert RECIPES.keys() == STARTS.keys()
    pins = {name: of_pin(guard.RECORDED, recipe.pin) for name, recipe in RECIPES.items()}
    assert pins["smg"] == "1.13.0" and pins["Portkey"] == "1.15.2" and pins["LiteLLM"] == "1.106.2"
