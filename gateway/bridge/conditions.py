"""Dify's metadata conditions over the facts of a source (pure)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.bridge.errors import bad
from gateway.bridge.fields import Fields

Facts = Mapping[str, object]
Test = Callable[[str, str], bool]
MAX_CONDITIONS = 50

_TEXTS: Mapping[str, Test] = {
    "contains": lambda found, wanted: wanted in found,
    "not contains": lambda found, wanted: wanted not in found,
    "start with": lambda found, wanted: found.startswith(wanted),
    "end with": lambda found, wanted: found.endswith(wanted),
    "is": lambda found, wanted: found == wanted,
    "is not": lambda found, wanted: found != wanted,
}
_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "≠": lambda found, wanted: found != wanted,
    ">": lambda found, wanted: found > wanted,
    "<": lambda found, wanted: found < wanted,
    "≥": lambda found, wanted: found >= wanted,
    "≤": lambda found, wanted: found <= wanted,
}
_TIMES: Mapping[str, Callable[[float, float], bool]] = {
    "before": lambda found, wanted: found < wanted,
    "after": lambda found, wanted: found > wanted,
}
_LISTS = ("in", "not in")
_EMPTY = ("empty", "not empty")
OPERATORS = (*_TEXTS, *_LISTS, *_EMPTY, *_NUMBERS, *_TIMES)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; of several names any may fulfil it."""

    names: tuple[str, ...]
    operator: str
    value: object

    def holds(self, facts: Facts) -> bool:
        """Whether a source with these facts fulfils it."""
        return any(_holds(facts.get(name), self.operator, self.value) for name in self.names)


@dataclass(frozen=True, slots=True)
class Conditions:
    """All conditions of a query; none means that every source fulfils them."""

    items: tuple[Condition, ...] = ()
    any_suffices: bool = False

    def hold(self, facts: Facts) -> bool:
        """Whether a source with these facts stays."""
        if not self.items:
            return True
        results = (condition.holds(facts) for condition in self.items)
        return any(results) if self.any_suffices else all(results)


def read_conditions(body: Fields) -> Conditions:
    """`metadata_condition`. Raises Refused for what is not understood: it must never mean "no filter"."""
    wish = body.inner("metadata_condition")
    if wish is None:
        return Conditions()
    operator = wish.text("logical_operator") or "and"
    if operator not in ("and", "or"):
        raise bad(wish.where("logical_operator"), "must be and, or")
    items = wish.objects("conditions")
    if len(items) > MAX_CONDITIONS:
        raise bad(wish.where("conditions"), f"holds at most {MAX_CONDITIONS}")
    return Conditions(tuple(_read(item) for item in items), operator == "or")


def _read(fields: Fields) -> Condition:
    name = fields.required("name", fields.value("name"))
    names = [name] if isinstance(name, str) else name
    if not isinstance(names, list) or not names or not all(isinstance(item, str) for item in names):
        raise bad(fields.where("name"), "must be the name of a metadata field")
    operator = fields.required("comparison_operator", fields.text("comparison_operator"))
    value = fields.value("value")
    if operator not in OPERATORS:
        raise bad(fields.where("comparison_operator"), f"{operator[:32]!r} is none of {', '.join(OPERATORS)}")
    if operator in _NUMBERS and _number(value) is None:
        raise bad(fields.where("value"), "must be a number")
    if operator in _TIMES and _moment(value) is None:
        raise bad(fields.where("value"), "must be a date such as 2026-01-31, or seconds since 1970")
    if operator in (*_TEXTS, *_LISTS) and value is None:
        raise bad(fields.where("value"), "is missing")
    return Condition(tuple(str(item) for item in names), operator, value)


def _holds(found: object, operator: str, value: object) -> bool:
    text = _text(found)
    if operator in _EMPTY:
        return bool(text) is (operator == "not empty")
    if operator in _TEXTS:
        return _TEXTS[operator](text, _text(value))
    if operator in _LISTS:
        wanted = value if isinstance(value, list) else [part.strip() for part in _text(value).split(",")]
        return (text in [_text(item) for item in wanted]) is (operator == "in")
    if operator in _NUMBERS:
        number, other = _number(found), _number(value)
        return number is not None and other is not None and _NUMBERS[operator](number, other)
    moment, limit = _moment(found), _moment(value)
    return moment is not None and limit is not None and _TIMES[operator](moment, limit)


def _text(value: object) -> str:
    return "" if value is None else str(value).casefold()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _moment(value: object) -> float | None:
    number = _number(value)
    if number is not None or not isinstance(value, str):
        return number
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
