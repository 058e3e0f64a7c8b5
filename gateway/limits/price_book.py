"""Reads a price book: TOML text in, prices out, or every fault of it at once."""

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise

from gateway.limits.pricing import Calendar, ModelPrice, PriceBook, Rates, SearchPrice

_WEEKDAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_ZONE = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)")
_EPOCH = dt.date(1970, 1, 1)
_NANO = 10**9
_MOST_USD = 1_000_000
_FREE = Rates(0, 0, 0)


class BookError(ValueError):
    """The price book cannot be used; `faults` says everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def load_book(text: str) -> PriceBook:
    """The price book that this TOML text describes. Raises BookError with every fault."""
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BookError([f"prices: not TOML: {error}"]) from error
    faults: list[str] = []
    book = _Reader(faults).book(raw)
    if faults:
        raise BookError(faults)
    return book


class _Reader:
    """Reads the tables and notes each fault with the place where it is; a faulty value reads as a harmless one."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def book(self, raw: Mapping[str, object]) -> PriceBook:
        self._only(raw, "prices", {"calendars", "models", "searches"})
        calendars = {
            name: self._calendar(self._table(value, f"calendars.{name}"), f"calendars.{name}")
            for name, value in self._table(raw.get("calendars", {}), "calendars").items()
        }
        models: dict[str, list[ModelPrice]] = {}
        aliases: dict[str, str] = {}
        for where, table in self._tables(raw, "models"):
            found = self._model(table, where, calendars)
            self._add(models.setdefault(found.model, []), found, where)
            for alias in self._words(table.get("aliases", []), f"{where}.aliases"):
                if aliases.setdefault(alias, found.model) != found.model:
                    self._fault(where, f"the alias {alias!r} belongs to {aliases[alias]!r} already")
        for alias in aliases.keys() & models.keys():
            self._fault("models", f"{alias!r} is a model and an alias of {aliases[alias]!r}")
        if not models:
            self._fault("models", "at least one [[models]] entry is needed")
        return PriceBook(
            {name: tuple(sorted(dated, key=lambda p: p.valid_from)) for name, dated in models.items()},
            aliases,
            self._searches(raw),
        )

    def _model(self, table: Mapping[str, object], where: str, calendars: Mapping[str, Calendar]) -> ModelPrice:
        self._only(table, where, {"name", "aliases", "valid_from", "calendar", "off_peak", "peak", "price"})
        valid_from, date = self._moment(table.get("valid_from"), f"{where}.valid_from")
        name = self._word(table.get("name"), f"{where}.name")
        if "calendar" not in table:
            for key in {"peak", "off_peak"} & table.keys():
                self._fault(where, f"{key} needs a calendar; one price for every hour is called price")
            rates = self._rates(table.get("price"), f"{where}.price")
            return ModelPrice(name, valid_from, date, rates, rates, None)
        if "price" in table:
            self._fault(where, "with a calendar give peak and off_peak instead of price")
        calendar = calendars.get(self._word(table["calendar"], f"{where}.calendar"))
        if calendar is None:
            self._fault(f"{where}.calendar", f"unknown; known are {', '.join(sorted(calendars)) or 'none'}")
        off_peak = self._rates(table.get("off_peak"), f"{where}.off_peak")
        return ModelPrice(
            name, valid_from, date, off_peak, self._rates(table.get("peak"), f"{where}.peak"), calendar
        )

    def _searches(self, raw: Mapping[str, object]) -> dict[str, tuple[SearchPrice, ...]]:
        found: dict[str, list[SearchPrice]] = {}
        for where, table in self._tables(raw, "searches"):
            self._only(table, where, {"provider", "valid_from", "per_1000_calls"})
            moment, _ = self._moment(table.get("valid_from"), f"{where}.valid_from")
            per_1000 = self._nano_usd(table.get("per_1000_calls"), f"{where}.per_1000_calls")
            provider = self._word(table.get("provider"), f"{where}.provider")
            self._add(found.setdefault(provider, []), SearchPrice(moment, per_1000 * 1_000), where)
        return {name: tuple(sorted(dated, key=lambda p: p.valid_from)) for name, dated in found.items()}

    def _calendar(self, table: Mapping[str, object], where: str) -> Calendar:
        self._only(table, where, {"zone", "weekdays", "peak", "holidays"})
        weekdays = self._words(table.get("weekdays"), f"{where}.weekdays")
        for day in set(weekdays) - _WEEKDAYS.keys():
            self._fault(f"{where}.weekdays", f"{day!r} is none of {', '.join(_WEEKDAYS)}")
        windows = sorted(self._window(hours, where) for hours in self._words(table.get("peak"), f"{where}.peak"))
        for (_, closes), (opens, _) in pairwise(windows):
            if opens < closes:
                self._fault(f"{where}.peak", "windows overlap")
        holidays = self._list(table.get("holidays", []), f"{where}.holidays")
        return Calendar(
            self._zone(table.get("zone", "UTC"), f"{where}.zone"),
            frozenset(_WEEKDAYS[day] for day in weekdays if day in _WEEKDAYS),
            tuple(windows),
            frozenset(self._day(value, f"{where}.holidays") for value in holidays),
        )

    def _window(self, hours: str, where: str) -> tuple[int, int]:
        match = _HOURS.fullmatch(hours)
        if match:
            from_h, from_m, to_h, to_m = map(int, match.groups())
            opens, closes = from_h * 3600 + from_m * 60, to_h * 3600 + to_m * 60
            if opens < closes <= 86_400:
                return opens, closes
        self._fault(f"{where}.peak", f"{hours!r} is not HH:MM-HH:MM within one day, the earlier time first")
        return 0, 0

    def _zone(self, value: object, where: str) -> int:
        if value == "UTC":
            return 0
        match = _ZONE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self._fault(where, f'{value!r} is an unknown zone; give "UTC" or an offset such as "+08:00"')
            return 0
        sign, hours, minutes = match.groups()
        return (1 if sign == "+" else -1) * (int(hours) * 3600 + int(minutes) * 60)

    def _rates(self, value: object, where: str) -> Rates:
        if value is None:
            self._fault(
                where, "missing; it is a table of cached_input, input and output in USD per million tokens"
            )
            return _FREE
        table = self._table(value, where)
        self._only(table, where, {"cached_input", "input", "output"})
        cached, full, output = (
            self._nano_usd(table.get(key), f"{where}.{key}") for key in ("cached_input", "input", "output")
        )
        return Rates(cached, full, output)

    def _nano_usd(self, value: object, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self._fault(where, "missing; it is an amount in USD" if value is None else "not an amount in USD")
            return 0
        if not Decimal(value).is_finite() or not 0 <= value <= _MOST_USD:
            self._fault(where, f"{value} is not between 0 and {_MOST_USD:,} USD")
            return 0
        nano = Decimal(value) * _NANO
        if nano != int(nano):
            self._fault(where, f"{value} has more than nine decimals")
        return int(nano)

    def _moment(self, value: object, where: str) -> tuple[float, str]:
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value.timestamp(), value.astimezone(dt.UTC).date().isoformat()
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return (value - _EPOCH).days * 86_400.0, value.isoformat()
        self._fault(where, "not a date or a time with its offset, such as 2026-08-16T16:00:00Z")
        return 0.0, ""

    def _day(self, value: object, where: str) -> int:
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return (value - _EPOCH).days
        self._fault(where, f"{value} is not a date")
        return -1

    def _add(self, dated: list[ModelPrice] | list[SearchPrice], new: ModelPrice | SearchPrice, where: str) -> None:
        if any(old.valid_from == new.valid_from for old in dated):
            self._fault(where, "another price of the same name holds from the same moment: the dates overlap")
        dated.append(new)  # type: ignore[arg-type]  # callers pass a list of the kind of `new`

    def _only(self, table: Mapping[str, object], where: str, known: set[str]) -> None:
        for key in sorted(table.keys() - known):
            self._fault(f"{where}.{key}", f"unknown; known are {', '.join(sorted(known))}")

    def _tables(self, raw: Mapping[str, object], key: str) -> list[tuple[str, Mapping[str, object]]]:
        values = self._list(raw.get(key, []), key)
        return [(f"{key}[{i}]", self._table(value, f"{key}[{i}]")) for i, value in enumerate(values)]

    def _table(self, value: object, where: str) -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        self._fault(where, "not a table")
        return {}

    def _list(self, value: object, where: str) -> list[object]:
        if isinstance(value, list):
            return value
        self._fault(where, "missing; it is a list" if value is None else "not a list")
        return []

    def _words(self, value: object, where: str) -> list[str]:
        return [self._word(item, where) for item in self._list(value, where)]

    def _word(self, value: object, where: str) -> str:
        if isinstance(value, str) and value:
            return value
        self._fault(where, "missing; it is a name" if value is None else "not a name")
        return ""

    def _fault(self, where: str, what: str) -> None:
        self._faults.append(f"{where}: {what}")
