"""Reads one JSON object name by name, so that nothing in it goes unnoticed (pure)."""

from collections.abc import Mapping
from typing import TypeVar

from gateway.bridge.errors import bad

T = TypeVar("T")
_WORDS = {str: "a string", bool: "true or false", dict: "an object", list: "a list"}


class Fields:
    """A JSON object at `path`; null counts as absent. Every reader raises Refused (400) that names the field."""

    def __init__(self, values: Mapping[str, object], path: str = "") -> None:
        self._values = values
        self._path = path
        self._read: set[str] = set()

    def where(self, name: str) -> str:
        """The field as an error names it."""
        return f"{self._path}.{name}" if self._path else name

    def value(self, name: str) -> object:
        """What stands there, or None."""
        self._read.add(name)
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """A string."""
        return self._of(name, str)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        return self._of(name, bool)

    def inner(self, name: str) -> "Fields | None":
        """An object inside."""
        found = self._of(name, dict)
        return None if found is None else Fields(found, self.where(name))

    def items(self, name: str) -> list[object]:
        """A list; absent is empty."""
        return self._of(name, list) or []

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects; absent is empty."""
        return [as_fields(item, f"{self.where(name)}[{i}]") for i, item in enumerate(self.items(name))]

    def number(self, name: str) -> float | None:
        """A number."""
        found = self.value(name)
        if found is not None and (isinstance(found, bool) or not isinstance(found, int | float)):
            raise bad(self.where(name), "must be a number")
        try:
            return None if found is None else float(found)
        except OverflowError:
            raise bad(self.where(name), "is too large a number") from None

    def integer(self, name: str) -> int | None:
        """A whole number; 5.0 is one, as JSON does not tell them apart."""
        found = self.number(name)
        if found is not None and not found.is_integer():
            raise bad(self.where(name), "must be a whole number")
        return None if found is None else int(found)

    def required(self, name: str, found: T | None) -> T:
        """What was read, which must be there."""
        if found is None:
            raise bad(self.where(name), "is missing")
        return found

    def unread(self) -> list[str]:
        """Names that nobody has asked for and that hold something."""
        return sorted(n for n, v in self._values.items() if n not in self._read and v is not None)

    def _of(self, name: str, kind: type[T]) -> T | None:
        found = self.value(name)
        if found is None:
            return None
        if not isinstance(found, kind):
            raise bad(self.where(name), f"must be {_WORDS[kind]}")
        return found


def as_fields(value: object, path: str) -> Fields:
    """The fields of a value that must be an object."""
    if not isinstance(value, dict):
        raise bad(path, "must be an object")
    return Fields(value, path)
