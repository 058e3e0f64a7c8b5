"""The one watch: what interrupts a turn, what it turns into, and what passes through untouched."""

import asyncio

import pytest

from gateway.domain.errors import CallerError, GatewayError, Reason
from gateway.pipeline.watch import Watch

FOREVER_S = 3600.0


def overdue() -> GatewayError:
    return CallerError(Reason.DEADLINE, "overdue")


def silent() -> GatewayError:
    return GatewayError(Reason.UPSTREAM_UNAVAILABLE, "silent")


def cancelled() -> GatewayError:
    return CallerError(Reason.CANCELLED, "cancelled")


async def wait() -> None:
    await asyncio.sleep(FOREVER_S)


async def test_the_total_time_ends_a_turn_that_waits() -> None:
    """Whatever the turn waits for, its own end comes first."""
    with pytest.raises(CallerError) as caught:
        async with Watch(asyncio.get_running_loop().time() + 0.01, overdue) as watch:
            watch.expect(FOREVER_S, silent)
            await wait()
    assert caught.value.reason is Reason.DEADLINE


async def test_what_is_expected_and_does_not_come_ends_the_turn_with_its_own_error() -> None:
    """The error is the one of the wait that ran out."""
    with pytest.raises(GatewayError) as caught:
        async with Watch() as watch:
            watch.expect(0.01, silent)
            await wait()
    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def test_a_new_expectation_may_lie_before_the_old_one() -> None:
    """After two minutes for a first token, thirty seconds of silence must not wait for the two minutes."""
    with pytest.raises(GatewayError):
        async with Watch() as watch:
            watch.expect(FOREVER_S, overdue)
            watch.expect(0.01, silent)
            await wait()
    assert watch.stopped is not None
    assert watch.stopped.reason is Reason.UPSTREAM_UNAVAILABLE


async def test_each_event_moves_the_moment_on() -> None:
    """A timer that fires too early is set again for the rest."""
    async with Watch() as watch:
        for _ in range(5):
            watch.expect(0.05, silent)
            await asyncio.sleep(0.02)
    assert watch.stopped is None


async def test_nothing_is_expected_while_paused() -> None:
    """A slow caller is not a silent upstream."""
    async with Watch() as watch:
        watch.expect(0.01, silent)
        watch.pause()
        await asyncio.sleep(0.05)
    assert watch.stopped is None


async def test_a_shorter_total_counts_from_now_and_a_longer_one_changes_nothing() -> None:
    """A turn's own timeout can only shorten what the call has left."""
    with pytest.raises(CallerError):
        async with Watch(asyncio.get_running_loop().time() + 0.02, overdue) as watch:
            watch.shorten(FOREVER_S)
            await wait()
    with pytest.raises(CallerError):
        async with Watch(asyncio.get_running_loop().time() + FOREVER_S, overdue) as watch:
            watch.shorten(0.01)
            await wait()


async def test_the_first_cause_wins() -> None:
    """A drain after a cancel does not change why the turn ended."""
    with pytest.raises(GatewayError) as caught:
        async with Watch() as watch:
            watch.stop(cancelled())
            watch.stop(silent())
            await wait()
    assert caught.value.reason is Reason.CANCELLED


async def test_a_turn_stopped_before_it_began_never_runs() -> None:
    """A cancel may overtake the turn it means."""
    watch = Watch()
    watch.stop(cancelled())
    with pytest.raises(CallerError):
        async with watch:
            pytest.fail("the turn ran")


async def test_a_cancellation_from_elsewhere_passes_through() -> None:
    """The caller left: that is not the watch's to translate."""

    async def turn() -> None:
        async with Watch():
            await wait()

    task = asyncio.get_running_loop().create_task(turn())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_caller_who_leaves_while_the_watch_interrupts_has_left() -> None:
    """Two cancellations at once: the one from outside stands."""

    async def turn() -> None:
        async with Watch() as watch:
            watches.append(watch)
            await wait()

    watches: list[Watch] = []
    task = asyncio.get_running_loop().create_task(turn())
    await asyncio.sleep(0)
    watches[0].stop(silent())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_inner_watch_ends_its_own_part_only() -> None:
    """An upstream that fails in time can still be replaced: the turn around it goes on."""
    async with Watch() as outer:
        with pytest.raises(GatewayError):
            async with Watch() as inner:
                inner.expect(0.01, silent)
                await wait()
        await asyncio.sleep(0)
    assert outer.stopped is None


async def test_clean_up_that_fails_does_not_hide_the_cause() -> None:
    """Whatever closing the upstream raised, the caller hears why the turn ended."""
    with pytest.raises(CallerError) as caught:
        async with Watch() as watch:
            watch.stop(cancelled())
            try:
                await wait()
            finally:
                raise OSError("the socket was gone")
    assert caught.value.reason is Reason.CANCELLED


async def test_leaving_in_time_leaves_no_timer_behind() -> None:
    """Nothing fires into a task that has moved on."""
    async with Watch(asyncio.get_running_loop().time() + 0.02, overdue):
        pass
    await asyncio.sleep(0.05)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
