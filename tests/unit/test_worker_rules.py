"""What the parent of several workers decides: where connections go, when to start again, what pages say."""

import random
import struct
from collections.abc import Sequence

import pytest

from gateway.workers.backoff import MOST_S, SOUND_S, Backoff
from gateway.workers.pages import Standing, merged, own_page, without_gauges
from gateway.workers.steering import aimed, program, removed

NETWORK = 0xFFF00000
IPV4, IPV6 = 0x45, 0x60
COUNTER = "# HELP calls_total Calls\n# TYPE calls_total counter\n"
GAUGE = "# HELP active Calls now\n# TYPE active gauge\n"
USABLE = "# HELP upstream_usable A state\n# TYPE upstream_usable gauge\n"
LEVEL = "# HELP load_level A state\n# TYPE load_level gauge\n"


def run(code: bytes, version: int, port: int) -> int:
    """What the kernel's machine makes of a program and a packet from this source port (linux/filter.h)."""
    header = {NETWORK: version, NETWORK + (40 if version == IPV6 else 20): port}
    instructions = [struct.unpack_from("HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator, place = 0, 0
    while True:
        operation, jump_true, jump_false, constant = instructions[place]
        place += 1
        match operation:
            case 0x30 | 0x28:
                accumulator = header[constant]
            case 0x54:
                accumulator &= constant
            case 0x74:
                accumulator >>= constant
            case 0x34:
                accumulator //= constant
            case 0x94:
                accumulator %= constant
            case 0x05:
                place += constant
            case 0x15:
                place += jump_true if accumulator == constant else jump_false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"the kernel knows no instruction {operation:#x}")


@pytest.mark.parametrize("version", [IPV4, IPV6])
@pytest.mark.parametrize("places", [[0], [1], [0, 1], [2, 0, 5], list(range(16))])
def test_a_program_chooses_among_its_places_and_uses_all_of_them(version: int, places: Sequence[int]) -> None:
    """Whatever the port, and nothing else."""
    chosen = {run(program(places), version, port) for port in range(1024, 65_536, 2)}
    assert chosen == set(places)


def test_the_next_connection_goes_where_there_are_the_fewest() -> None:
    """To one of them; in a rush to anybody, and with hundreds a few more make no difference."""
    assert aimed([3, 1, 2, 1]) == [1, 3]
    assert aimed([3, 1, 2, 1], in_a_rush=True) == [0, 1, 2, 3]
    assert aimed([0, 0]) == [0, 1]
    assert aimed([105, 100, 120]) == [0, 1]


@pytest.mark.parametrize("workers", [2, 3, 4, 8])
def test_connections_that_come_one_by_one_are_split_evenly(workers: int) -> None:
    """The difference is one connection, or a tenth where there are many, whoever is picked among equals."""
    chance, counts = random.Random(workers), [0] * workers
    for _ in range(64):
        place = run(program(aimed(counts)), IPV4, chance.randrange(32_768, 61_000))
        counts[place] += 1
        assert max(counts) - min(counts) <= 1 + sum(counts) // workers // 10


def test_a_successor_is_filled_first() -> None:
    """Whoever was cut off comes back to the worker that has nobody."""
    counts = [7, 0, 7]
    for port in range(33_000, 33_014, 2):
        counts[run(program(aimed(counts)), IPV4, port)] += 1
    assert counts == [7, 7, 7]


def test_a_gap_in_the_group_is_closed_by_its_last_member() -> None:
    """As the kernel does it."""
    assert removed([1, 2, 3, 4], 2) == [1, 4, 3]
    assert removed([1, 2, 3], 3) == [1, 2]
    assert removed([1], 1) == []


def test_a_first_death_is_followed_by_a_start_at_once_and_a_storm_is_braked() -> None:
    """Up to half a minute, until a worker has lived for a minute."""
    backoff, delays = Backoff(), []
    for _ in range(12):
        backoff = backoff.died(lived_s=0.3)
        delays.append(backoff.delay_s)
    assert delays[:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert delays == sorted(delays)
    assert delays[-1] == MOST_S
    assert backoff.died(lived_s=SOUND_S).delay_s == 0.0


def test_pages_are_added_up_series_by_series() -> None:
    """Those that only one worker has are kept; help and type are said once."""
    one = COUNTER + 'calls_total{m="a"} 2.0\ncalls_total{m="b"} 1.0\n' + GAUGE + "active 1.0\n"
    two = COUNTER + 'calls_total{m="a"} 3.0\n' + GAUGE + "active 4.0\n"
    assert (
        merged([one, two]) == COUNTER + 'calls_total{m="a"} 5.0\ncalls_total{m="b"} 1.0\n' + GAUGE + "active 5.0\n"
    )


def test_a_state_is_the_highest_of_all() -> None:
    """Levels cannot be added."""
    assert merged([LEVEL + "load_level 1.0\n", LEVEL + "load_level 2.0\n", LEVEL + "load_level 0.0\n"]) == (
        LEVEL + "load_level 2.0\n"
    )
    usable = [USABLE + f"upstream_usable {value}\n" for value in (1.0, 0.5, 1.0)]
    assert merged(usable) == usable[1]


def test_what_a_dead_worker_counted_stays_and_what_it_had_is_gone() -> None:
    """So that no counter goes back."""
    page = COUNTER + 'calls_total{m="a b"} 2.0\n' + GAUGE + "active 1.0\n"
    assert without_gauges(page) == COUNTER + 'calls_total{m="a b"} 2.0\n'


def test_a_worker_without_a_page_changes_nothing() -> None:
    """One that has just started has not said anything."""
    assert merged(["", COUNTER + "calls_total 1.0\n", ""]) == COUNTER + "calls_total 1.0\n"
    assert merged([]) == ""


def test_the_parents_own_page_is_one_that_can_be_merged() -> None:
    """Its lines have the form of all others."""
    page = own_page([Standing("1", 10, 3), Standing("2", 20, 4)], serving=2, restarts=5)
    assert merged([page]) == page
    assert 'gateway_worker_connections{worker="2"} 4.0' in page
