"""Tool calls as they come in pieces: by `index`, with what servers omit or repeat put right (pure)."""

from dataclasses import dataclass, field

from gateway.domain.events import ToolCallDelta
from gateway.models.openai_errors import protocol_failure

MAX_CALLS = 128


@dataclass(slots=True)
class _Call:
    """One call so far: the upstream's id for it, and which of id and name the caller has been told."""

    index: int
    upstream_id: str = ""
    has_id: bool = False
    has_name: bool = False


@dataclass(slots=True)
class _Run:
    """Consecutive fragments of one call that arrived together."""

    call: _Call
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    events: int = 0


class ToolCallFold:
    """Folds the fragments of one answer's tool calls; consecutive ones of one call become one delta.

    Id and name are told once. A call without an index continues the last one, or starts a new one when it
    brings a new id; so does another id at an index in use (some servers call every parallel call 0).
    """

    __slots__ = ("_calls", "_last", "_slots", "pending")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._slots: dict[int, _Call] = {}  # the upstream's index → the call it means now
        self._last: _Call | None = None
        self.pending: list[_Run] = []

    def add(self, fragments: object) -> None:
        """Takes `delta.tool_calls` of one chunk. Raises UpstreamError (UPSTREAM_PROTOCOL)."""
        if not isinstance(fragments, list):
            raise protocol_failure("bad_schema")
        for fragment in fragments:
            self._add_fragment(fragment)

    def take(self) -> list[ToolCallDelta]:
        """The deltas collected since the last time."""
        runs, self.pending = self.pending, []
        return [ToolCallDelta(r.call.index, r.call_id, r.name, "".join(r.arguments), r.events) for r in runs]

    def _add_fragment(self, fragment: object) -> None:
        if not isinstance(fragment, dict):
            raise protocol_failure("bad_schema")
        function = fragment.get("function") or {}
        if not isinstance(function, dict):
            raise protocol_failure("bad_schema")
        call_id, name, arguments = fragment.get("id"), function.get("name"), function.get("arguments")
        call = self._find(fragment.get("index"), call_id if isinstance(call_id, str) else "", bool(name))
        run = self._run_of(call)
        run.events += 1
        if call.upstream_id and not call.has_id:
            call.has_id, run.call_id = True, call.upstream_id
        if name and not call.has_name:
            call.has_name, run.name = True, _required_text(name)
        if arguments:
            run.arguments.append(_required_text(arguments))

    def name_all(self, response_id: str) -> None:
        """Gives an id to every call that came without one: a call that has none cannot be answered."""
        for call in self._calls:
            if not call.has_id:
                call.has_id = True
                self._run_of(call).call_id = call.upstream_id = f"call_{call.index}_{response_id[-40:]}"

    def _run_of(self, call: _Call) -> _Run:
        if not self.pending or self.pending[-1].call is not call:
            self.pending.append(_Run(call))
        return self.pending[-1]

    def _find(self, index: object, call_id: str, has_name: bool) -> _Call:
        call = self._by_id(call_id) if index is None else self._slots.get(_checked(index))
        is_another = has_name and call is not None and call_id and call.upstream_id not in ("", call_id)
        if call is None or is_another:
            call = (self._by_id(call_id) if is_another else None) or self._start(index)
        call.upstream_id = call.upstream_id or call_id
        self._slots[call.index if index is None else _checked(index)] = call
        self._last = call
        return call

    def _by_id(self, call_id: str) -> _Call | None:
        if not call_id:
            return self._last
        return next((call for call in self._calls if call.upstream_id == call_id), None)

    def _start(self, index: object) -> _Call:
        """A new call, at the upstream's index where that is free."""
        used = {call.index for call in self._calls}
        own = max(used, default=-1) + 1 if index is None or index in used else _checked(index)
        call = _Call(_checked(own))
        self._calls.append(call)
        return call


def _checked(index: object) -> int:
    if type(index) is not int or not 0 <= index < MAX_CALLS:
        raise protocol_failure("bad_schema")
    return index


def _required_text(value: object) -> str:
    if not isinstance(value, str):
        raise protocol_failure("bad_schema")
    return value
