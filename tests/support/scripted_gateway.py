"""A gateway that says what a test tells it to: the real stubs, on a free port, in the test's own loop."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import deepseek_pb2
import deepseek_pb2_grpc
from gateway.v1 import (
    account_pb2,
    account_pb2_grpc,
    content_pb2,
    inference_pb2,
    inference_pb2_grpc,
    search_pb2_grpc,
)

Context = Any  # the stubs' own context type is private to each of them
Step = Any  # a message to send, a `Refusal`, or a coroutine function of the context


@dataclass
class SeenCall:
    """One call as the server saw it; `left` is set when the caller cancelled it or went away."""

    method: str
    request: Any
    metadata: dict[str, str]
    time_remaining_s: float
    left: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Refusal:
    """A status, with `google.rpc` details when it has a reason."""

    code: grpc.StatusCode
    message: str = "no"
    reason: str = ""
    retryable: bool = False
    retry_after_s: float | None = None
    facts: dict[str, str] = field(default_factory=dict)
    fields: tuple[tuple[str, str], ...] = ()
    quotas: tuple[tuple[str, str], ...] = ()
    pushback_ms: str | None = None

    def trailing(self) -> tuple[tuple[str, str | bytes], ...]:
        """The trailing metadata that the gateway would send."""
        pairs: list[tuple[str, str | bytes]] = []
        if self.reason:
            pairs.append(("grpc-status-details-bin", self._status().SerializeToString()))
        if self.pushback_ms is not None:
            pairs.append(("grpc-retry-pushback-ms", self.pushback_ms))
        return tuple(pairs)

    def _status(self) -> status_pb2.Status:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        metadata = {"retryable": str(self.retryable).lower(), **self.facts}
        details: list[Any] = [
            error_details_pb2.ErrorInfo(reason=self.reason, domain="gateway.v1", metadata=metadata)
        ]
        if self.retry_after_s is not None:
            delay = duration_pb2.Duration()
            delay.FromNanoseconds(int(self.retry_after_s * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if self.fields:
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in self.fields
                    ]
                )
            )
        if self.quotas:
            details.append(
                error_details_pb2.QuotaFailure(
                    violations=[
                        error_details_pb2.QuotaFailure.Violation(subject=s, description=d) for s, d in self.quotas
                    ]
                )
            )
        for detail in details:
            status.details.add().Pack(detail)
        return status


def unavailable(**changes: Any) -> Refusal:
    """A refusal that a client may retry."""
    return Refusal(**{"code": grpc.StatusCode.UNAVAILABLE, "reason": "OVERLOADED", "retryable": True, **changes})


async def forever(context: Context) -> None:
    """A step that never ends by itself."""
    await asyncio.Event().wait()


class ScriptedGateway(
    inference_pb2_grpc.InferenceServicer,
    search_pb2_grpc.SearchServicer,
    account_pb2_grpc.AccountServicer,
    deepseek_pb2_grpc.DeepSeekServicer,
):
    """Each call takes the next script of its method and plays its steps.

    `converse` is the coroutine that plays a whole `Converse` stream. `calls` lists what came.
    """

    def __init__(self) -> None:
        self.calls: list[SeenCall] = []
        self.converse: Callable[[AsyncIterator[inference_pb2.ClientFrame], Context], Awaitable[None]] | None = None
        self.trailing: tuple[tuple[str, str | bytes], ...] = ()
        self.target = ""
        self._scripts: dict[str, deque[list[Step]]] = {}

    def script(self, method: str, *steps: Step) -> None:
        """What the next call of this method that has no script yet will do."""
        self._scripts.setdefault(method, deque()).append(list(steps))

    async def Generate(self, request: Any, context: Context) -> None:  # noqa: N802 - the method's name on the wire
        await self._play("Generate", request, context)

    async def Complete(self, request: Any, context: Context) -> Any:  # noqa: N802
        return await self._play("Complete", request, context)

    async def ListModels(self, request: Any, context: Context) -> Any:  # noqa: N802
        return await self._play("ListModels", request, context)

    async def Query(self, request: Any, context: Context) -> Any:  # noqa: N802
        return await self._play("Query", request, context)

    async def Extract(self, request: Any, context: Context) -> Any:  # noqa: N802
        return await self._play("Extract", request, context)

    async def GetLimits(self, request: Any, context: Context) -> Any:  # noqa: N802
        return await self._play("GetLimits", request, context)

    async def GetReceipt(self, request: Any, context: Context) -> Any:  # noqa: N802
        return await self._play("GetReceipt", request, context)

    async def StreamPredict(self, request: Any, context: Context) -> None:  # noqa: N802
        await self._play("StreamPredict", request, context)

    async def Converse(self, request_iterator: Any, context: Context) -> None:  # noqa: N802
        seen = self._see("Converse", None, context)
        try:
            assert self.converse is not None
            await self.converse(request_iterator, context)
        except asyncio.CancelledError:
            seen.left.set()
            raise

    async def _play(self, method: str, request: Any, context: Context) -> Any:
        seen = self._see(method, request, context)
        streams = method in ("Generate", "StreamPredict")
        try:
            for step in self._scripts[method].popleft():
                if isinstance(step, Refusal):
                    await context.abort(step.code, step.message, step.trailing())
                elif callable(step):
                    await step(context)
                elif streams:
                    await context.write(step)
                else:
                    return step
            context.set_trailing_metadata(self.trailing)
        except asyncio.CancelledError:
            seen.left.set()
            raise
        return None

    def _see(self, method: str, request: Any, context: Context) -> SeenCall:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        seen = SeenCall(method, request, metadata, context.time_remaining())
        self.calls.append(seen)
        return seen


@asynccontextmanager
async def scripted_gateway(gateway: ScriptedGateway | None = None) -> AsyncIterator[ScriptedGateway]:
    """A running scripted gateway; `target` says where."""
    gateway = gateway or ScriptedGateway()
    server = grpc.aio.server()
    inference_pb2_grpc.add_InferenceServicer_to_server(gateway, server)
    search_pb2_grpc.add_SearchServicer_to_server(gateway, server)
    account_pb2_grpc.add_AccountServicer_to_server(gateway, server)
    deepseek_pb2_grpc.add_DeepSeekServicer_to_server(gateway, server)
    # The client looks at the health of a server before it calls it.
    standing = health.aio.HealthServicer()
    await standing.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(standing, server)
    gateway.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield gateway
    finally:
        await server.stop(0)


def frames_of(*kinds: Any, turn_id: str = "t1") -> list[inference_pb2.ServerFrame]:
    """Server frames with seq 1, 2, 3…, each kind in the field that its type belongs to."""
    return [_frame(seq, kind, turn_id) for seq, kind in enumerate(kinds, 1)]


def text(words: str, offset: int = 0) -> inference_pb2.Delta:
    """A delta of answer text."""
    return inference_pb2.Delta(text=words, offset=offset, events=1)


def ended(finish: Any = inference_pb2.FINISH_STOP, receipt_id: str = "r1") -> inference_pb2.TurnEnd:
    """An end with a receipt and a usage."""
    usage = content_pb2.Usage(prompt_tokens=9, completion_tokens=4, cost_nano_usd=12_000)
    return inference_pb2.TurnEnd(
        finish=finish, usage=usage, receipt_id=receipt_id, model="deepseek-flash", served_by="deepseek"
    )


def _frame(seq: int, kind: Any, turn_id: str) -> inference_pb2.ServerFrame:
    frame = inference_pb2.ServerFrame(seq=seq, turn_id=turn_id)
    fields = {f.message_type.full_name: f.name for f in frame.DESCRIPTOR.fields if f.message_type is not None}
    getattr(frame, fields[kind.DESCRIPTOR.full_name]).CopyFrom(kind)
    return frame


LIMITS = account_pb2.Limits(allowances=[account_pb2.Allowance(dimension="requests_per_minute", limit=600)])
RESPONSES = [deepseek_pb2.ModelResponse(text=word) for word in ("Hel", "lo")]
