"""The picture of the house: its rooms, who may see whom, and which files only decide. Change it with the code."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from tests.support.source_tree import Source, SourceTree

STATIONS = {"auth", "limits", "ledger", "cache", "search", "models", "tools", "audit", "telemetry"}
PROMISES = {f"gateway.{station}" for station in STATIONS}

# A file at the top of the package that is no room of its own.
ROOM_OF = {
    "": "version",
    "v1": "stubs",
    "settings": "configuration",
    "sections": "configuration",
    "upstream_sections": "configuration",
    "load_sections": "configuration",
    "trust": "configuration",
    "schema": "configuration",
    "tenancy": "configuration",
    "plugins": "plugins",
    "identity": "app",
    "fresh_ids": "app",
    "searching": "app",
    "http_port": "app",
    "metering": "app",
    "upstreams": "app",
    "bookkeeping": "app",
    "admitting": "app",
    "user_digests": "app",
    "auditing": "app",
    "caching": "app",
    "inbox": "inbox",
    "redis_commands": "redis",
    "__main__": "cli",
}
EVERYTHING = {"everything"}
OUTSIDE = {"stubs", "client"}

# Who may import whom, beside its own room and the version. `promises` are the `__init__` files of stations, `pure`
# are the files of stations that only decide.
MAY_IMPORT = {
    "version": set[str](),
    "domain": set[str](),
    # What may be wrong with a setting is decided where the setting is used.
    "configuration": {"domain", "promises", "pure"},
    **{station: {"domain"} for station in STATIONS},
    # Loads a file of a room by its name, for the room itself too.
    "plugins": set[str](),
    # Books and audit each have one thread that writes; what hands work to it is the same.
    "inbox": set[str](),
    # Whoever asks Redis in passing does it in the same way.
    "redis": {"domain"},
    "audit": {"domain", "inbox"},
    "ledger": {"domain", "inbox", "plugins"},
    "limits": {"domain", "plugins", "redis"},
    # What leaves the process is sealed the same way everywhere.
    "sealing": {"domain"},
    "cache": {"domain", "redis", "sealing"},
    "pipeline": {"domain", "promises", "pure"},
    # Settings are frozen values, like the nouns of the domain.
    "server": {"domain", "configuration", "stubs", "pipeline", "promises"},
    # The parent of several workers, which keeps their limits.
    "workers": {"configuration", "limits", "domain"},
    "client": {"stubs"},
    "bridge": OUTSIDE,
    "edge": OUTSIDE,
    "worker": OUTSIDE,
    "commands": EVERYTHING,
    "app": EVERYTHING,
    "cli": EVERYTHING,
}
# Rooms that choose their libraries from a list; the others may use any that the lock holds.
LIBRARIES = {
    "version": set[str](),
    "domain": set[str](),
    "configuration": set[str](),
    "pipeline": set[str](),
    "client": {"grpc", "google"},  # the base install holds nothing else
    "workers": set[str](),  # the parent stays small, and can hardly fail
}

# Files that decide and never do; so is all of the domain, and whatever these import of their own room. What the
# pipeline decides may rest on what stations decide.
PURE = {
    "gateway/ledger/sightings.py",
    *(f"gateway/workers/{name}.py" for name in ("backoff", "pages", "steering")),
    *(f"gateway/pipeline/{name}.py" for name in ("bill", "job", "ladder", "meter", "plan")),
    *(f"gateway/pipeline/{name}.py" for name in ("said", "sharing")),
    *(f"gateway/cache/{name}.py" for name in ("keys", "codec", "lifetime")),
    "gateway/sealing/envelope.py",
    *(
        f"gateway/auth/{name}.py"
        for name in ("claims", "introspected", "keys", "policy", "refusal", "revocation", "token_request")
    ),
    *(f"gateway/audit/{name}.py" for name in ("chain", "draft", "records")),
    *(f"gateway/limits/{name}.py" for name in ("billing", "bucket", "estimate", "price_book", "pricing", "quota")),
    *(f"gateway/limits/{name}.py" for name in ("adaptive", "line", "slots")),
    *(f"gateway/models/{name}.py" for name in ("sse", "openai_wire", "http_head", "http_body", "catalogue")),
    *(
        f"gateway/models/{name}.py"
        for name in ("breaker", "complexity", "health", "openai_request", "profiles", "retry", "routing")
    ),
    *(
        f"gateway/search/{name}.py"
        for name in (
            *("decide", "evidence", "citations", "support", "tokens", "egress", "exchange", "dates", "query_text"),
            *(
                "calls",
                "outcomes",
                "wording",
                "codec",
                "standing",
                "key_points",
                "best_passages",
                "layout_tables",
                "reader_frames",
                "links",
            ),
        )
    ),
    *(f"gateway/server/{name}.py" for name in ("caller_address", "frames", "requests", "status")),
    *(f"gateway/bridge/{name}.py" for name in ("openai", "chunks", "answer", "errors", "dify", "openapi")),
}
CLOCKS_AND_CHANCE = {"time", "random", "secrets", "uuid"}
DOING = {"asyncio", "threading", "subprocess", "socket", "os", "logging", "sqlite3", "concurrent"}
WIRE = {"google.protobuf", "google.rpc"}
NOW = {"now", "utcnow", "today"}


def room(module: str) -> str | None:
    """The room that a module lies in; None for what is not ours."""
    top, _, rest = module.partition(".")
    if top in {"deepseek_pb2", "deepseek_pb2_grpc"}:
        return "stubs"
    if top == "gateway_client":
        return "client"
    name = rest.split(".")[0]
    return ROOM_OF.get(name, name) if top == "gateway" else None


def pure_modules(tree: SourceTree) -> set[str]:
    """The modules that only decide; the promises of stations are types and do not count."""
    waiting = [source for source in tree.sources if source.path in PURE or room(source.module) == "domain"]
    found: set[str] = set()
    while waiting:
        source = waiting.pop()
        found.add(source.module)
        near = {i.target for i in tree.imports(source) if room(i.target) in _rooms_of_reason(source)}
        waiting += [tree.modules[name] for name in (near & tree.modules.keys()) - PROMISES - found]
    return found


def layers(tree: SourceTree) -> Iterator[str]:
    """Everybody looks down, never sideways, never up."""
    pure = pure_modules(tree)
    for source in tree.sources:
        own = room(source.module) or ""
        if own not in MAY_IMPORT:
            yield source.at(
                1, f"{own} is no room of the house: give the file a room, or draw one in house_plan.py"
            )
            continue
        for imported in tree.imports(source):
            if not _may_see(own, imported.target, pure):
                yield source.at(imported.line, f"{own} must not import {imported.target}")


def _may_see(own: str, target: str, pure: set[str]) -> bool:
    seen, other = MAY_IMPORT[own], room(target)
    if other is None:
        top = target.split(".", maxsplit=1)[0]
        return own not in LIBRARIES or top in sys.stdlib_module_names or top in LIBRARIES[own]
    if other in seen | {own, "version"} or seen is EVERYTHING:
        return True
    promised = "promises" in seen and target in PROMISES
    return other in STATIONS and (promised or ("pure" in seen and target in pure))


def cycles(tree: SourceTree) -> Iterator[str]:
    """No file imports itself in the end."""
    graph = {
        source.module: {i.target for i in tree.imports(source) if i.target in tree.modules}
        for source in tree.sources
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"an import cycle: {' -> '.join(reversed(error.args[1]))}"


def purity(tree: SourceTree) -> Iterator[str]:
    """What decides holds no await, no clock, no chance and no library, so a test needs nothing but arguments."""
    for source in (tree.modules[name] for name in sorted(pure_modules(tree))):
        for imported in tree.imports(source):
            if not _is_material(source, imported.target):
                yield source.at(
                    imported.line, f"a pure file must not import {imported.target}: pass what it gives"
                )
        for node in ast.walk(source.syntax):
            if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.AsyncFunctionDef):
                yield source.at(node, "a pure file holds no await: do it in the file beside it")
            if isinstance(node, ast.Attribute) and node.attr in NOW:
                yield source.at(
                    node, f"a pure file holds no clock: take the moment as an argument, not .{node.attr}()"
                )


def _is_material(source: Source, target: str) -> bool:
    other = room(target)
    if other is None:
        top = target.split(".", maxsplit=1)[0]
        standard = top in sys.stdlib_module_names and top not in CLOCKS_AND_CHANCE | DOING
        wire = any(target == package or target.startswith(f"{package}.") for package in WIRE)
        return standard or (wire and room(source.module) != "domain")
    return other in {"domain", "stubs"} | _rooms_of_reason(source) or target in PROMISES


def _rooms_of_reason(source: Source) -> set[str | None]:
    """The rooms whose files a pure file may build on, which makes them pure as well."""
    own = room(source.module)
    if own == "server":
        return {own, "pipeline"}
    return {own, *STATIONS} if own == "pipeline" else {own}
