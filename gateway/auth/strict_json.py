"""JSON read so that one text has one meaning, and no text can break the parser. Pure.

RFC 8725 section 2.4 and RFC 8259 section 4: members that occur twice mean different things to different readers.
"""

import json
import math
import re

MAX_DEPTH = 32

# Possessive, and the closing quote may be missing: every quote is looked at once, so the time is linear.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKET = re.compile(r"[^\[\]{}]++")


def parse_object(raw: bytes) -> dict[str, object]:
    """The JSON object in `raw`, UTF-8. Raises ValueError for anything else.

    Refused as well: a member that occurs twice, NaN and infinities in any spelling, nesting beyond 32 levels.
    """
    text = raw.decode("utf-8")
    if _is_too_deep(text):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    value = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _is_too_deep(text: str) -> bool:
    """Must be known before parsing: the parser recurses once per level."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _NOT_BRACKET.sub("", _STRING.sub("", text)):
        depth += 1 if bracket in "{[" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _unique(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
