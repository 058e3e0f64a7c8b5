"""One event loop on one thread, for programs that have none."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")
Work = Coroutine[Any, Any, R]  # Any: what a coroutine exchanges with its loop concerns nobody else


class LoopThread:
    """`start` it, `run` coroutines on it, `close` it. Its thread never keeps a program from ending."""

    def __init__(self) -> None:
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._main, name="gateway-client", daemon=True)

    def start(self) -> None:
        """Starts the thread and waits for its loop."""
        self._thread.start()
        self._started.result()

    def run(self, work: Work[R]) -> R:
        """What the coroutine returns or raises there; it is cancelled when waiting for it is interrupted."""
        if not self._thread.is_alive():
            work.close()
            raise RuntimeError("use `with` around the client: that starts its thread")
        loop, _ = self._started.result()
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Ends the loop, with whatever still runs on it, and then the thread."""
        loop, stop = self._started.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        stop = asyncio.Event()
        self._started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
