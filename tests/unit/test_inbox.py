"""Handing work from an event loop to a thread: in order, together, and never forgotten."""

import asyncio
import threading

import pytest

from gateway.inbox import Inbox


class Reader:
    """A thread that takes until it is handed None."""

    def __init__(self, inbox: Inbox[int | None], most: int = 100) -> None:
        self.taken: list[list[int | None]] = []
        self._inbox = inbox
        self._most = most
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            group = self._inbox.take(self._most)
            self.taken.append(group)
            if group[-1] is None:
                return

    async def ended(self) -> list[list[int | None]]:
        """What was taken, once the thread has ended."""
        await asyncio.to_thread(self.thread.join, 10)
        assert not self.thread.is_alive()
        return self.taken


@pytest.fixture
async def inbox() -> "Inbox[int | None]":
    """An empty inbox of the running loop."""
    return Inbox(asyncio.get_running_loop())


async def test_what_has_come_by_the_time_the_thread_looks_is_taken_together(inbox: "Inbox[int | None]") -> None:
    """A thread that was busy finds all of it at once."""
    for number in range(5):
        inbox.put(number)
    inbox.put(None)
    assert await Reader(inbox).ended() == [[0, 1, 2, 3, 4, None]]


async def test_everything_arrives_in_order_however_it_is_handed_over(inbox: "Inbox[int | None]") -> None:
    """One by one, with turns of the loop between, while the thread is at work."""
    reader = Reader(inbox)
    for number in range(2000):
        inbox.put(number)
        if number % 3 == 0:
            await asyncio.sleep(0)
    inbox.put(None)
    taken = [item for group in await reader.ended() for item in group]
    assert taken == [*range(2000), None]


async def test_no_more_than_asked_for_is_taken_and_the_rest_is_not_forgotten(inbox: "Inbox[int | None]") -> None:
    """A group has a bound, and what is over it needs no other waking."""
    for number in range(5):
        inbox.put(number)
    inbox.put(None)
    assert await Reader(inbox, most=2).ended() == [[0, 1], [2, 3], [4, None]]


async def test_what_cannot_wait_for_the_end_of_the_turn_is_flushed(inbox: "Inbox[int | None]") -> None:
    """The thread sees it although the loop is held up."""
    reader = Reader(inbox)
    inbox.put(None)
    inbox.flush()
    reader.thread.join(10)
    assert reader.taken == [[None]]


async def test_a_thread_that_waits_for_a_while_gets_nothing_when_nothing_comes(inbox: "Inbox[int | None]") -> None:
    """And what comes later is there for its next look."""
    assert await asyncio.to_thread(inbox.take, 10, 0.001) == []
    inbox.put(7)
    assert await asyncio.to_thread(inbox.take, 10, 60.0) == [7]
