"""`Converse`: one coroutine reads what the caller sends, one task answers each turn, one writer sends frames."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.domain.call import Caller, Visitor
from gateway.domain.errors import CallerError, CallerLeft, GatewayError, Reason, invalid
from gateway.domain.events import Finish, Notice, NoticeKind, TurnEnd, TurnEvent
from gateway.domain.failure import TurnFailed
from gateway.domain.turn import Turn
from gateway.domain.usage import Usage
from gateway.pipeline import Pipeline
from gateway.pipeline.watch import Watch
from gateway.server import frames
from gateway.server.door import Context, Door, Malformed
from gateway.server.frames import TurnFrames, timestamp
from gateway.server.requests import read_turn
from gateway.server.running import Running, draining, overdue, revoked, too_old
from gateway.server.status import duration
from gateway.server.writer import FrameWriter
from gateway.v1 import inference_pb2

MAX_TURNS = 8
UNTOLD_TURNS = 2 * MAX_TURNS
UNNAMED = "default"
"""What a caller without a session is told its session is; naming it so means the same."""
GO_AWAY_AHEAD_S = 60.0
SESSION_ID_LENGTH = 128

ServerFrame = inference_pb2.ServerFrame


class Converse:
    """Opens conversations; what they share."""

    def __init__(
        self,
        *,
        door: Door,
        pipeline: Pipeline,
        running: Running,
        heartbeat_s: float,
        credential_notice_s: float,
        new_id: Callable[[], str],
        version: str,
    ) -> None:
        self.door = door
        self.pipeline = pipeline
        self.running = running
        self.heartbeat_s = heartbeat_s
        self.credential_notice_s = credential_notice_s
        self.new_id = new_id
        self.version = version

    async def converse(
        self,
        visitor: Visitor,
        requests: AsyncIterator[inference_pb2.ClientFrame | Malformed],
        context: Context,
    ) -> None:
        """Many turns on one stream, several at once; returns after the half-close, when all have ended."""
        async with FrameWriter(context, self.heartbeat_s, self.pipeline.client_stall_s) as writer:
            conversation = Conversation(self, visitor, writer)
            with self.running.conversation(conversation):
                await conversation.hold(requests)


class Conversation:
    """One stream and the turns on it."""

    def __init__(self, shared: Converse, visitor: Visitor, writer: FrameWriter) -> None:
        self._shared = shared
        self._visitor = visitor
        self._writer = writer
        self._watches: dict[str, Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unended = 0
        self._watch = Watch(visitor.call.deadline, overdue)
        self._frames_read = 0
        self._leaving = False
        self._half_closed = False
        self._last_word = draining
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def caller(self) -> Caller:
        """Who holds the stream, by the credential shown last."""
        return self._visitor.caller

    async def hold(self, requests: AsyncIterator[inference_pb2.ClientFrame | Malformed]) -> None:
        """Reads to the caller's half-close, then waits for the turns that are still running."""
        ahead = self._tell_ahead()
        self._watch_expiry()
        try:
            async with self._watch:
                async for request in requests:
                    await self._read(request)
                if not self._frames_read:
                    raise invalid("", "the stream ended before its first frame; send a turn")
                self._half_closed = True
                while self._tasks:
                    await asyncio.wait(self._tasks)
        finally:
            for timer in (ahead, self._expiry):
                if timer is not None:
                    timer.cancel()
            await self._end_turns()

    def _tell_ahead(self) -> asyncio.TimerHandle | None:
        """Says go away a minute before the stream ends; a caller with a shorter deadline chose that end itself."""
        loop = asyncio.get_running_loop()
        left_s = self._visitor.call.deadline - loop.time()
        return loop.call_later(left_s - GO_AWAY_AHEAD_S, self.go_away) if left_s > GO_AWAY_AHEAD_S else None

    def go_away(self) -> None:
        """Takes no more turns: tells the caller, and ends the stream once none is running."""
        if not self._leaving:
            self._leaving = True
            self._last_word = draining if self._shared.running.draining else too_old
            self._spawn(self._say_go_away())

    def revoke(self) -> None:
        """The credential was withdrawn: the stream ends with that once the ends of its turns are told."""
        self._leaving = True
        self._last_word = revoked
        self._stop_when_idle()

    def _watch_expiry(self) -> None:
        """Says that the credential expires, while there is time to send another one."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        expires_at = self._visitor.caller.expires_at
        if expires_at:
            left_s = expires_at - time.time()
            loop, ahead_s = asyncio.get_running_loop(), self._shared.credential_notice_s
            tell = partial(self._tell_expiry, expires_at)
            self._expiry = loop.call_later(max(0.0, left_s - ahead_s), tell)

    def _tell_expiry(self, expires_at: float) -> None:
        left_s = max(0, round(expires_at - time.time()))
        notice = Notice(
            NoticeKind.CREDENTIAL_EXPIRING,
            f"the credential expires in {left_s} s; send a new one as a credential frame to go on after that",
            {"expires_at": str(round(expires_at)), "seconds_left": str(left_s)},
        )
        self._spawn(self._writer.write(ServerFrame(notice=frames.notice(notice))))

    async def _say_go_away(self) -> None:
        left_s = self._visitor.call.deadline - asyncio.get_running_loop().time()
        reason = "draining" if self._shared.running.draining else "stream_age"
        frame = inference_pb2.GoAway(time_left=duration(left_s), reason=reason)
        await self._writer.write(ServerFrame(go_away=frame))
        self._stop_when_idle()

    def _stop_when_idle(self) -> None:
        # After the half-close the stream ends by itself, and well, once its turns have ended.
        if self._leaving and not self._half_closed and not (self._watches or self._unended):
            self._watch.stop(self._last_word())

    async def _read(self, request: inference_pb2.ClientFrame | Malformed) -> None:
        self._frames_read += 1
        if isinstance(request, Malformed):
            raise invalid("", f"frame {self._frames_read} is no valid ClientFrame")
        match request.WhichOneof("frame"):
            case "turn":
                await self._start(request.turn)
            case "cancel":
                self._cancel(request.cancel.turn_id)
            case "open":
                await self._open(request.open)
            case "credential":
                await self._swap_credential(request.credential.bearer)
            case "heartbeat":
                await self._writer.write(ServerFrame(heartbeat=request.heartbeat))
            case _:
                raise invalid("frame", f"frame {self._frames_read} is empty, or of an unknown kind")

    async def _open(self, opening: inference_pb2.Open) -> None:
        if self._frames_read > 1:
            raise CallerError(Reason.PROTOCOL_STATE, "open comes first on a stream, and once")
        if len(opening.session_id) > SESSION_ID_LENGTH or not opening.session_id.isprintable():
            raise invalid("open.session_id", f"use at most {SESSION_ID_LENGTH} printable characters")
        name = opening.session_id or UNNAMED
        call = replace(self._visitor.call, session_id="" if name == UNNAMED else name)
        self._visitor = replace(self._visitor, call=call)
        opened = inference_pb2.Opened(session_id=name, server_version=self._shared.version)
        expires = self._visitor.caller.expires_at
        if expires:
            opened.credential_expires.CopyFrom(timestamp(expires))
        await self._writer.write(ServerFrame(opened=opened))

    async def _swap_credential(self, bearer: str) -> None:
        caller = await self._shared.door.authenticate(bearer)
        before = self._visitor.caller
        if (caller.tenant, caller.subject) != (before.tenant, before.subject):
            raise CallerError(Reason.CREDENTIAL_MISMATCH, "a new credential is of another subject or tenant")
        self._visitor = replace(self._visitor, caller=caller)
        self._watch_expiry()

    def _cancel(self, turn_id: str) -> None:
        """An unknown id is a turn that has just ended: nothing to do."""
        for running_id, watch in tuple(self._watches.items()):
            if turn_id in ("", running_id):
                watch.stop(CallerError(Reason.CANCELLED, "cancelled by the caller"))

    async def _start(self, request: inference_pb2.Turn) -> None:
        """Starts a turn, or refuses it with a fault; a refusal under the id of a running turn has no `end`."""
        turn_id = request.turn_id or self._shared.new_id()
        call, caller = self._visitor.call, self._visitor.caller
        try:
            self._check_start(request, caller)
            visitor = replace(self._visitor, tenant=self._shared.door.permit(call.method, caller))
            turn = read_turn(request, turn_id)
        except GatewayError as error:
            for frame in self._refusal(turn_id, error, running=turn_id in self._watches):
                await self._writer.write(frame)
            return
        # A caller that reads no ends is not read from either: what waits to be told is bounded.
        while self._unended >= UNTOLD_TURNS:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._unended += 1
        watch = self._watches[turn.turn_id] = self._shared.running.watch(visitor)
        work = self._answer(turn, visitor, watch)
        self._spawn(self._shared.door.firewall(call.method, call.request_id, work))

    def _check_start(self, request: inference_pb2.Turn, caller: Caller) -> None:
        if self._leaving:
            raise self._last_word()
        if 0 < caller.expires_at <= time.time():
            raise CallerError(Reason.TOKEN_EXPIRED, "the credential has expired; send a credential frame")
        if request.turn_id and request.turn_id in self._watches:
            raise CallerError(Reason.TURN_IN_PROGRESS, "a turn of this id is running on this stream")
        if len(self._watches) >= MAX_TURNS:
            raise CallerError(Reason.PROTOCOL_STATE, f"{MAX_TURNS} turns are running; wait for one to end")

    async def _answer(self, turn: Turn, visitor: Visitor, watch: Watch) -> None:
        try:
            with self._shared.running.keep(watch, visitor.caller):
                try:
                    last = await self._run(turn, visitor, watch)
                finally:
                    # Whoever reads the end of a turn may use its place, and its id, at once.
                    del self._watches[turn.turn_id]
                for frame in last:
                    await self._writer.write(frame)
        finally:
            self._unended -= 1
        self._stop_when_idle()

    async def _run(self, turn: Turn, visitor: Visitor, watch: Watch) -> Sequence[ServerFrame]:
        """Answers a turn up to its last frames, which are still to be written."""
        shared, call = self._shared, visitor.call
        made = TurnFrames(turn.turn_id)

        async def emit(event: TurnEvent) -> None:
            await self._writer.write(made.frame(event))

        try:
            work = shared.pipeline.run(visitor, turn, emit, watch)
            return (made.frame(await shared.door.firewall(call.method, call.request_id, work)),)
        except TurnFailed as failed:
            if failed.error.reason is Reason.CLIENT_TOO_SLOW:
                # Nobody reads this stream: it ends, and with it whatever else runs on it.
                raise failed.error from failed
            end = made.frame(failed.end)
            is_wanted = failed.error.reason is Reason.CANCELLED
            return (end,) if is_wanted else (made.fault(failed.error, failed.billed), end)
        except GatewayError as error:
            return self._refusal(turn.turn_id, error, running=False)

    def _refusal(self, turn_id: str, error: GatewayError, *, running: bool) -> Sequence[ServerFrame]:
        self._shared.door.refused(self._visitor.call.method, self._visitor.tenant.name, error)
        made = TurnFrames(turn_id)
        fault = made.fault(error, billed=False)
        return (fault,) if running else (fault, made.frame(TurnEnd(Finish.ERROR, Usage(), receipt_id="")))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, CallerLeft):
            self._watch.stop(CallerError(Reason.CANCELLED, "the caller left"))
        elif isinstance(error, GatewayError):
            self._watch.stop(error)

    async def _end_turns(self) -> None:
        """Whatever ended the stream ends its turns, each with its receipt."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
