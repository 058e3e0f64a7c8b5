"""The house stays as it was drawn: imports look down, files and functions stay small, traps stay shut."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support import house_habits, house_plan
from tests.support.source_tree import SourceTree

REPOSITORY = Path(__file__).resolve().parent.parent

READS_THE_ENVIRONMENT = {
    "gateway/settings.py": "the operator's settings, read once",
    "clients/python/gateway_client/settings.py": "the caller's settings, in programs that have no gateway",
    "gateway/cli.py": "gRPC's own notes to standard error are switched off before it is loaded",
}
CATCHES_EVERYTHING = {
    "gateway/server/door.py": "no exception's text may leave through the door, whatever it is",
    "gateway/limits/tokenizer.py": "the package `tokenizers` raises plain Exception for a file it cannot read",
    "gateway/bridge/door.py": "no exception's text may leave through HTTP either",
}
Rule = Callable[[SourceTree], Iterator[str]]
RULES: dict[str, Rule] = {
    "layers": house_plan.layers,
    "cycles": house_plan.cycles,
    "purity": house_plan.purity,
    "sizes": house_habits.sizes,
    "type_checking": house_habits.type_checking,
    "late_imports": house_habits.late_imports,
    "globals": house_habits.globals_,
    "environment": partial(house_habits.environment, allowed=READS_THE_ENVIRONMENT),
    "broad_excepts": partial(house_habits.broad_excepts, allowed=CATCHES_EVERYTHING),
    "generators": partial(house_habits.generators, allowed_folder="gateway/models/"),
    "unbounded_queues": house_habits.unbounded_queues,
    "code_in_bytes": house_habits.code_in_bytes,
    "address_guesses": house_habits.address_guesses,
    "json_to_messages": house_habits.json_to_messages,
}

LONG_FUNCTION = "def f():\n" + "    f()\n" * 40
AUTH = {"gateway/auth/__init__.py": "", "gateway/auth/jwt.py": "", "gateway/auth/claims.py": ""}

# What each rule refuses: a file, or several, of a house with that one fault.
BROKEN: list[tuple[str, dict[str, str]]] = [
    ("layers", {"gateway/domain/x.py": "import orjson"}),
    ("layers", {"gateway/domain/x.py": "from gateway.server import frames"}),
    ("layers", {"gateway/search/x.py": "from gateway.auth import Authenticator"}),
    ("layers", {"gateway/search/x.py": "from ..auth import jwt", **AUTH}),
    ("layers", {"gateway/search/x.py": "import gateway.v1.search_pb2"}),
    ("layers", {"gateway/search/x.py": "from gateway.settings import Settings"}),
    ("layers", {"gateway/server/x.py": "from gateway.auth import jwt", **AUTH}),
    ("layers", {"gateway/server/x.py": "from gateway.app import build"}),
    ("layers", {"gateway/pipeline.py": "from gateway.auth.jwt import Jwt", **AUTH}),
    ("layers", {"gateway/pipeline.py": "from gateway.v1 import content_pb2"}),
    ("layers", {"gateway/bridge/x.py": "from gateway.domain.errors import Reason"}),
    ("layers", {"gateway/bridge/x.py": "from gateway import pipeline", "gateway/pipeline.py": ""}),
    ("layers", {"gateway/server/x.py": "from gateway.commands import ask"}),
    ("layers", {"clients/python/gateway_client/x.py": "import aiohttp"}),
    ("layers", {"clients/python/gateway_client/x.py": "from gateway.domain.errors import Reason"}),
    ("layers", {"gateway/helpers.py": ""}),
    (
        "cycles",
        {"gateway/domain/a.py": "from gateway.domain import b", "gateway/domain/b.py": "import gateway.domain.a"},
    ),
    ("purity", {"gateway/auth/claims.py": "import jwt"}),
    ("purity", {"gateway/auth/jwt.py": "import jwt", "gateway/auth/claims.py": "from gateway.auth import jwt"}),
    ("purity", {"gateway/server/frames.py": "from gateway.auth import jwt", **AUTH}),
    ("purity", {"gateway/auth/claims.py": "import time"}),
    (
        "purity",
        {"gateway/pipeline/plan.py": "from gateway.auth import jwt", "gateway/auth/jwt.py": "import aiohttp"},
    ),
    ("purity", {"gateway/limits/bucket.py": "async def f():\n    pass"}),
    ("purity", {"gateway/domain/x.py": "from datetime import datetime\nx = datetime.now()"}),
    ("purity", {"gateway/domain/x.py": "from google.protobuf.message import Message"}),
    ("sizes", {"gateway/search/x.py": "x = 1\n" * 301}),
    ("sizes", {"gateway/search/x.py": LONG_FUNCTION}),
    ("type_checking", {"gateway/search/x.py": "import typing\nif typing.TYPE_CHECKING:\n    import x"}),
    ("type_checking", {"gateway/search/x.py": "from typing import TYPE_CHECKING as T"}),
    (
        "late_imports",
        {"gateway/search/x.py": "class A:\n    def f(self):\n        if self:\n            import json"},
    ),
    ("globals", {"gateway/search/x.py": "def f():\n    global x\n    x = 1"}),
    ("environment", {"gateway/search/x.py": "import os\nx = os.environ['A']"}),
    ("environment", {"gateway/search/x.py": "from os import getenv"}),
    ("broad_excepts", {"gateway/search/x.py": "try:\n    pass\nexcept:\n    pass"}),
    ("broad_excepts", {"gateway/search/x.py": "try:\n    pass\nexcept (OSError, Exception):\n    pass"}),
    ("broad_excepts", {"gateway/search/x.py": "with contextlib.suppress(BaseException):\n    pass"}),
    ("broad_excepts", {"gateway/search/x.py": "try:\n    pass\nexcept BaseException:\n    pass"}),
    ("broad_excepts", {"gateway/search/x.py": "try:\n    pass\nexcept Exception:\n    raise"}),
    ("generators", {"gateway/search/x.py": "async def f():\n    yield 1"}),
    ("unbounded_queues", {"gateway/search/x.py": "import asyncio\nx = asyncio.Queue()"}),
    ("unbounded_queues", {"gateway/search/x.py": "from asyncio import Queue\nx = Queue(maxsize=0)"}),
    ("code_in_bytes", {"gateway/search/x.py": "from pickle import loads"}),
    ("address_guesses", {"gateway/search/x.py": "x = ip_address('::1').is_private"}),
    ("json_to_messages", {"gateway/bridge/x.py": "from google.protobuf import json_format\njson_format.Parse"}),
    ("json_to_messages", {"gateway/bridge/x.py": "from google.protobuf.json_format import ParseDict"}),
]

# What looks like a fault and is none.
SOUND: list[tuple[str, dict[str, str]]] = [
    ("layers", {"gateway/server/x.py": "from gateway.auth import Authenticator\nimport grpc", **AUTH}),
    ("layers", {"gateway/pipeline.py": "from gateway.auth.claims import Claims", **AUTH}),
    ("layers", {"gateway/bridge/x.py": "from gateway.v1 import inference_pb2\nimport gateway_client, aiohttp"}),
    ("layers", {"gateway/commands/x.py": "from gateway import app, __version__", "gateway/app.py": ""}),
    ("cycles", {"gateway/domain/a.py": "from gateway.domain import b", "gateway/domain/b.py": ""}),
    ("purity", {"gateway/auth/jwt.py": "import time, jwt\nasync def f():\n    await g()"}),
    ("purity", {"gateway/pipeline/plan.py": "from gateway.auth.claims import Claims", **AUTH}),
    ("purity", {"gateway/server/frames.py": "from google.protobuf.message import Message\nimport json"}),
    ("sizes", {"gateway/search/x.py": 'def f():\n    """' + "\n" * 50 + '    """\n'}),
    ("environment", {"gateway/settings.py": "import os\nx = os.environ"}),
    ("broad_excepts", {"gateway/server/door.py": "try:\n    pass\nexcept Exception:\n    pass"}),
    ("broad_excepts", {"gateway/search/x.py": "try:\n    pass\nexcept BaseException:\n    close()\n    raise"}),
    ("generators", {"gateway/models/x.py": "async def f():\n    yield 1"}),
    ("generators", {"gateway/search/x.py": "@contextlib.asynccontextmanager\nasync def f():\n    yield 1"}),
    ("generators", {"gateway/search/x.py": "async def f():\n    def g():\n        yield 1\n    return g"}),
    ("unbounded_queues", {"gateway/search/x.py": "x = asyncio.Queue(16)\ny = Queue(maxsize=n)"}),
]


@pytest.fixture(scope="module")
def house() -> SourceTree:
    """The house as it stands."""
    return SourceTree.read(REPOSITORY)


@pytest.mark.parametrize("name", RULES)
def test_the_house_keeps_the_rule(name: str, house: SourceTree) -> None:
    """Nothing in the packages breaks the rule."""
    violations = list(RULES[name](house))
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize(("name", "files"), BROKEN)
def test_the_rule_refuses_what_breaks_it(name: str, files: dict[str, str]) -> None:
    """A house with that one fault is refused, so the rule is able to fail."""
    assert list(RULES[name](SourceTree(files))) != []


@pytest.mark.parametrize(("name", "files"), SOUND)
def test_the_rule_allows_what_only_looks_like_a_fault(name: str, files: dict[str, str]) -> None:
    """What the house needs passes."""
    assert list(RULES[name](SourceTree(files))) == []


def test_every_rule_was_seen_to_fail() -> None:
    """No rule stands here without a house that it refuses."""
    assert {name for name, _ in BROKEN} == set(RULES)


def test_the_rules_see_the_whole_house(house: SourceTree) -> None:
    """Both packages are read, and nothing that is generated."""
    paths = {source.path for source in house.sources}
    assert {"gateway/__init__.py", "gateway/domain/errors.py", "gateway/auth/__init__.py"} <= paths
    assert any(path.startswith("clients/python/gateway_client/") for path in paths)
    assert not any("_pb2" in path for path in paths)


def test_the_lists_name_files_that_exist(house: SourceTree) -> None:
    """A file that was renamed does not silently leave a list."""
    named = house_plan.PURE | READS_THE_ENVIRONMENT.keys() | CATCHES_EVERYTHING.keys()
    assert sorted(named - {source.path for source in house.sources}) == []
