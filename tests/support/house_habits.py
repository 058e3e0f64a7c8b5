"""Rules about what stands inside one file. Each yields its violations; an allow-list maps a path to its reason."""

import ast
from collections.abc import Iterator, Mapping

from tests.support.source_tree import (
    Source,
    SourceTree,
    docstring_length,
    functions,
    last_name,
    own_nodes,
)

FILE_LINES = 300
FUNCTION_LINES = 40

BROAD = {"Exception", "BaseException"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
QUEUES = {"Queue", "LifoQueue", "PriorityQueue"}
CODE_IN_BYTES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
JSON_TO_MESSAGE = {"Parse", "ParseDict"}
Allowed = Mapping[str, str]


def sizes(tree: SourceTree) -> Iterator[str]:
    """Files and functions that one can read at once; docstrings are not counted."""
    for source in tree.sources:
        length = source.length - docstring_length(source.syntax)
        if length > FILE_LINES:
            yield source.at(1, f"{length} lines, over {FILE_LINES}: it has two jobs, give each its file")
        for function in functions(source):
            length = (function.end_lineno or 0) - function.lineno + 1 - docstring_length(function)
            if length > FUNCTION_LINES:
                yield source.at(function, f"{function.name} has {length} lines, over {FUNCTION_LINES}: split it")


def type_checking(tree: SourceTree) -> Iterator[str]:
    """A type that can be imported only for the checker hides a cycle."""
    for source, node in _nodes(tree):
        if last_name(node) == "TYPE_CHECKING" or (isinstance(node, ast.alias) and node.name == "TYPE_CHECKING"):
            yield source.at(node, "TYPE_CHECKING: move the type to where both may see it")


def late_imports(tree: SourceTree) -> Iterator[str]:
    """An import inside a function is a cycle or a cost that nobody sees."""
    for source in tree.sources:
        for function in functions(source):
            for node in own_nodes(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield source.at(node, f"an import inside {function.name}: move it to the top of the file")


def globals_(tree: SourceTree) -> Iterator[str]:
    """State belongs to an object that somebody opened and closes."""
    for source, node in _nodes(tree):
        if isinstance(node, ast.Global):
            yield source.at(node, f"global {', '.join(node.names)}: give it an owner")


def environment(tree: SourceTree, allowed: Allowed) -> Iterator[str]:
    """Configuration is read once, in one file; everybody else takes it as an argument."""
    for source, node in _nodes(tree):
        read = isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and last_name(node.value) == "os"
        taken = isinstance(node, ast.ImportFrom) and node.module == "os" and _taken(node, ENVIRONMENT)
        if (read or taken) and source.path not in allowed:
            yield source.at(node, "the environment is read in settings.py only: take the value as an argument")


def broad_excepts(tree: SourceTree, allowed: Allowed) -> Iterator[str]:
    """Catch what can be acted on; the rest passes to the one place that knows what to do with a bug."""
    for source, node in _nodes(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = [] if _cleans_up(node) else [node.type]
        elif isinstance(node, ast.Call) and last_name(node.func) == "suppress":
            caught = list(node.args)
        else:
            continue
        if source.path not in allowed and any(_is_broad(kind) for kind in caught):
            yield source.at(node, "catches everything: name what can be acted on")


def generators(tree: SourceTree, allowed_folder: str) -> Iterator[str]:
    """Async generators clean up late and in other tasks: only model providers and context managers are some."""
    for source in tree.sources:
        for function in functions(source):
            if not isinstance(function, ast.AsyncFunctionDef) or source.path.startswith(allowed_folder):
                continue
            managed = any(last_name(decorator) == "asynccontextmanager" for decorator in function.decorator_list)
            if not managed and any(isinstance(node, ast.Yield) for node in own_nodes(function)):
                yield source.at(function, f"{function.name} is an async generator: push into a callback instead")


def unbounded_queues(tree: SourceTree) -> Iterator[str]:
    """A queue without a bound is memory that a slow reader fills."""
    for source, node in _nodes(tree):
        if not isinstance(node, ast.Call):
            continue
        sizes = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "maxsize")]
        bounded = bool(sizes) and not any(isinstance(s, ast.Constant) and not s.value for s in sizes)
        if last_name(node.func) == "SimpleQueue" or (last_name(node.func) in QUEUES and not bounded):
            yield source.at(node, "a queue without a bound: give it a maxsize above 0")


def code_in_bytes(tree: SourceTree) -> Iterator[str]:
    """Bytes from a store or a wire must never be able to run."""
    for source in tree.sources:
        for imported in tree.imports(source):
            if imported.target.split(".")[0] in CODE_IN_BYTES:
                yield source.at(imported.line, f"{imported.target} runs what it reads: write a codec")


def address_guesses(tree: SourceTree) -> Iterator[str]:
    """`ipaddress` lets special ranges through, and which ones depends on the version of Python."""
    for source, node in _nodes(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"is_private", "is_global"}:
            yield source.at(node, f"{node.attr} is no guard: use the table of denied networks")


def json_to_messages(tree: SourceTree) -> Iterator[str]:
    """`json_format` on a caller's JSON follows Any and recursion; read such JSON field by field."""
    for source, node in _nodes(tree):
        called = isinstance(node, ast.Attribute) and last_name(node.value) == "json_format"
        module = isinstance(node, ast.ImportFrom) and node.module == "google.protobuf.json_format"
        if (called and last_name(node) in JSON_TO_MESSAGE) or (module and _taken(node, JSON_TO_MESSAGE)):
            yield source.at(node, "json_format reads a caller's JSON: read it field by field")


def _nodes(tree: SourceTree) -> Iterator[tuple[Source, ast.AST]]:
    return ((source, node) for source in tree.sources for node in ast.walk(source.syntax))


def _taken(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name in names for alias in node.names)


def _is_broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(_is_broad(member) for member in kind.elts)
    return kind is None or last_name(kind) in BROAD


def _cleans_up(handler: ast.ExceptHandler) -> bool:
    """Closes what was half opened and lets the cause pass, which `finally` cannot tell from success."""
    last = handler.body[-1]
    named = handler.type is not None and last_name(handler.type) == "BaseException"
    return named and isinstance(last, ast.Raise) and last.exc is None
