"""The gRPC server itself: its options, its port and TLS, health, reflection, and an orderly end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from gateway.domain.call import Visitor
from gateway.domain.errors import OperatorError, Reason, invalid
from gateway.sections import Grpc
from gateway.server.door import Context, Door, Handler, Malformed, OpenHandler
from gateway.server.health import Health
from gateway.server.port import obstacle
from gateway.server.running import Running
from gateway.server.tls import ServerCertificate

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
HEALTH = "grpc.health.v1.Health"
LIST_REQUEST: type[Message] = health_pb2.HealthListRequest  # type: ignore[attr-defined]  # untyped
SERIALIZE = methodcaller("SerializeToString")
STOP_AHEAD_S = 2.0
LOOK_AGAIN_S = 0.05
ELSEWHERE = "grpc.address (GATEWAY_GRPC_ADDRESS) takes another host:port"
MAX_METADATA_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its scope ("" = any valid credential), its request type, and what answers it."""

    scope: str
    request: type[Message]
    handler: Handler
    streams_in: bool = False
    streams_out: bool = False


def options(settings: Grpc, *, shares_port: bool = False) -> list[tuple[str, int]]:
    """The channel arguments; those that differ from gRPC's defaults have their reason beside them."""
    return [
        ("grpc.max_concurrent_streams", settings.streams_per_connection),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Equal soft and hard limits: between them gRPC refuses at random.
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        # A dead caller is found within 30 s and not after two hours of paid generation. Only ping_timeout_ms
        # works in gRPC Core; keepalive_timeout_ms is set for the day it does.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Callers may ping every 10 s; the default of 300 s would disconnect most of them.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
        # Long-lived channels move on, but never in the middle of the longest turn.
        ("grpc.max_connection_age_ms", 1_800_000),
        ("grpc.max_connection_age_grace_ms", 900_000),
        ("grpc.max_connection_idle_ms", 300_000),
        ("grpc.max_allowed_incoming_connections", settings.connections),
        ("grpc.so_reuseport", int(shares_port)),
    ]


class GrpcServer:
    """Serves the methods it is given. Open it with `start`, close it with `drain`."""

    def __init__(
        self,
        settings: Grpc,
        door: Door,
        running: Running,
        services: Mapping[str, Mapping[str, Method]],
        *,
        open_reflection: bool,
        inside: str = "",
    ) -> None:
        """`services` maps full service names to their methods; `open_reflection` needs no credential.

        With `inside`, the path of a socket for this process's own HTTP port, the port is shared with others.
        """
        self._settings = settings
        self._door = door
        self._running = running
        self._health = Health(services)
        self._following: asyncio.Task[None] | None = None
        self._inside = inside
        self._server = grpc.aio.server(options=options(settings, shares_port=bool(inside)))
        for service, methods in services.items():
            self._server.add_generic_rpc_handlers((_handlers(service, methods, door),))
        self._server.add_generic_rpc_handlers((_health(self._health, door),))
        if settings.reflection:
            listed = (*services, HEALTH, REFLECTION)
            self._server.add_generic_rpc_handlers((_reflection(listed, door, open_reflection),))

    async def start(self, ready: Callable[[], bool] = lambda: True) -> int:
        """Listens, and reports itself as `ready` says; returns the port. Raises OperatorError where it cannot."""
        address = self._settings.address
        # A shared port was looked at by the process that keeps it.
        reason = "" if self._inside else obstacle(address)
        if reason:
            raise OperatorError(Reason.INTERNAL, f"cannot listen on {address}: {reason}; {ELSEWHERE}")
        try:
            credentials = _credentials(self._settings)
            if credentials is None:
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, credentials)
            if self._inside:
                self._server.add_insecure_port(f"unix:{self._inside}")
        except RuntimeError as error:
            raise OperatorError(Reason.INTERNAL, f"cannot listen on {address}; {ELSEWHERE}") from error
        await self._server.start()
        self._following = asyncio.get_running_loop().create_task(self._health.follow(ready))
        # Its first look comes before the first call.
        await asyncio.sleep(0)
        return bound

    async def drain(self) -> None:
        """Takes no more calls, lets running ones finish within the grace, and ends the rest itself."""
        settings = self._settings
        self._health.leave()
        if self._following is not None:
            self._following.cancel()
        self._door.draining = True
        self._running.drain()
        await asyncio.sleep(settings.drain_wait_s)
        loop = asyncio.get_running_loop()
        # Ours comes first: gRPC would end the rest with a text of its own, and without a receipt in it.
        stop = loop.call_later(max(settings.drain_grace_s - STOP_AHEAD_S, 0.0), self._running.stop)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(self._server.stop(settings.drain_grace_s))
            while self._door.open_calls and not stopping.done():
                await asyncio.wait([stopping], timeout=LOOK_AGAIN_S)
            # What gRPC still holds open has been told all there is to say, and does not read it.
            await asyncio.wait([stopping], timeout=STOP_AHEAD_S)
            await self._server.stop(None)
        stop.cancel()


