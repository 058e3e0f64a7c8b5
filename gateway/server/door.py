"""The door: every call passes here first, and no exception's text ever leaves through it.

The order is the contract: request id and deadline, draining, credential, method and scope, tenant. One wrapper per
method instead of a chain of interceptors keeps the streaming path free of both generators and indirection.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
import grpc.aio

from gateway.auth import Authenticator
from gateway.domain.call import Call, Caller, Credentials, Visitor
from gateway.domain.errors import CallerError, CallerLeft, GatewayError, Reason, internal, invalid
from gateway.domain.failure import TurnFailed
from gateway.domain.tenant import Tenant, Tenants
from gateway.pipeline.open_calls import OpenCalls
from gateway.server.caller_address import ADDRESS, BRIDGE, Forwarding, caller_address
from gateway.server.status import ending

T = TypeVar("T")
# Any: grpc's own stubs type a context by its request and response, which this wrapper never looks at.
Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Visitor, Any, Context], Awaitable[Any]]
OpenHandler = Callable[[Any, Context], Awaitable[Any]]
Behaviour = Callable[[Any, Context], Awaitable[Any]]
Serve = Callable[[Any, Context, str], Awaitable[Any]]
Metadata = grpc.aio.Metadata | tuple[tuple[str, str | bytes], ...]

CODES = {code.value[0]: code for code in grpc.StatusCode}
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_METADATA_KEYS = 64
STATUS_WAIT_S = 1.0
"""How long a handler waits for its status to go out; nothing but a caller who reads no more holds it up."""


class Malformed:
    """What a request that is no valid protobuf becomes, so that it is refused by our table and not by grpc."""


class DoorObserver(Protocol):
    """Is told of every refusal and of every bug."""

    def refused(self, method: str, tenant: str, reason: Reason) -> None:
        """A call was refused before its turn began."""
        ...

    def broke(self, method: str, request_id: str, error: BaseException) -> None:
        """A bug: the text of `error` may hold anything and must be redacted."""
        ...


class Door:
    """Lets callers in, or tells them why not."""

    def __init__(
        self,
        authenticator: Authenticator,
        tenants: Callable[[], Tenants],
        observer: DoorObserver,
        total_s: float,
        new_id: Callable[[], str],
        *,
        forwarding: Forwarding | None = None,
        calls: OpenCalls | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._tenants = tenants
        self._observer = observer
        self._total_s = total_s
        self._new_id = new_id
        self._forwarding = forwarding or Forwarding()
        self._scopes: dict[str, str] = {}
        self._calls = calls or OpenCalls()
        self.draining = False

    @property
    def open_calls(self) -> int:
        """How many calls are being answered."""
        return self._calls.count

    def guard(self, method: str, scope: str, handler: Handler) -> Behaviour:
        """`handler` behind every check; `scope` "" means that any valid credential will do."""
        self._scopes[method] = scope
        return self._behaviour(method, partial(self._serve, method, handler))

    def leave_open(self, method: str, handler: OpenHandler) -> Behaviour:
        """`handler` for anybody, credential or not; what goes wrong is told as everywhere else."""
        return self._behaviour(method, partial(self._serve_openly, method, handler))

    def _behaviour(self, method: str, serve: Serve) -> Behaviour:
        async def behaviour(request: Any, context: Context) -> Any:
            request_id = self._request_id(context)
            try:
                return await self.firewall(method, request_id, serve(request, context, request_id))
            except TurnFailed as failed:
                await self._abort(context, failed.error, request_id, failed.end.receipt_id, failed.billed)
            except GatewayError as error:
                await self._abort(context, error, request_id)
            except CallerLeft:
                # The call is over on the caller's side: there is no status to send.
                raise asyncio.CancelledError from None

        return behaviour

    async def _serve(self, method: str, handler: Handler, request: Any, context: Context, request_id: str) -> Any:
        tenant = ""
        try:
            with self._calls.counted(context.peer()):
                visitor = await self._admit(method, request_id, context)
                tenant = visitor.tenant.name
                _check_parsed(method, request)
                context.set_trailing_metadata((("x-request-id", request_id),))
                return await handler(visitor, request, context)
        except GatewayError as error:
            self.refused(method, tenant, error)
            raise

    async def _serve_openly(
        self, method: str, handler: OpenHandler, request: Any, context: Context, request_id: str
    ) -> Any:
        _check_parsed(method, request)
        context.set_trailing_metadata((("x-request-id", request_id),))
        return await handler(request, context)

    async def firewall(self, method: str, request_id: str, work: Awaitable[T]) -> T:
        """Turns a bug into INTERNAL; grpc would send its text to the caller."""
        try:
            return await work
        except (GatewayError, CallerLeft, grpc.aio.AbortError):
            raise
        except TurnFailed as failed:
            bug = failed.__context__ if failed.error.reason is Reason.INTERNAL else None
            if bug is not None:
                self._observer.broke(method, request_id, bug)
                failed.__context__ = None  # told once, however many walls it passes
            raise
        except Exception as error:
            self._observer.broke(method, request_id, error)
            raise internal() from error

    async def authenticate(self, bearer: str | None, certificate: bytes | None = None) -> Caller:
        """The caller behind a bearer token or certificate. Raises as `Authenticator.authenticate` does."""
        return await self._authenticator.authenticate(Credentials(bearer, certificate))

    def permit(self, method: str, caller: Caller) -> Tenant:
        """The caller's tenant as it stands now. Raises CallerError: SCOPE_MISSING, TENANT_SUSPENDED."""
        scope = self._scopes[method]
        if scope and scope not in caller.scopes:
            raise CallerError(Reason.SCOPE_MISSING, f"the token lacks the scope {scope}", facts={"scope": scope})
        tenant = self._tenants().get(caller.tenant)
        if tenant is None or tenant.suspended:
            raise CallerError(Reason.TENANT_SUSPENDED, "this tenant is not served; ask the operator")
        return tenant

    def refused(self, method: str, tenant: str, error: GatewayError) -> None:
        """Counts a call, or a turn of a stream, that was refused."""
        self._observer.refused(method, tenant, error.reason)

    async def _admit(self, method: str, request_id: str, context: Context) -> Visitor:
        metadata = context.invocation_metadata() or ()
        if len({key for key, _ in metadata}) > MAX_METADATA_KEYS:
            raise invalid("", f"more than {MAX_METADATA_KEYS} metadata keys")
        if self.draining:
            raise GatewayError(Reason.DRAINING, "this server is shutting down; call again", retry_after_s=0.0)
        self._calls.check()
        bearer = _bearer(metadata)
        caller = await self.authenticate(bearer, _certificate(context) if bearer is None else None)
        tenant = self.permit(method, caller)
        remaining = context.time_remaining()
        limit_s = self._total_s if remaining is None else min(max(remaining, 0.0), self._total_s)
        call = Call(
            method=method,
            request_id=request_id,
            deadline=asyncio.get_running_loop().time() + limit_s,
            peer=context.peer(),
            trace_id=_text(metadata, "traceparent"),
            caller_ip=self._caller_ip(context, metadata),
        )
        return Visitor(call, caller, tenant)

    def _caller_ip(self, context: Context, metadata: Metadata) -> str:
        said, shown = _text(metadata, ADDRESS), _text(metadata, BRIDGE)
        return caller_address(context.peer(), said, shown, partial(_certificate, context), self._forwarding)

    def _request_id(self, context: Context) -> str:
        wished = _text(context.invocation_metadata() or (), "x-request-id")
        return wished if REQUEST_ID.fullmatch(wished) else self._new_id()

    async def _abort(
        self, context: Context, error: GatewayError, request_id: str, receipt_id: str = "", billed: bool = False
    ) -> NoReturn:
        end = ending(error, request_id, receipt_id, billed)
        trailers: tuple[tuple[str, str | bytes], ...] = (("x-request-id", request_id), *end.trailers)
        if receipt_id:
            trailers += (("gateway-receipt-id", receipt_id),)
        try:
            async with asyncio.timeout(STATUS_WAIT_S):
                await context.abort(CODES[end.code], end.message, trailers)
        except (TimeoutError, grpc.aio.InternalError):
            # gRPC has the status, and sends it behind what the caller has not read yet; or there is no caller.
            raise asyncio.CancelledError from None


def _check_parsed(method: str, request: object) -> None:
    if isinstance(request, Malformed):
        raise invalid("", f"the request is no valid message of {method}")


def _bearer(metadata: grpc.aio.Metadata | tuple[tuple[str, str | bytes], ...]) -> str | None:
    """The one bearer token, or None. Several, or another scheme, are a bad credential, not a missing one."""
    values = [value for key, value in metadata if key == "authorization"]
    if not values:
        return None
    scheme, _, token = str(values[0]).partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.isprintable() or not token:
        raise CallerError(Reason.TOKEN_INVALID, "invalid_token")
    return token


def _certificate(context: Context) -> bytes | None:
    """The client certificate that the handshake verified, if the port asks for one."""
    shown = context.auth_context().get("x509_pem_cert")
    return next(iter(shown), None) if shown else None


def _text(metadata: grpc.aio.Metadata | tuple[tuple[str, str | bytes], ...], name: str) -> str:
    return next((value for key, value in metadata if key == name and isinstance(value, str)), "")
