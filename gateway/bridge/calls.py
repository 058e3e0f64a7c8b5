"""The bridge's way to the gateway: channels, the caller's own credential on every call, refusals in HTTP terms."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2

from gateway.bridge import Gateway
from gateway.bridge.errors import Refused, from_status
from gateway.v1 import (
    account_pb2,
    account_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from gateway_client.channel import Tls, open_channel
from gateway_client.status import by_name, call_error

CALLS_PER_CHANNEL = 200
MAX_CHANNELS = 64
SHORT_CALL_S = 30.0
HEALTH_S = 2.0
# Round robin over all addresses of the name, leaving out those whose health service says that they are not ready.
_BALANCING = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}},
)

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class CallerHeaders:
    """What of an HTTP request goes along as metadata."""

    request_id: str
    authorization: tuple[str, ...] = ()
    traceparent: str = ""
    address: str = ""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call."""
        trace = (("traceparent", self.traceparent),) if self.traceparent else ()
        # Believed only of a bridge that the gateway knows, by its certificate or its secret.
        address = (("x-gateway-caller-address", self.address),) if self.address else ()
        return (
            *(("authorization", value) for value in self.authorization),
            ("x-request-id", self.request_id),
            *trace,
            *address,
        )


class _StreamedCall(Protocol):
    async def read(self) -> object: ...

    def cancel(self) -> bool: ...


class FrameCall:
    """The frames of one turn. Leaving the `with` cancels the call, so that nothing is generated for nobody."""

    def __init__(self, call: _StreamedCall, target: str) -> None:
        self._call = call
        self._target = target

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.cancel()

    async def next(self) -> inference_pb2.ServerFrame | None:
        """The next frame, None at the end. Raises Refused for the status that a failed call ends with."""
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise _refused(error, self._target) from None
        return None if frame is grpc.aio.EOF else cast("inference_pb2.ServerFrame", frame)


class Calls:
    """Calls of the gateway. A channel takes 200 calls at once; the next one opens another."""

    def __init__(self, gateway: Gateway, max_message_bytes: int) -> None:
        self.target = gateway.target
        self._gateway = gateway
        self._options: tuple[tuple[str, str | int], ...] = (
            ("grpc.service_config", _BALANCING),
            # A channel of its own connection: shared ones would meet the server's limit of calls for each.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            # A gateway that was added or replaced is found within seconds and not after half a minute.
            ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        )
        self._open: dict[grpc.aio.Channel, int] = {}

    async def aclose(self) -> None:
        """Closes the channels; calls that still run are cancelled."""
        channels, self._open = list(self._open), {}
        await asyncio.gather(*(channel.close() for channel in channels))

    @contextmanager
    def generate(self, turn: inference_pb2.Turn, caller: CallerHeaders, timeout_s: float) -> Iterator[FrameCall]:
        """The frames of one turn."""
        with self._channel() as channel:
            call = inference_pb2_grpc.InferenceStub(channel).Generate(
                turn, metadata=self._metadata(caller), timeout=timeout_s
            )
            with FrameCall(call, self.target) as frames:
                yield frames

    async def complete(
        self, turn: inference_pb2.Turn, caller: CallerHeaders, timeout_s: float
    ) -> inference_pb2.TurnResult:
        """One turn, whole. Raises Refused, as all methods do."""
        with self._channel() as channel:
            return await self._unary(inference_pb2_grpc.InferenceStub(channel).Complete, turn, caller, timeout_s)

    async def models(self, caller: CallerHeaders) -> inference_pb2.ListModelsResponse:
        """The models that the caller may use."""
        with self._channel() as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)
            return await self._unary(stub.ListModels, inference_pb2.ListModelsRequest(), caller, SHORT_CALL_S)

    async def search(
        self, request: search_pb2.SearchRequest, caller: CallerHeaders, timeout_s: float
    ) -> search_pb2.SearchReply:
        """A search without a model."""
        with self._channel() as channel:
            return await self._unary(search_pb2_grpc.SearchStub(channel).Query, request, caller, timeout_s)

    async def extract(
        self, request: search_pb2.ExtractRequest, caller: CallerHeaders, timeout_s: float
    ) -> search_pb2.ExtractReply:
        """One page as data."""
        with self._channel() as channel:
            return await self._unary(search_pb2_grpc.SearchStub(channel).Extract, request, caller, timeout_s)

    async def limits(self, caller: CallerHeaders) -> account_pb2.Limits:
        """What is left of the caller's limits; asking uses nothing up and shows whether the credential is good."""
        with self._channel() as channel:
            stub = account_pb2_grpc.AccountStub(channel)
            return await self._unary(stub.GetLimits, account_pb2.GetLimitsRequest(), caller, SHORT_CALL_S)

    async def ready(self) -> bool:
        """Whether a gateway is there and takes calls."""
        with self._channel() as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                reply = await check(health_pb2.HealthCheckRequest(), timeout=HEALTH_S)
            except grpc.aio.AioRpcError:
                return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    async def _unary(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        caller: CallerHeaders,
        timeout_s: float,
    ) -> Response:
        call = method(request, metadata=self._metadata(caller), timeout=timeout_s)
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise _refused(error, self.target) from None
        finally:
            call.cancel()

    def _metadata(self, caller: CallerHeaders) -> tuple[tuple[str, str], ...]:
        secret = self._gateway.secret
        return (*caller.metadata, ("x-gateway-bridge", secret)) if secret else caller.metadata

    @contextmanager
    def _channel(self) -> Iterator[grpc.aio.Channel]:
        """The channel with the fewest calls, counted while it is used."""
        channel = min(self._open, key=self._open.__getitem__, default=None)
        if channel is None or (self._open[channel] >= CALLS_PER_CHANNEL and len(self._open) < MAX_CHANNELS):
            channel = self._dial()
            self._open[channel] = 0
        self._open[channel] += 1
        try:
            yield channel
        finally:
            if channel in self._open:
                self._open[channel] -= 1

    def _dial(self) -> grpc.aio.Channel:
        gateway = self._gateway
        tls = None
        if gateway.ca_file or gateway.certificate_file or gateway.server_name:
            tls = Tls(gateway.ca_file, gateway.certificate_file, gateway.key_file, gateway.server_name)
        return open_channel(gateway.target, tls, insecure=gateway.insecure, more=self._options)


def _refused(error: grpc.aio.AioRpcError, target: str) -> Refused:
    trailing: Mapping[str, str | bytes] = by_name(error.trailing_metadata())
    failure = call_error(error.code(), error.details() or "", trailing, target=target, request_id="").failure
    return Refused(
        from_status(
            failure.code.value[0],
            failure.reason,
            failure.message,
            retryable=failure.retryable,
            retry_after_s=failure.retry_after_s,
            receipt_id=failure.receipt_id,
            facts=failure.facts,
            fields=[violation.field for violation in failure.fields],
        )
    )
