"""Builds the house, opens it in order and closes it in reverse; it decides nothing."""

import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from google.protobuf.internal import api_implementation

from gateway import (
    __version__,
    admitting,
    auditing,
    bookkeeping,
    caching,
    http_port,
    identity,
    metering,
    searching,
    upstreams,
)
from gateway.auth.api_key import ApiKeyFile
from gateway.auth.dev_issuer import DevIssuer
from gateway.bridge.server import BridgePort
from gateway.domain.errors import OperatorError, Reason
from gateway.domain.record import TurnRecord
from gateway.domain.tenant import Tenant
from gateway.fresh_ids import new_id
from gateway.limits.billing import BrokenStream
from gateway.limits.lenient import watched
from gateway.limits.price_book import BookError
from gateway.limits.price_file import read_book
from gateway.limits.pricing import PriceBook
from gateway.models.breaker import State
from gateway.models.catalogue import Catalogue
from gateway.models.health import Health, Name
from gateway.models.routing import Router
from gateway.pipeline import Pipeline
from gateway.pipeline.attempt import Patience
from gateway.pipeline.extracting import Extracting
from gateway.pipeline.open_calls import OpenCalls
from gateway.pipeline.overload import Overload
from gateway.pipeline.stations import Stations
from gateway.server.account import Account
from gateway.server.caller_address import Forwarding
from gateway.server.converse import Converse
from gateway.server.door import Door, DoorObserver
from gateway.server.grpc_server import GrpcServer
from gateway.server.inference import Inference
from gateway.server.methods import methods
from gateway.server.running import Running
from gateway.server.search import Search
from gateway.server.status import row_of
from gateway.settings import Settings
from gateway.telemetry.http import MetricsPort
from gateway.telemetry.limits import LimitsTold
from gateway.telemetry.logging import TurnLog
from gateway.telemetry.metrics import Metrics
from gateway.user_digests import user_ids, user_secret
from gateway.workers.seat import Seat


@dataclass(frozen=True, slots=True)
class Gateway:
    """The open house."""

    server: GrpcServer
    running: Running
    grpc_port: int
    metrics_port: int
    http_port: int
    issuer: DevIssuer | None
    log: TurnLog
    command: str
    overload: Overload


class Observer(DoorObserver):
    """Tells the log and the metrics what happened."""

    def __init__(self, metrics: Metrics, log: TurnLog) -> None:
        self._metrics = metrics
        self._log = log
        self.audit = metrics.audit
        self.limits = LimitsTold(metrics.limits, log)
        self.books = metrics.books
        self.cache = metrics.cache
        self.load = admitting.Told(metrics, log)

    def began(self) -> None:
        """A turn was let in."""
        self._metrics.began()

    def ended(self, record: TurnRecord) -> None:
        """A turn is settled."""
        self._metrics.ended(record)
        self._log.ended(record)

    def refused(self, method: str, tenant: str, reason: Reason) -> None:
        """A call was refused."""
        self._metrics.refused(method, reason)
        self._log.refused(method, tenant, reason)

    def oddity(self, what: str, count: int) -> None:
        """An upstream's answer was odd in a way that was put up with."""
        self._metrics.upstreams.oddity(what, count)

    def circuit_changed(self, name: Name, state: State, dead: Reason | None) -> None:
        """An upstream is asked no more, or again; `dead` says why it refuses the key, if it does."""
        upstream, model, key = name
        tell = self._log.warn if state is State.OPEN else self._log.note
        why = upstreams.why_refused(dead)
        tell("circuit", upstream=upstream, model=model, key_number=key, state=state.value, **why)

    def broke(self, method: str, request_id: str, error: BaseException) -> None:
        """A bug ended a call."""
        self._metrics.broke(method)
        self._log.broke(method, request_id, error)


@asynccontextmanager
async def opened(settings: Settings, *, dev: bool, seat: Seat | None = None) -> AsyncIterator[Gateway]:
    """The gateway, listening. Leaving drains it. Raises OperatorError when something it needs cannot be had.

    With a `seat` it is one of several workers: they share ports, limits, books and the operator's port.
    """
    if api_implementation.Type() == "python":
        raise OperatorError(Reason.INTERNAL, "protobuf runs in pure Python; install the wheel of this platform")
    async with AsyncExitStack() as stack:
        metrics, log = Metrics(), TurnLog()
        observer = Observer(metrics, log)
        stations = await build_stations(settings, observer, stack, seat)
        issuer = identity.own_issuer(settings, dev=dev)
        metrics.upstreams.watch(stations.health.facts)
        running = Running(settings.timers.end_margin_s)
        known = await stack.enter_async_context(identity.opened(settings, issuer, dev=dev, revoked=running.revoke))
        forwarding = auditing.forwarding(settings, new_id())
        door = build_door(settings, known, observer, forwarding, stations.overload.calls)
        pipeline = Pipeline(stations)
        stack.push_async_callback(pipeline.aclose)
        server = build_server(settings, door, running, pipeline, stations, open_reflection=dev, seat=seat)

        def ready() -> bool:
            can_start = stations.overload.takes_calls and not stations.ledger.away
            return known.ready and can_start and not door.draining

        metrics_port = await operators_port(settings, metrics, ready, stations.health, stack=stack, seat=seat)
        grpc_port = await server.start(ready)
        # The bridge outlives the drain, so that its callers hear how their answers end.
        tokens = identity.OwnTokens(settings, known, issuer)
        bridge = build_bridge(settings, grpc_port, tokens, forwarding.secret, seat)
        if bridge is not None:
            stack.push_async_callback(bridge.aclose)
        stack.push_async_callback(server.drain)
        http = await http_port.started(bridge, settings.http.address)
        if bridge is not None:
            tokens.serve_at(bridge.url)
        # What lives as long as the process is never looked at again by the collector.
        gc.collect()
        gc.freeze()
        command = seat.place.command if seat else sys.argv[0]
        yield Gateway(server, running, grpc_port, metrics_port, http, issuer, log, command, stations.overload)


