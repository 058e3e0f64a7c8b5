"""Strict JSON for requests: one text has one meaning, and none is deeper than the stack (pure)."""

import json
import re
from math import isfinite
from typing import NoReturn

from gateway.bridge.errors import bad

MAX_NESTING = 64
_SURROGATE = re.compile(rb"\\u[dD][89abAB]")


def read_json(data: bytes) -> object:
    """The value of a request body.

    Raises Refused (400) for what is not UTF-8 JSON, for a name that stands twice in one object, for NaN, infinite
    numbers and half characters, and for more than 64 levels.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise bad("", "the body is not UTF-8 text") from None
    except UnicodeEncodeError:
        raise bad("", "the body holds half a character: a \\ud8xx escape without its other half") from None
    except RecursionError:
        raise bad("", f"the body nests deeper than {MAX_NESTING} levels") from None
    except json.JSONDecodeError as error:
        raise bad("", f"the body is not valid JSON: {error.msg} at line {error.lineno}") from None
    except ValueError:
        raise bad("", "the body holds a number with too many digits") from None
    if _is_deeper(value, MAX_NESTING):
        raise bad("", f"the body nests deeper than {MAX_NESTING} levels")
    return value


def read_object(data: bytes) -> dict[str, object]:
    """The same for a body that must be an object."""
    if not data.strip():
        raise bad("", "the body is empty; send a JSON object")
    value = read_json(data)
    if not isinstance(value, dict):
        raise bad("", "the body must be a JSON object")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise bad(name[:64], "is there twice")
            seen.add(name)
    return found


def _constant(word: str) -> NoReturn:
    raise bad("", f"{word} is no JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise bad("", f"{text[:32]} is too large a number")
    return number


def _is_deeper(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        inner: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                inner += [v for v in item.values() if isinstance(v, dict | list)]
            elif isinstance(item, list):
                inner += [v for v in item if isinstance(v, dict | list)]
        if not inner:
            return False
        layer = inner
    return True
