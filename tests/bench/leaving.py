"""Callers who leave early: when did they, so that the upstream can say how much later its connection closed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

from gateway.v1 import inference_pb2
from tests.bench.callers import GrpcCaller, now_us
from tests.bench.script import Script

FRAMES_BEFORE = 5


class _Frames(Protocol):
    def __aiter__(self) -> AsyncIterator[inference_pb2.ServerFrame]: ...


async def cancel_calls(caller: GrpcCaller, script: Script, calls: int) -> dict[str, int]:
    """Cancels the call itself after a few frames; the moment of each, by the name of its stream."""
    moments = {}
    for i in range(calls):
        name = f"{script.name}.{i}"
        call = caller.generate(replace(script, name=name).prompt)
        await _some_frames(call)
        moments[name] = now_us()
        call.cancel()
        await asyncio.sleep(0.03)
    return moments


async def cancel_turns(caller: GrpcCaller, script: Script, calls: int) -> dict[str, int]:
    """Cancels one turn after the other on a conversation that goes on."""
    moments = {}
    call = caller.converse()
    for i in range(calls):
        name = f"{script.name}.{i}"
        turn = caller.turn(replace(script, name=name).prompt)
        await call.write(inference_pb2.ClientFrame(turn=turn))
        await _some_frames(call)
        moments[name] = now_us()
        await call.write(inference_pb2.ClientFrame(cancel=inference_pb2.Cancel()))
        async for frame in call:
            if frame.WhichOneof("frame") == "end":
                break
    await call.done_writing()
    call.cancel()
    return moments


async def _some_frames(call: _Frames) -> None:
    left = FRAMES_BEFORE
    async for frame in call:
        left -= frame.WhichOneof("frame") == "delta"
        if left <= 0:
            return
