"""Everything a turn passes, by the promise of each station: what the pipeline is built from."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.audit import Audit
from gateway.ledger import Ledger
from gateway.limits import Limiter, Slots
from gateway.limits.billing import BrokenStream
from gateway.limits.estimate import CountText, count_text
from gateway.limits.pricing import PriceBook
from gateway.models.catalogue import Catalogue
from gateway.models.health import Health
from gateway.models.routing import Router
from gateway.pipeline.attempt import Patience
from gateway.pipeline.auditing import CodeOf
from gateway.pipeline.overload import Overload
from gateway.pipeline.recall import Memory
from gateway.search import Extractor, Searcher
from gateway.telemetry import TurnObserver


@dataclass(frozen=True, slots=True)
class Stations:
    """One of each."""

    catalogue: Catalogue
    router: Router
    health: Health
    limiter: Limiter
    ledger: Ledger
    audit: Audit
    code_of: CodeOf
    searcher: Searcher
    extractor: Extractor
    prices: PriceBook
    observer: TurnObserver
    patience: Patience
    broken_stream: BrokenStream
    user_id: Callable[[str], str]
    new_id: Callable[[], str]
    memory: Memory
    slots: Slots
    overload: Overload
    count_text: CountText = count_text