async def operators_port(
    settings: Settings,
    metrics: Metrics,
    ready: Callable[[], bool],
    health: Health,
    *,
    stack: AsyncExitStack,
    seat: Seat | None,
) -> int:
    """The port of metrics and readiness, open, 0 where there is none; with a seat it is the parent's."""
    if seat is not None:
        seat.page, seat.ready, seat.standings = metrics.page, ready, health.facts
        await seat.may_listen()
        return seat.place.metrics_port
    if not settings.metrics.address:
        return 0
    port = MetricsPort(settings.metrics.address, metrics, ready, health.facts)
    stack.push_async_callback(port.aclose)
    return await port.start()


async def build_stations(
    settings: Settings, observer: Observer, stack: AsyncExitStack, seat: Seat | None
) -> Stations:
    """Everything a turn passes; `stack` closes what was opened here."""
    # The ledger comes first: it keeps a second gateway out of the same data directory.
    gateway, worker = (seat.place.gateway, seat.place.worker) if seat else ("", "")
    ledger = await stack.enter_async_context(bookkeeping.opened(settings, gateway=gateway, worker=worker))
    audit = await stack.enter_async_context(auditing.opened(settings, observer.audit, new_id))
    ask = seat.ask if seat else None
    settle_lost = partial(bookkeeping.settle_lost, ledger, observer.books)
    keeper = await stack.enter_async_context(metering.opened(settings, ledger, new_id, ask, settle_lost))
    limiter = await stack.enter_async_context(watched(keeper, observer.limits))
    await stack.enter_async_context(bookkeeping.tended(ledger, limiter, observer.books, settings, seat))
    catalogue = await stack.enter_async_context(upstreams.opened(settings, observer.oddity))
    health = upstreams.health(settings, catalogue, observer.circuit_changed)
    memory = await stack.enter_async_context(caching.opened(settings, observer.cache))
    search = await searching.opened(settings, stack, memory.cache)
    slots, ladder = await stack.enter_async_context(admitting.opened(settings, catalogue, observer.load, new_id))
    return Stations(
        catalogue=catalogue,
        router=Router(catalogue, upstreams.routing_rules(settings)),
        health=health,
        limiter=limiter,
        ledger=ledger,
        audit=audit,
        code_of=lambda error: row_of(error).code,
        searcher=search.searcher,
        extractor=search.extractor,
        prices=price_book(settings, catalogue),
        observer=observer,
        patience=patience(settings),
        broken_stream=BrokenStream(settings.billing.broken_stream),
        user_id=user_ids(ApiKeyFile(settings.data_dir).secret()),
        new_id=new_id,
        memory=memory,
        slots=slots,
        overload=ladder,
        count_text=metering.text_counter(settings),
    )


def build_door(
    settings: Settings, known: identity.Identity, observer: Observer, forwarding: Forwarding, calls: OpenCalls
) -> Door:
    """The door, for callers of every kind."""
    total_s = settings.timers.total_s
    return Door(known.authenticator, known.tenants, observer, total_s, new_id, forwarding=forwarding, calls=calls)


def build_bridge(
    settings: Settings, grpc_port: int, tokens: identity.OwnTokens, known_by: str, seat: Seat | None
) -> BridgePort | None:
    """The HTTP bridge before this process's own port, where there is one."""
    inside = seat.place.inside if seat else ""
    secret = user_secret(settings)
    return http_port.beside(settings, grpc_port, secret, tokens.routes(), inside=inside, known_by=known_by)


def build_server(
    settings: Settings,
    door: Door,
    running: Running,
    pipeline: Pipeline,
    stations: Stations,
    *,
    open_reflection: bool,
    seat: Seat | None,
) -> GrpcServer:
    """The server with every method."""
    heartbeat_s = settings.timers.heartbeat_s
    converse = Converse(
        door=door,
        pipeline=pipeline,
        running=running,
        heartbeat_s=heartbeat_s,
        credential_notice_s=settings.timers.credential_notice_s,
        new_id=new_id,
        version=__version__,
    )
    inference = Inference(pipeline, running, heartbeat_s, new_id)
    account = Account(stations.limiter, stations.ledger)
    extracting = Extracting(stations.extractor, stations.limiter, stations.audit, stations.code_of, new_id)
    search = Search(pipeline, extracting)
    services = methods(inference, converse, search, account)
    inside = seat.place.inside if seat else ""
    return GrpcServer(settings.grpc, door, running, services, open_reflection=open_reflection, inside=inside)


def price_book(settings: Settings, catalogue: Catalogue) -> PriceBook:
    """The prices, which must cover every model. Raises BookError."""
    path = settings.billing.price_book
    book = upstreams.with_free(read_book(Path(path) if path else None), settings)
    unpriced = [card.name for card in catalogue.offered(Tenant("any")) if not book.knows(card.name)]
    if unpriced:
        raise BookError(
            [f"{path or 'prices'}: no price for the model {name}; add a [[models]] entry" for name in unpriced]
        )
    return replace(book, cached_answer_percent=settings.billing.cached_answer_percent)


def patience(settings: Settings) -> Patience:
    """The timers of a turn."""
    timers = settings.timers
    return Patience(
        first_output_s=timers.first_output_s,
        first_output_thinking_s=timers.first_output_thinking_s,
        silence_s=timers.silence_s,
        client_stall_s=timers.client_stall_s,
    )
