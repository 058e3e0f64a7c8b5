"""What a turn costs: tokens and searches times the price book of the moment.

Money is whole nano-USD. Prices are whole nano-USD per million tokens, so that a price like $0.0028 per million is
exact; each line (cached input, input, output, searches) is rounded up once, and no line is ever negative.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.domain.usage import Usage

MILLION = 1_000_000
DAY_S = 86_400


class UnpricedModel(LookupError):  # noqa: N818 - a gap in the book, found before the server starts
    """The price book has no entry for this model."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices in nano-USD per million tokens."""

    cached_input: int
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """When the peak price holds: windows in seconds of the day, on weekdays (Monday = 0) that are no holiday.

    `offset_s` is the zone's distance to UTC, `holidays` are days of the epoch in that zone.
    """

    offset_s: int
    weekdays: frozenset[int]
    windows: tuple[tuple[int, int], ...]
    holidays: frozenset[int]

    def is_peak(self, when: float) -> bool:
        """Whether the peak price holds at this moment (seconds since the epoch)."""
        return self.touches_peak(when, when)

    def touches_peak(self, start: float, end: float) -> bool:
        """Whether any moment from `start` to `end`, both included, has the peak price."""
        first, last = int(start) + self.offset_s, int(end) + self.offset_s
        return any(
            day * DAY_S + opens <= last and first < day * DAY_S + closes
            for day in range(first // DAY_S, last // DAY_S + 1)
            if (day + 3) % 7 in self.weekdays and day not in self.holidays  # 1 January 1970 was a Thursday
            for opens, closes in self.windows
        )


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """The price of a model from a moment on. Without a calendar, `peak` is never used."""

    model: str
    valid_from: float
    date: str
    off_peak: Rates
    peak: Rates
    calendar: Calendar | None

    def at(self, when: float) -> tuple[Rates, bool]:
        """The rates at this moment, and whether they are the peak's."""
        peak = self.calendar is not None and self.calendar.is_peak(when)
        return (self.peak if peak else self.off_peak), peak

    def entry(self, peak: bool) -> str:
        """The name that stands on receipts: `deepseek-flash@2026-08-16/peak`."""
        suffix = "" if self.calendar is None else "/peak" if peak else "/off-peak"
        return f"{self.model}@{self.date}{suffix}"


@dataclass(frozen=True, slots=True)
class SearchPrice:
    """The price of one paid search call from a moment on, in nano-USD per million calls."""

    valid_from: float
    per_million_calls: int


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Every price, oldest first under each name. Before the first moment of a name its first price holds."""

    models: Mapping[str, tuple[ModelPrice, ...]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    searches: Mapping[str, tuple[SearchPrice, ...]] = field(default_factory=dict)
    cached_answer_percent: int = 0
    """What an answer that was paid for once costs those who are given it again, in percent of its price."""

    def knows(self, model: str) -> bool:
        """Whether the model, or what it is an alias of, has a price."""
        return self.aliases.get(model, model) in self.models

    def prices_of(self, model: str) -> tuple[ModelPrice, ...]:
        """The prices of a model, oldest first. Raises UnpricedModel."""
        found = self.models.get(self.aliases.get(model, model))
        if not found:
            raise UnpricedModel(f"the price book has no entry for the model {model!r}")
        return found

    def priced_name(self, served: str, requested: str) -> str:
        """The name to price by: what served the turn, or what was asked for where the book lacks the former."""
        return served if self.knows(served) else requested


@dataclass(frozen=True, slots=True)
class Priced:
    """A cost in nano-USD and the entry of the price book it comes from."""

    cost_nano_usd: int
    entry: str
    peak: bool


@dataclass(frozen=True, slots=True)
class CardPrices:
    """What a model costs now, in nano-USD per 1,000 tokens, rounded up."""

    cached_input: int
    input: int
    output: int
    entry: str
    peak: bool


Dated = TypeVar("Dated", ModelPrice, SearchPrice)


def price(
    usage: Usage, model: str, when: float, book: PriceBook, searches: Mapping[str, int] | None = None
) -> Priced:
    """The cost of what was used at `when`. `searches` counts the paid calls of each search provider.

    Raises UnpricedModel.
    """
    found = _in_force(book.prices_of(model), when)
    rates, peak = found.at(when)
    cost = _tokens_cost(rates, usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens)
    return Priced(cost + search_cost(searches or {}, when, book), found.entry(peak), peak)


def hold_price(
    prompt_tokens: int,
    max_tokens: int,
    model: str,
    *,
    start: float,
    end: float,
    book: PriceBook,
    searches: Mapping[str, int] | None = None,
) -> Priced:
    """The most that a turn between `start` and `end` may cost: nothing cached, at the highest price it may meet.

    Raises UnpricedModel.
    """
    known = book.prices_of(model)
    met = [p for p in known if start < p.valid_from <= end] + [_in_force(known, start)]
    worst = Priced(-1, "", False)
    for found in met:
        peak = found.calendar is not None and found.calendar.touches_peak(max(start, found.valid_from), end)
        for rates, is_peak in (
            ((found.off_peak, False), (found.peak, True)) if peak else ((found.off_peak, False),)
        ):
            cost = _tokens_cost(rates, prompt_tokens, 0, max_tokens)
            if cost > worst.cost_nano_usd:
                worst = Priced(cost, found.entry(is_peak), is_peak)
    searching = max(search_cost(searches or {}, moment, book) for moment in (start, end))
    return Priced(worst.cost_nano_usd + searching, worst.entry, worst.peak)


def search_cost(searches: Mapping[str, int], when: float, book: PriceBook) -> int:
    """The cost of paid search calls, by provider; one that the book does not list is free."""
    total = 0
    for provider, calls in searches.items():
        known = book.searches.get(provider)
        if known:
            total += _line(calls, _in_force(known, when).per_million_calls)
    return total


def cached_cost(cost_nano_usd: int, book: PriceBook) -> int:
    """What an answer of this cost is charged where it comes from the cache or from somebody else's stream."""
    return -(-max(cost_nano_usd, 0) * book.cached_answer_percent // 100)


def card_prices(model: str, when: float, book: PriceBook) -> CardPrices:
    """What a list of models shows. Raises UnpricedModel."""
    found = _in_force(book.prices_of(model), when)
    rates, peak = found.at(when)
    return CardPrices(
        cached_input=_line(1_000, rates.cached_input),
        input=_line(1_000, rates.input),
        output=_line(1_000, rates.output),
        entry=found.entry(peak),
        peak=peak,
    )


def _in_force(known: Sequence[Dated], when: float) -> Dated:
    return next((p for p in reversed(known) if p.valid_from <= when), known[0])


def _tokens_cost(rates: Rates, prompt: int, cached: int, completion: int) -> int:
    prompt = max(prompt, 0)
    cached = min(max(cached, 0), prompt)
    return (
        _line(cached, rates.cached_input) + _line(prompt - cached, rates.input) + _line(completion, rates.output)
    )


def _line(amount: int, per_million: int) -> int:
    """Rounded up once; less than nothing costs nothing."""
    return -(-max(amount, 0) * per_million // MILLION)
