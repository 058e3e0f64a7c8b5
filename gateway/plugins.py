"""A file's name is its registration: `search.providers = ["embedded"]` loads `gateway/search/embedded.py`."""

import re
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType

NAME = re.compile(r"[a-z][a-z0-9_]*")


def load(package: str, name: str) -> ModuleType:
    """The module `name` of a station's package. Raises LookupError for what is no provider there."""
    if NAME.fullmatch(name) is None or find_spec(f"{package}.{name}") is None:
        raise LookupError(name)
    module = import_module(f"{package}.{name}")
    if not hasattr(module, "create"):
        raise LookupError(name)
    return module


def names(package: str) -> list[str]:
    """Every name that `load` knows in a station's package; imports all of it, so only for telling a person."""
    found = (module.name for module in iter_modules(import_module(package).__path__))
    return sorted(name for name in found if hasattr(import_module(f"{package}.{name}"), "create"))
