"""The reading process: one document wastes nobody's time or memory but its own."""

import asyncio
import gzip
import os
import signal
import zlib
from collections.abc import AsyncIterator

import psutil
import pytest

from gateway.search.outline import UnreadableFileError
from gateway.search.reader import DocumentReader
from tests.support.tiny_pdf import tiny_pdf

PAGE = b"<html><body><p>The harbour crane lifts boxes from ships.</p></body></html>"


@pytest.fixture
async def reader() -> AsyncIterator[DocumentReader]:
    """One reader; no process of it is left behind."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    async with DocumentReader(processes=1) as made:
        yield made
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []


def workers() -> list[psutil.Process]:
    """The reading processes that run now."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "gateway.search.reader_worker" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def flate_bomb(size: int) -> bytes:
    """A PDF whose one stream unpacks to `size` bytes."""
    stream = zlib.compress(b"BT " + b"(x) Tj " * (size // 7) + b"ET")
    plain = tiny_pdf("x")
    start, end = plain.index(b"<< /Length", plain.index(b"/Contents")), plain.index(b"endstream")
    packed = b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\n" % (len(stream), stream)
    return plain[:start] + packed + plain[end:]


async def test_documents_are_read_one_after_the_other_by_one_process(reader: DocumentReader) -> None:
    """A start of Python is paid once; the process has no environment."""
    for _ in range(3):
        assert "harbour crane" in (await reader.read(PAGE)).text
    (process,) = workers()
    assert "PATH" not in process.environ()
    assert (await reader.read(tiny_pdf("A page of text."))).pages == 1
    assert workers() == [process]


async def test_a_document_that_takes_too_long_is_given_up_and_its_process_killed(reader: DocumentReader) -> None:
    """The next one gets a new process."""
    await reader.read(PAGE)
    (first,) = workers()
    first.send_signal(signal.SIGSTOP)
    with pytest.raises(UnreadableFileError, match="too long"):
        await reader.read(PAGE, time_s=0.05)
    assert not first.is_running()
    assert "harbour crane" in (await reader.read(PAGE)).text


async def test_a_process_that_dies_is_replaced(reader: DocumentReader) -> None:
    """While it waits, or while it reads."""
    await reader.read(PAGE)
    (first,) = workers()
    os.kill(first.pid, signal.SIGKILL)
    first.wait(5)
    for _ in range(2):  # whether its death was noticed in time or not
        try:
            assert (await reader.read(PAGE)).text
        except UnreadableFileError:
            continue
    assert (await reader.read(PAGE)).text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(flate_bomb(400_000_000), id="flate"),
        pytest.param(b"<div>" * 15_000 + PAGE, id="deep"),
        pytest.param(b"<table>" + b"<tr><td>" * 200_000, id="table", marks=pytest.mark.full),
        pytest.param(b"<p>" + b"&#x41;" * 150_000, id="entities"),
        pytest.param(b"<" * 900_000, id="brackets", marks=pytest.mark.full),
        pytest.param(b"<!--" * 200_000, id="comments", marks=pytest.mark.full),
        pytest.param(b"<style>" + b"a{" * 100_000 + b"</style>" + PAGE, id="style", marks=pytest.mark.full),
        pytest.param(b"%PDF-1.4\n" + os.urandom(50_000), id="noise"),
        pytest.param(gzip.compress(b"x" * 1_000_000), id="gzip", marks=pytest.mark.full),
    ],
)
async def test_a_hostile_document_leaves_the_reader_usable(reader: DocumentReader, content: bytes) -> None:
    """It is read or refused, within its time; the next honest one is read."""
    try:
        await reader.read(content, time_s=1.0)
    except UnreadableFileError as error:
        assert "Traceback" not in str(error)
    assert "harbour crane" in (await reader.read(PAGE, time_s=5.0)).text


async def test_memory_has_a_hard_limit() -> None:
    """Under a limit that Python alone nearly needs, a large document is refused and not swapped for."""
    async with DocumentReader(processes=1, memory_bytes=160 * 1024 * 1024) as small:
        with pytest.raises(UnreadableFileError):
            await small.read(b"<p>" + b"word " * 20_000_000, time_s=20.0)


async def test_a_caller_who_leaves_takes_the_reading_along(reader: DocumentReader) -> None:
    """The process is killed, for half a reply would be the next caller's."""
    await reader.read(PAGE)
    (first,) = workers()
    first.send_signal(signal.SIGSTOP)
    reading = asyncio.create_task(reader.read(PAGE, time_s=30.0))
    await asyncio.sleep(0.02)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert "harbour crane" in (await reader.read(PAGE)).text


async def test_a_closed_reader_refuses(reader: DocumentReader) -> None:
    """And closing twice is closing once."""
    reader.warm()
    await reader.aclose()
    await reader.aclose()
    with pytest.raises(UnreadableFileError, match="stopping"):
        await reader.read(PAGE)
