"""The middleware around every handler: a request id, CORS, and one form for everything that goes wrong."""

import logging
import traceback
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.bridge.errors import Refusal, Refused, body, headers, refused
from gateway.bridge.incoming import LIMIT_HEADERS, REQUEST_ID, request_id_of
from gateway.bridge.outgoing import STREAMING, json_response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)
_EXPOSED = ", ".join(
    (
        "x-request-id",
        "x-gateway-receipt-id",
        "x-gateway-model",
        "x-gateway-served-by",
        "x-gateway-cache",
        "x-gateway-degraded",
        "x-gateway-notice",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
    )
)
OFFERED = (
    "POST /v1/chat/completions, GET /v1/models, GET /v1/models/{id}, POST /retrieval, POST /dify/extension, "
    "GET /openapi.json, GET /healthz, GET /readyz"
)


class HttpDoor:
    """Every request passes here first; no exception's text leaves through it."""

    def __init__(self, cors_origins: tuple[str, ...]) -> None:
        self._origins = frozenset(cors_origins)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers, whatever happens in the handler."""
        request[REQUEST_ID] = request_id_of(request.headers)
        if self._is_preflight(request):
            return self._preflight(request)
        try:
            return await handler(request)
        except Refused as error:
            return refusal_response(error.refusal, request)
        except web.HTTPException as error:
            return refusal_response(_of_http(error).refusal, request, dict(error.headers))
        except ConnectionError:
            # The caller left: the answer goes nowhere, and aiohttp closes the connection.
            return web.Response(status=499)
        except Exception as error:
            self._report(request, error)
            if request.get(STREAMING) and request.transport is not None:
                # Half an answer is out: only the connection can still say that it is not whole.
                request.transport.abort()
            return refusal_response(
                refused(500, "internal_error", "internal error; report it with the request id").refusal, request
            )

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every response carries; called just before its headers are sent."""
        response.headers["x-request-id"] = request.get(REQUEST_ID, "")
        # Names and versions of software help nobody but an attacker.
        response.headers.popall("Server", None)
        origin = request.headers.get("origin", "")
        if origin and (origin in self._origins or "*" in self._origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            response.headers.add("Vary", "Origin")

    def _is_preflight(self, request: web.Request) -> bool:
        asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        return asks and bool(self._origins)

    def _preflight(self, request: web.Request) -> web.Response:
        wanted = request.headers.get("access-control-request-headers", "")
        names = [name.strip() for name in wanted.split(",")]
        allowed = [name for name in names if name.replace("-", "").replace("_", "").isalnum() and name.isascii()]
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": ", ".join(allowed[:50]) or "authorization, content-type",
                "Access-Control-Max-Age": "600",
            },
        )

    def _report(self, request: web.Request, error: BaseException) -> None:
        """A bug, by its kind and its place; its text may hold anything, so it stays out."""
        frames = traceback.extract_tb(error.__traceback__)
        place = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
        _log.error("bug request=%s kind=%s place=%s", request[REQUEST_ID], type(error).__name__, place)


def refusal_response(refusal: Refusal, request: web.Request, more: "dict[str, str] | None" = None) -> web.Response:
    """A refusal in OpenAI's form."""
    found = {**headers(refusal), **request.get(LIMIT_HEADERS, {})}
    if more and "Allow" in more:
        found["Allow"] = more["Allow"]
    response = json_response(body(refusal), refusal.status, found.items())
    leaving = refusal.status == 503 and refusal.reason in ("", "DRAINING")
    if leaving or refusal.status in (408, 413):
        # A caller of a gateway that goes away shall find another one; and what is left of a body that was not read
        # would be taken for the next request.
        response.force_close()
    return response


def _of_http(error: web.HTTPException) -> Refused:
    match error.status:
        case 404:
            return refused(404, "unknown_url", f"there is nothing here; offered are {OFFERED}")
        case 405:
            return refused(405, "method_not_allowed", "this address does not take that method")
    return refused(error.status, "invalid_request", error.reason or "the request was refused")
