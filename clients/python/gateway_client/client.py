"""The asynchronous client of the gateway."""

import random
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack
from uuid import uuid4

import grpc

import deepseek_pb2
import deepseek_pb2_grpc
from gateway.v1 import (
    account_pb2,
    account_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from gateway_client.answer import Answer, answer_of
from gateway_client.attempts import Attempt, Attempts
from gateway_client.channel import Tls, open_channel
from gateway_client.conversation import Conversation, ConverseCall
from gateway_client.credentials import token_source
from gateway_client.settings import read_settings
from gateway_client.streams import FrameStream, PredictStream, StreamedCall
from gateway_client.tokens import StaticToken, TokenSource
from gateway_client.turns import SearchWord, TurnOptions, build_turn, search_options

LONGEST_TURN_S = 900.0
SHORT_CALL_S = 30.0

Request = TypeVar("Request")
Response = TypeVar("Response")


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of `GatewayClient`."""

    token: TokenSource | str | None
    tls: Tls | None
    insecure: bool | None
    timeout_s: float
    chance: Callable[[], float]


class GatewayClient:
    """A connection to one gateway: `async with GatewayClient() as client`.

    What is not given comes from the environment (`settings.py` names the variables). `token` is a token or a
    source of tokens; `StaticToken(None)` sends none. The channel is plain text for loopback targets and TLS
    for others, unless `insecure` asks for plain text, which sends the token in plain text too. `timeout_s`
    bounds every call that is not given its own, 900 s being the longest the gateway allows; calls that
    generate nothing end after 30 s. `chance` gives the numbers in [0, 1) that spread retries.

    Every method raises GatewayCallError when the call fails and TokenUnavailable when no token can be had.
    The constructor raises SettingsError.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: TokenSource | str | None = None,
        tls: Tls | None = None,
        insecure: bool | None = None,
        timeout_s: float = LONGEST_TURN_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        settings = read_settings()
        self.target = target or settings.target
        tokens = StaticToken(token) if isinstance(token, str) else token
        self._insecure = settings.insecure if insecure is None else insecure
        self._tls = tls or (Tls(settings.ca_file) if settings.ca_file else None)
        self._timeout_s = timeout_s
        self._attempts = Attempts(self.target, tokens or token_source(settings, self.target), chance)
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self.target, self._tls, insecure=self._insecure)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the channel; calls that still run are cancelled."""
        await self._open_channel().close()

    def generate(
        self,
        turn: inference_pb2.Turn | None = None,
        *,
        timeout_s: float | None = None,
        **options: Unpack[TurnOptions],
    ) -> FrameStream:
        """One turn, frame by frame: `async with client.generate(prompt="…") as frames`.

        Raises ValueError for arguments that make no turn.
        """
        built = build_turn(turn, options, uuid4().hex)
        stub = inference_pb2_grpc.InferenceStub(self._open_channel())

        def dial(attempt: Attempt) -> StreamedCall:
            return stub.Generate(built, metadata=attempt.metadata, timeout=attempt.timeout_s)

        return FrameStream(self._attempts, dial, self._bound(timeout_s), built.turn_id)

    async def complete(
        self,
        turn: inference_pb2.Turn | None = None,
        *,
        timeout_s: float | None = None,
        **options: Unpack[TurnOptions],
    ) -> Answer:
        """One turn, whole. Raises ValueError for arguments that make no turn."""
        built = build_turn(turn, options, uuid4().hex)
        stub = inference_pb2_grpc.InferenceStub(self._open_channel())
        return answer_of(await self._unary(stub.Complete, built, self._bound(timeout_s)), built.turn_id)

    def converse(self, *, session_id: str = "", timeout_s: float | None = None) -> Conversation:
        """Many turns on one stream; `timeout_s` bounds the stream, not each turn.

        Turn ids are unique within a session, so a program that reconnects gives the same `session_id`.
        """
        stub = inference_pb2_grpc.InferenceStub(self._open_channel())

        def dial(attempt: Attempt) -> ConverseCall:
            return stub.Converse(metadata=attempt.metadata, timeout=attempt.timeout_s)

        return Conversation(self._attempts, dial, self._bound(timeout_s), session_id)

    def predict(self, text: str, max_tokens: int = 0, *, timeout_s: float | None = None) -> PredictStream:
        """The simple entry, `deepseek.DeepSeek/StreamPredict`: text in, pieces of text out."""
        request = deepseek_pb2.ModelRequest(text=text, max_tokens=max_tokens)
        stub = deepseek_pb2_grpc.DeepSeekStub(self._open_channel())

        def dial(attempt: Attempt) -> StreamedCall:
            return stub.StreamPredict(request, metadata=attempt.metadata, timeout=attempt.timeout_s)

        return PredictStream(self._attempts, dial, self._bound(timeout_s))

    async def list_models(self) -> tuple[inference_pb2.Model, ...]:
        """The models that this caller may use, with their prices now."""
        stub = inference_pb2_grpc.InferenceStub(self._open_channel())
        reply = await self._unary(stub.ListModels, inference_pb2.ListModelsRequest(), self._bound_short())
        return tuple(reply.models)

    async def search(
        self, query: str, options: SearchWord | inference_pb2.SearchOptions = "always"
    ) -> search_pb2.SearchReply:
        """The search step alone: sources, and the text a model would be shown."""
        request = search_pb2.SearchRequest(query=query, options=search_options(options))
        stub = search_pb2_grpc.SearchStub(self._open_channel())
        return await self._unary(stub.Query, request, self._bound_short())

    async def limits(self) -> account_pb2.Limits:
        """What is left of the tenant's limits."""
        stub = account_pb2_grpc.AccountStub(self._open_channel())
        return await self._unary(stub.GetLimits, account_pb2.GetLimitsRequest(), self._bound_short())

    async def receipt(self, receipt_id: str) -> account_pb2.Receipt:
        """The receipt of one turn of the caller's tenant."""
        stub = account_pb2_grpc.AccountStub(self._open_channel())
        request = account_pb2.GetReceiptRequest(receipt_id=receipt_id)
        return await self._unary(stub.GetReceipt, request, self._bound_short())

    async def _unary(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout_s: float
    ) -> Response:
        async def start(attempt: Attempt) -> Response:
            call = method(request, metadata=attempt.metadata, timeout=attempt.timeout_s)
            try:
                return await call
            finally:
                call.cancel()

        return await self._attempts.first(start, timeout_s)

    def _bound(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else timeout_s

    def _bound_short(self) -> float:
        return min(self._timeout_s, SHORT_CALL_S)

    def _open_channel(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise RuntimeError("use `async with` around the client: that opens its channel")
        return self._channel
