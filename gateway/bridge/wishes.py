"""Tools and the wish to search, in every shape in which clients send them (pure)."""

import json
from dataclasses import dataclass

from gateway.bridge.errors import bad
from gateway.bridge.fields import Fields
from gateway.v1 import content_pb2, inference_pb2

_MODES = {
    "never": inference_pb2.SEARCH_MODE_NEVER,
    "auto": inference_pb2.SEARCH_MODE_AUTO,
    "always": inference_pb2.SEARCH_MODE_ALWAYS,
}
_RESULTS = {"low": 3, "medium": 5, "high": 10}
_CHOICES = {
    "none": inference_pb2.TOOL_MODE_NONE,
    "auto": inference_pb2.TOOL_MODE_AUTO,
    "required": inference_pb2.TOOL_MODE_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Tooling:
    """The caller's own functions, and a search that was asked for among them."""

    functions: list[content_pb2.Tool]
    search: "inference_pb2.SearchOptions | None"


def read_tools(body: Fields, notices: list[str]) -> Tooling:
    """`tools`. Web search is a tool type in several dialects; other tools that are no functions are refused."""
    functions: list[content_pb2.Tool] = []
    search: inference_pb2.SearchOptions | None = None
    for tool in body.objects("tools"):
        kind = tool.text("type") or "function"
        if kind == "function":
            functions.append(_function(tool))
        elif kind.startswith("web_search"):
            search = _search_tool(tool, kind, notices)
        else:
            raise bad(tool.where("type"), f"{kind[:32]!r} is not offered; use function or web_search")
    return Tooling(functions, search)


def read_search(body: Fields, tooling: Tooling, notices: list[str]) -> "inference_pb2.SearchOptions | None":
    """The search that the request asks for: `web_search`, `web_search_options` or a tool; None leaves it open."""
    options = body.inner("web_search_options")
    found = tooling.search if options is None else _options(options, notices)
    wish = body.value("web_search")
    match wish:
        case None:
            return found
        case bool():
            mode = "always" if wish else "never"
        case str() if wish in _MODES:
            mode = wish
        case _:
            raise bad("web_search", f"must be true, false or one of {', '.join(_MODES)}")
    found = found or inference_pb2.SearchOptions()
    found.mode = _MODES[mode]
    return found


def read_choice(body: Fields, generation: inference_pb2.GenerationOptions, has_functions: bool) -> None:
    """`tool_choice` into the options."""
    choice = body.value("tool_choice")
    if choice is None:
        return
    if isinstance(choice, str) and choice in _CHOICES:
        # `auto` without functions is what clients send when web search was the only tool.
        if has_functions or choice == "required":
            generation.tool_mode = _CHOICES[choice]
        return
    named = body.inner("tool_choice") if isinstance(choice, dict) else None
    function = named.inner("function") if named and named.text("type") == "function" else None
    if function is None:
        raise bad("tool_choice", "must be none, auto, required, or a function by name")
    generation.tool_mode = inference_pb2.TOOL_MODE_NAMED
    generation.tool_name = function.required("name", function.text("name"))


def _function(tool: Fields) -> content_pb2.Tool:
    function = tool.required("function", tool.inner("function"))
    parameters = function.inner("parameters")
    return content_pb2.Tool(
        name=function.required("name", function.text("name")),
        description=function.text("description") or "",
        parameters_json="" if parameters is None else as_json(function.value("parameters")),
        strict=function.flag("strict") or False,
    )


def _search_tool(tool: Fields, kind: str, notices: list[str]) -> inference_pb2.SearchOptions:
    inner = tool.inner(kind)
    enabled = True if inner is None else inner.flag("enable")
    options = _options(tool, notices, f"{kind}, type")
    filters = tool.inner("filters")
    if filters is not None:
        options.only_domains.extend(_domains(filters))
    options.mode = _MODES["never" if enabled is False else "always"]
    ignored = [inner.where(name) for name in inner.unread()] if inner else []
    notices += [f"option_ignored: {name}" for name in ignored]
    return options


def _options(fields: Fields, notices: list[str], known: str = "") -> inference_pb2.SearchOptions:
    options = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)
    size = fields.text("search_context_size")
    if size is not None:
        if size not in _RESULTS:
            raise bad(fields.where("search_context_size"), f"must be one of {', '.join(_RESULTS)}")
        options.max_results = _RESULTS[size]
    location = fields.inner("user_location")
    if location is not None:
        _read_location(location, options, notices)
    seen = {*known.split(", "), "filters"}
    notices += [f"option_ignored: {fields.where(name)}" for name in fields.unread() if name not in seen]
    return options


def _read_location(location: Fields, options: inference_pb2.SearchOptions, notices: list[str]) -> None:
    place = location.inner("approximate") or location
    country = place.text("country") or ""
    if country:
        if not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise bad(place.where("country"), "must be a country code of two letters")
        options.locale = f"und-{country.upper()}"
    location.text("type")
    notices += [f"option_ignored: {place.where(name)}" for name in place.unread()]


def _domains(filters: Fields) -> list[str]:
    found = filters.items("allowed_domains")
    if not all(isinstance(item, str) for item in found):
        raise bad(filters.where("allowed_domains"), "must be a list of domains")
    return [str(item) for item in found]


def as_json(value: object) -> str:
    """A value as compact JSON text, its keys in the caller's order: the model's prefix cache sees them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