def _credentials(settings: Grpc) -> grpc.ServerCredentials | None:
    if not settings.certificate:
        return None
    return ServerCertificate(settings).credentials()


def _handlers(service: str, methods: Mapping[str, Method], door: Door) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        service, {name: _handler(f"/{service}/{name}", method, door) for name, method in methods.items()}
    )


def _handler(path: str, method: Method, door: Door) -> "grpc.RpcMethodHandler[Any, Any]":
    guarded = door.guard(path, method.scope, method.handler)
    return _rpc(guarded, method.request, streams_in=method.streams_in, streams_out=method.streams_out)


def _rpc(
    behaviour: Any, request: type[Message], *, streams_in: bool = False, streams_out: bool = False
) -> "grpc.RpcMethodHandler[Any, Any]":  # Any: one table holds handlers of every request type
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[streams_in, streams_out]
    handler: grpc.RpcMethodHandler[Any, Any] = make(
        behaviour, request_deserializer=_decoder(request), response_serializer=SERIALIZE
    )
    return handler


def _decoder(request: type[Message]) -> Callable[[bytes], Message | Malformed]:
    """A parser that never raises: grpc would answer UNKNOWN and name the Python class."""
    parse = request.FromString

    def decode(data: bytes) -> Message | Malformed:
        try:
            return parse(data)
        except DecodeError:
            return Malformed()

    return decode


def _health(health: Health, door: Door) -> grpc.GenericRpcHandler:
    """Health for anybody: a probe has no credential."""

    def opened(name: str, handler: OpenHandler, request: type[Message], *, streams_out: bool = False) -> Any:
        return _rpc(door.leave_open(f"/{HEALTH}/{name}", handler), request, streams_out=streams_out)

    return grpc.method_handlers_generic_handler(
        HEALTH,
        {
            "Check": opened("Check", health.check, health_pb2.HealthCheckRequest),
            "List": opened("List", health.list, LIST_REQUEST),
            "Watch": opened("Watch", health.watch, health_pb2.HealthCheckRequest, streams_out=True),
        },
    )


def _reflection(names: tuple[str, ...], door: Door, is_open: bool) -> grpc.GenericRpcHandler:
    """Server reflection: for those who hold a credential, or for anybody."""
    # Any: the published types call this async generator a coroutine.
    servicer: Any = reflection.aio.ReflectionServicer(names)
    path = f"/{REFLECTION}/ServerReflectionInfo"

    async def reflect(requests: AsyncIterator[Any], context: Context) -> None:
        async for reply in servicer.ServerReflectionInfo(Parsed(requests), context):
            await context.write(reply)

    async def reflect_for(_visitor: Visitor, requests: AsyncIterator[Any], context: Context) -> None:
        await reflect(requests, context)

    behaviour = door.leave_open(path, reflect) if is_open else door.guard(path, "", reflect_for)
    request = reflection_pb2.ServerReflectionRequest
    return grpc.method_handlers_generic_handler(
        REFLECTION, {"ServerReflectionInfo": _rpc(behaviour, request, streams_in=True, streams_out=True)}
    )


class Parsed:
    """The requests of a stream, up to the first that is none: raises CallerError(INVALID_REQUEST) there."""

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = aiter(requests)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:  # Any: whatever the method's messages are
        request = await anext(self._requests)
        if isinstance(request, Malformed):
            raise invalid("", "the stream holds a message that is none of this method's")
        return request
