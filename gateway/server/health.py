"""`grpc.health.v1.Health`: whether this server takes calls, as a whole and for each service.

Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import asyncio
from collections.abc import Callable, Iterable

import grpc.aio
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from gateway.domain.errors import CallerError, CallerLeft, Reason
from gateway.server.door import Context

Response = health_pb2.HealthCheckResponse
LOOK_EVERY_S = 1.0
UNKNOWN = Response(status=Response.SERVICE_UNKNOWN)


class Health:
    """Answers for the named services and for the server itself, whose name is empty; all of them stand alike."""

    def __init__(self, services: Iterable[str]) -> None:
        self._names = ("", *services)
        self._serving = False
        self._changed = asyncio.Event()
        self._leaving = False

    async def follow(self, ready: Callable[[], bool]) -> None:
        """Stands as `ready` says, looked at once a second, until it is cancelled or this server leaves."""
        while not self._leaving:
            if self._serving is not ready():
                self._become(serving=not self._serving)
            await asyncio.sleep(LOOK_EVERY_S)

    def leave(self) -> None:
        """No call is taken any more; watchers are told so, and let go: an open call would hold up the drain."""
        self._leaving = True
        self._become(serving=False)

    async def check(self, request: health_pb2.HealthCheckRequest, _context: Context) -> Response:
        """The status now. Raises CallerError(NOT_FOUND) for a service that is not here."""
        if request.service not in self._names:
            raise CallerError(Reason.NOT_FOUND, f"there is no service {request.service[:128]!r} here")
        return self._standing()

    async def list(self, _request: Message, _context: Context) -> Message:
        """The status of every service."""
        statuses = {name: self._standing() for name in self._names}
        reply: Message = health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]  # untyped
        return reply

    async def watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """The status now and at every change; by the protocol, what is not here is unknown and may come yet."""
        told: Response | None = None
        while True:
            changed = self._changed
            standing = self._standing() if request.service in self._names else UNKNOWN
            if standing != told:
                told = standing
                try:
                    await context.write(standing)
                except grpc.aio.InternalError as error:
                    raise CallerLeft from error
            if self._leaving:
                return
            await changed.wait()

    def _standing(self) -> Response:
        return Response(status=Response.SERVING if self._serving else Response.NOT_SERVING)

    def _become(self, *, serving: bool) -> None:
        self._serving = serving
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
