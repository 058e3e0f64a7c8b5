"""The operator's port: `/metrics` for Prometheus, `/healthz` (alive), `/readyz` (ready), `/upstreams`."""

from collections.abc import Callable

from aiohttp import web

from gateway.domain.errors import OperatorError, Reason
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.upstreams import Standings


class MetricsPort:
    """A small HTTP server of its own, so that scraping needs no credential and callers never reach it."""

    def __init__(
        self, address: str, metrics: Metrics, ready: Callable[[], bool], standings: Standings = tuple
    ) -> None:
        """`standings` says how every upstream is doing."""
        self._address = address
        self._metrics = metrics
        self._ready = ready
        self._standings = standings
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._page),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/upstreams", self._upstreams),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> int:
        """Listens; returns the port. Raises OperatorError when it cannot."""
        host, _, port = self._address.rpartition(":")
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, host.strip("[]"), int(port))
            await site.start()
        except OSError as error:
            raise OperatorError(
                Reason.INTERNAL,
                f"cannot listen on {self._address} ({error.strerror}); stop what listens there, or set "
                f"GATEWAY_METRICS_ADDRESS={host}:OTHER (empty switches the endpoint off)",
            ) from error
        return int(self._runner.addresses[0][1])

    async def aclose(self) -> None:
        """Stops listening."""
        await self._runner.cleanup()

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": self._metrics.content_type})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        ready = self._ready()
        return web.Response(text="ready\n" if ready else "not ready\n", status=200 if ready else 503)

    async def _upstreams(self, _request: web.Request) -> web.Response:
        return web.json_response({"upstreams": [dict(facts) for facts in self._standings()]})
