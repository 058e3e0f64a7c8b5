"""A load client, a process of its own: `python -m tests.bench.load JOB` with a job in JSON.

It prints `open` when every stream has its first event, and its result as one line of JSON at the end.
"""

import asyncio
import hashlib
import json
import sys
from dataclasses import dataclass, field, replace
from statistics import fmean

import uvloop

from tests.bench.callers import Caller, GrpcCaller, SseCaller, now_us
from tests.bench.leaving import cancel_calls, cancel_turns
from tests.bench.script import STAMP_DIGITS, Script, stamps
from tests.bench.summary import percentile

SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to do: `hold` opens `streams` streams together, `loop` lets so many workers make `calls` calls,

    `whole` does that with whole answers, `cancel_calls` and `cancel_turns` leave `calls` streams early.
    """

    act: str
    speaks: str
    address: str
    credential: str
    script: dict[str, int | str]
    streams: int = 1
    calls: int = 1
    ramp_ms: float = 1.0
    path: str = ""
    model: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    per_channel: int = 60


@dataclass(slots=True)
class Heard:
    """What came, and when: microseconds."""

    delays: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    events: int = 0
    frames: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    moments: dict[str, int] = field(default_factory=dict)

    def result(self, calls: int) -> dict[str, object]:
        """The result of the job; times in milliseconds."""
        found: dict[str, object] = {"calls": calls, "events": self.events, "failures": self.failures[:5]}
        for name, values in (("delay", self.delays), ("first", self.first)):
            if values:
                found[f"{name}_p50_ms"] = percentile(values, 0.5) / 1000
                found[f"{name}_p99_ms"] = percentile(values, 0.99) / 1000
                found[f"{name}_mean_ms"] = fmean(values) / 1000
                found[f"{name}_max_ms"] = max(values) / 1000
        return {**found, "frames": self.frames, "moments": self.moments, "digests": self.digests}


class Load:
    """Does one job."""

    def __init__(self, job: Job, caller: Caller) -> None:
        self._job = job
        self._caller = caller
        self._script = Script(**job.script)  # type: ignore[arg-type]  # the fields of a script, by name
        self._heard = Heard()
        self._opened = 0
        # Of streams that are held together only their middle is timed, when all are open and none has ended.
        self._timing = job.act != "hold"

    async def run(self) -> dict[str, object]:
        """The result."""
        job, caller = self._job, self._caller
        match job.act:
            case "hold":
                await asyncio.gather(*(self._after(i) for i in range(job.streams)))
            case "loop" | "whole":
                share = job.calls // job.streams
                await asyncio.gather(*(self._calls(share) for _ in range(job.streams)))
            case "cancel_calls" if isinstance(caller, GrpcCaller):
                self._heard.moments = await cancel_calls(caller, self._script, job.calls)
            case "cancel_turns" if isinstance(caller, GrpcCaller):
                self._heard.moments = await cancel_turns(caller, self._script, job.calls)
            case _:
                raise ValueError(f"a client that speaks {job.speaks} cannot {job.act}")
        return self._heard.result(job.calls if job.act != "hold" else job.streams)

    async def _after(self, i: int) -> None:
        await asyncio.sleep(i * self._job.ramp_ms / 1000)
        name = self._script.name
        await self._stream(replace(self._script, name=f"{name}.{i}") if name else self._script)

    async def _calls(self, count: int) -> None:
        for _ in range(count):
            await (self._stream(self._script) if self._job.act == "loop" else self._whole())

    async def _whole(self) -> None:
        begun = now_us()
        await self._caller.whole(self._script.prompt)
        self._heard.first.append(now_us() - begun)

    async def _stream(self, script: Script) -> None:
        heard = self._heard
        begun, events, before = now_us(), 0, 0
        digest = hashlib.sha256()

        def hear(now: int, text: str) -> None:
            nonlocal events, before
            if not events:
                heard.first.append(now - begun)
                self._note_open()
            sent = stamps(text) if script.together == 1 else [int(text[:STAMP_DIGITS])]
            if sent[0] < before:
                heard.failures.append("events out of order")
            before = sent[-1]
            if self._timing:
                heard.delays.extend(now - moment for moment in sent)
            events += len(text) // STAMP_DIGITS
            heard.frames += 1
            if script.name:
                digest.update(text.encode())

        await self._caller.stream(script.prompt, hear)
        self._timing = self._job.act != "hold"
        if events != script.events:
            heard.failures.append(f"{events} of {script.events} events")
        heard.events += events
        if script.name:
            heard.digests[script.name] = digest.hexdigest()

    def _note_open(self) -> None:
        self._opened += 1
        if self._opened == self._job.streams and self._job.act == "hold":
            print("open", flush=True)
            asyncio.get_running_loop().call_later(SETTLE_S, self._begin_timing)

    def _begin_timing(self) -> None:
        self._timing = True


async def main(text: str) -> None:
    """Does the job and prints its result."""
    job = Job(**json.loads(text))
    caller: Caller
    if job.speaks == "grpc":
        caller = GrpcCaller(job.address, job.credential, -(-job.streams // job.per_channel))
    else:
        caller = SseCaller(job.address, job.credential, job.path, job.model, job.headers)
    try:
        result = await Load(job, caller).run()
    finally:
        await caller.aclose()
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
