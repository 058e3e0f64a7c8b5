"""Python files as syntax trees with their imports resolved; nothing is imported and nothing runs."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOTS = {"gateway": "", "clients/python/gateway_client": "clients/python/"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Import:
    """One import: the module it reaches, as far as its name is a file of the tree, and the line it stands on."""

    target: str
    line: int


@dataclass(frozen=True, slots=True)
class Source:
    """One file. `path` is relative to the repository, `module` the name it is imported by."""

    path: str
    module: str
    syntax: ast.Module
    length: int

    def at(self, place: ast.AST | int, message: str) -> str:
        """A violation as people read it: where, then what."""
        line = place if isinstance(place, int) else getattr(place, "lineno", 1)
        return f"{self.path}:{line}: {message}"


class SourceTree:
    """Every file of the house that people write."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.sources = [
            Source(path, module_name(path), ast.parse(text, path), text.count("\n"))
            for path, text in texts.items()
        ]
        self.modules = {source.module: source for source in self.sources}

    @classmethod
    def read(cls, repository: Path) -> Self:
        """The files under both packages, generated ones left out."""
        found = (path for root in ROOTS for path in sorted((repository / root).rglob("*.py")))
        texts = {path.relative_to(repository).as_posix(): path.read_text("utf-8") for path in found}
        return cls({path: text for path, text in texts.items() if not is_generated(path)})

    def imports(self, source: Source) -> Iterator[Import]:
        """Every import of a file, wherever in it, as a module name of the tree where it is one."""
        for node in ast.walk(source.syntax):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(source, node)
                for alias in node.names:
                    longest = f"{base}.{alias.name}"
                    yield Import(longest if longest in self.modules else base, node.lineno)

    @staticmethod
    def _base(source: Source, node: ast.ImportFrom) -> str:
        """The absolute name of what a `from` import starts at; dots count from the package of the file."""
        if not node.level:
            return node.module or ""
        parts = source.module.split(".")
        drop = node.level - source.path.endswith("/__init__.py")
        return ".".join([*parts[: len(parts) - drop], *filter(None, [node.module])])


def module_name(path: str) -> str:
    """`gateway/auth/__init__.py` is imported as `gateway.auth`."""
    for prefix in ROOTS.values():
        path = path.removeprefix(prefix)
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_generated(path: str) -> bool:
    """Whether `make proto` writes the file."""
    return path.startswith("gateway/v1/") or "_pb2" in path


def functions(source: Source) -> Iterator[Function]:
    """Every function and method of a file, nested ones too."""
    return (node for node in ast.walk(source.syntax) if isinstance(node, Function))


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What a function does itself: its body without the bodies of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def docstring_length(node: ast.Module | Function) -> int:
    """The lines that the docstring takes."""
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return (first.end_lineno or first.lineno) - first.lineno + 1
    return 0


def last_name(node: ast.AST) -> str:
    """`Queue` of both `Queue` and `asyncio.Queue`; empty for anything that is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
