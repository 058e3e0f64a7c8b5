import datetime

from gateway.v1 import content_pb2 as _content_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Thinking(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    THINKING_UNSPECIFIED: _ClassVar[Thinking]
    THINKING_OFF: _ClassVar[Thinking]
    THINKING_LOW: _ClassVar[Thinking]
    THINKING_HIGH: _ClassVar[Thinking]
    THINKING_MAX: _ClassVar[Thinking]

class ResponseFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESPONSE_FORMAT_UNSPECIFIED: _ClassVar[ResponseFormat]
    RESPONSE_FORMAT_TEXT: _ClassVar[ResponseFormat]
    RESPONSE_FORMAT_JSON_OBJECT: _ClassVar[ResponseFormat]

class ToolMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_MODE_UNSPECIFIED: _ClassVar[ToolMode]
    TOOL_MODE_AUTO: _ClassVar[ToolMode]
    TOOL_MODE_NONE: _ClassVar[ToolMode]
    TOOL_MODE_REQUIRED: _ClassVar[ToolMode]
    TOOL_MODE_NAMED: _ClassVar[ToolMode]

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_NEVER: _ClassVar[SearchMode]
    SEARCH_MODE_AUTO: _ClassVar[SearchMode]
    SEARCH_MODE_ALWAYS: _ClassVar[SearchMode]

class SearchDepth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_DEPTH_UNSPECIFIED: _ClassVar[SearchDepth]
    SEARCH_DEPTH_SNIPPETS: _ClassVar[SearchDepth]
    SEARCH_DEPTH_PAGES: _ClassVar[SearchDepth]

class CacheUse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_USE_UNSPECIFIED: _ClassVar[CacheUse]
    CACHE_USE_READ_WRITE: _ClassVar[CacheUse]
    CACHE_USE_READ_ONLY: _ClassVar[CacheUse]
    CACHE_USE_WRITE_ONLY: _ClassVar[CacheUse]
    CACHE_USE_BYPASS: _ClassVar[CacheUse]

class Place(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLACE_UNSPECIFIED: _ClassVar[Place]
    PLACE_ANY: _ClassVar[Place]
    PLACE_LOCAL_ONLY: _ClassVar[Place]
    PLACE_CLOUD_ONLY: _ClassVar[Place]
    PLACE_LOCAL_FIRST: _ClassVar[Place]

class SearchStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_STATUS_UNSPECIFIED: _ClassVar[SearchStatus]
    SEARCH_STATUS_OK: _ClassVar[SearchStatus]
    SEARCH_STATUS_FAILED: _ClassVar[SearchStatus]
    SEARCH_STATUS_SKIPPED: _ClassVar[SearchStatus]

class NoticeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NOTICE_KIND_UNSPECIFIED: _ClassVar[NoticeKind]
    NOTICE_KIND_DEGRADED: _ClassVar[NoticeKind]
    NOTICE_KIND_REROUTED: _ClassVar[NoticeKind]
    NOTICE_KIND_RETRIED: _ClassVar[NoticeKind]
    NOTICE_KIND_FROM_CACHE: _ClassVar[NoticeKind]
    NOTICE_KIND_JOINED_IN_FLIGHT: _ClassVar[NoticeKind]
    NOTICE_KIND_SEARCH_SKIPPED: _ClassVar[NoticeKind]
    NOTICE_KIND_SEARCH_FAILED: _ClassVar[NoticeKind]
    NOTICE_KIND_OPTION_CLAMPED: _ClassVar[NoticeKind]
    NOTICE_KIND_LIMIT_NEAR: _ClassVar[NoticeKind]
    NOTICE_KIND_CREDENTIAL_EXPIRING: _ClassVar[NoticeKind]

class Finish(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_UNSPECIFIED: _ClassVar[Finish]
    FINISH_STOP: _ClassVar[Finish]
    FINISH_LENGTH: _ClassVar[Finish]
    FINISH_TOOL_CALLS: _ClassVar[Finish]
    FINISH_CONTENT_FILTER: _ClassVar[Finish]
    FINISH_LIMIT: _ClassVar[Finish]
    FINISH_CANCELLED: _ClassVar[Finish]
    FINISH_DEADLINE: _ClassVar[Finish]
    FINISH_ERROR: _ClassVar[Finish]
THINKING_UNSPECIFIED: Thinking
THINKING_OFF: Thinking
THINKING_LOW: Thinking
THINKING_HIGH: Thinking
THINKING_MAX: Thinking
RESPONSE_FORMAT_UNSPECIFIED: ResponseFormat
RESPONSE_FORMAT_TEXT: ResponseFormat
RESPONSE_FORMAT_JSON_OBJECT: ResponseFormat
TOOL_MODE_UNSPECIFIED: ToolMode
TOOL_MODE_AUTO: ToolMode
TOOL_MODE_NONE: ToolMode
TOOL_MODE_REQUIRED: ToolMode
TOOL_MODE_NAMED: ToolMode
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_NEVER: SearchMode
SEARCH_MODE_AUTO: SearchMode
SEARCH_MODE_ALWAYS: SearchMode
SEARCH_DEPTH_UNSPECIFIED: SearchDepth
SEARCH_DEPTH_SNIPPETS: SearchDepth
SEARCH_DEPTH_PAGES: SearchDepth
CACHE_USE_UNSPECIFIED: CacheUse
CACHE_USE_READ_WRITE: CacheUse
CACHE_USE_READ_ONLY: CacheUse
CACHE_USE_WRITE_ONLY: CacheUse
CACHE_USE_BYPASS: CacheUse
PLACE_UNSPECIFIED: Place
PLACE_ANY: Place
PLACE_LOCAL_ONLY: Place
PLACE_CLOUD_ONLY: Place
PLACE_LOCAL_FIRST: Place
SEARCH_STATUS_UNSPECIFIED: SearchStatus
SEARCH_STATUS_OK: SearchStatus
SEARCH_STATUS_FAILED: SearchStatus
SEARCH_STATUS_SKIPPED: SearchStatus
NOTICE_KIND_UNSPECIFIED: NoticeKind
NOTICE_KIND_DEGRADED: NoticeKind
NOTICE_KIND_REROUTED: NoticeKind
NOTICE_KIND_RETRIED: NoticeKind
NOTICE_KIND_FROM_CACHE: NoticeKind
NOTICE_KIND_JOINED_IN_FLIGHT: NoticeKind
NOTICE_KIND_SEARCH_SKIPPED: NoticeKind
NOTICE_KIND_SEARCH_FAILED: NoticeKind
NOTICE_KIND_OPTION_CLAMPED: NoticeKind
NOTICE_KIND_LIMIT_NEAR: NoticeKind
NOTICE_KIND_CREDENTIAL_EXPIRING: NoticeKind
FINISH_UNSPECIFIED: Finish
FINISH_STOP: Finish
FINISH_LENGTH: Finish
FINISH_TOOL_CALLS: Finish
FINISH_CONTENT_FILTER: Finish
FINISH_LIMIT: Finish
FINISH_CANCELLED: Finish
FINISH_DEADLINE: Finish
FINISH_ERROR: Finish

class ClientFrame(_message.Message):
    __slots__ = ("open", "turn", "cancel", "credential", "heartbeat")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    open: Open
    turn: Turn
    cancel: Cancel
    credential: Credential
    heartbeat: Heartbeat
    def __init__(self, open: _Optional[_Union[Open, _Mapping]] = ..., turn: _Optional[_Union[Turn, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., credential: _Optional[_Union[Credential, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("turn_id",)
    TURN_ID_FIELD_NUMBER: _ClassVar[int]
    turn_id: str
    def __init__(self, turn_id: _Optional[str] = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("bearer",)
    BEARER_FIELD_NUMBER: _ClassVar[int]
    bearer: str
    def __init__(self, bearer: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("echo",)
    ECHO_FIELD_NUMBER: _ClassVar[int]
    echo: int
    def __init__(self, echo: _Optional[int] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("turn_id", "model", "messages", "generation", "search", "tools", "cache", "limit", "routing", "timeout", "labels", "prompt")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TURN_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    turn_id: str
    model: str
    messages: _containers.RepeatedCompositeFieldContainer[_content_pb2.Message]
    generation: GenerationOptions
    search: SearchOptions
    tools: _containers.RepeatedCompositeFieldContainer[_content_pb2.Tool]
    cache: CachePolicy
    limit: TurnLimit
    routing: Routing
    timeout: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    prompt: str
    def __init__(self, turn_id: _Optional[str] = ..., model: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[_content_pb2.Message, _Mapping]]] = ..., generation: _Optional[_Union[GenerationOptions, _Mapping]] = ..., search: _Optional[_Union[SearchOptions, _Mapping]] = ..., tools: _Optional[_Iterable[_Union[_content_pb2.Tool, _Mapping]]] = ..., cache: _Optional[_Union[CachePolicy, _Mapping]] = ..., limit: _Optional[_Union[TurnLimit, _Mapping]] = ..., routing: _Optional[_Union[Routing, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., prompt: _Optional[str] = ...) -> None: ...

class GenerationOptions(_message.Message):
    __slots__ = ("max_tokens", "temperature", "top_p", "stop", "thinking", "include_reasoning", "response_format", "json_schema", "tool_mode", "tool_name", "top_logprobs")
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    THINKING_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REASONING_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TOOL_MODE_FIELD_NUMBER: _ClassVar[int]
    TOOL_NAME_FIELD_NUMBER: _ClassVar[int]
    TOP_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    max_tokens: int
    temperature: float
    top_p: float
    stop: _containers.RepeatedScalarFieldContainer[str]
    thinking: Thinking
    include_reasoning: bool
    response_format: ResponseFormat
    json_schema: str
    tool_mode: ToolMode
    tool_name: str
    top_logprobs: int
    def __init__(self, max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., stop: _Optional[_Iterable[str]] = ..., thinking: _Optional[_Union[Thinking, str]] = ..., include_reasoning: _Optional[bool] = ..., response_format: _Optional[_Union[ResponseFormat, str]] = ..., json_schema: _Optional[str] = ..., tool_mode: _Optional[_Union[ToolMode, str]] = ..., tool_name: _Optional[str] = ..., top_logprobs: _Optional[int] = ...) -> None: ...

class SearchOptions(_message.Message):
    __slots__ = ("mode", "providers", "max_results", "max_calls", "depth", "evidence_token_budget", "timeout", "required", "only_domains", "skip_domains", "not_before", "not_after", "locale")
    MODE_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_TOKEN_BUDGET_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    ONLY_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    SKIP_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    mode: SearchMode
    providers: _containers.RepeatedScalarFieldContainer[str]
    max_results: int
    max_calls: int
    depth: SearchDepth
    evidence_token_budget: int
    timeout: _duration_pb2.Duration
    required: bool
    only_domains: _containers.RepeatedScalarFieldContainer[str]
    skip_domains: _containers.RepeatedScalarFieldContainer[str]
    not_before: _timestamp_pb2.Timestamp
    not_after: _timestamp_pb2.Timestamp
    locale: str
    def __init__(self, mode: _Optional[_Union[SearchMode, str]] = ..., providers: _Optional[_Iterable[str]] = ..., max_results: _Optional[int] = ..., max_calls: _Optional[int] = ..., depth: _Optional[_Union[SearchDepth, str]] = ..., evidence_token_budget: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., required: _Optional[bool] = ..., only_domains: _Optional[_Iterable[str]] = ..., skip_domains: _Optional[_Iterable[str]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., locale: _Optional[str] = ...) -> None: ...

class CachePolicy(_message.Message):
    __slots__ = ("use", "max_age", "join_in_flight")
    USE_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    JOIN_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    use: CacheUse
    max_age: _duration_pb2.Duration
    join_in_flight: bool
    def __init__(self, use: _Optional[_Union[CacheUse, str]] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., join_in_flight: _Optional[bool] = ...) -> None: ...

class TurnLimit(_message.Message):
    __slots__ = ("max_cost_nano_usd", "max_search_calls", "max_tool_rounds")
    MAX_COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    MAX_SEARCH_CALLS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOOL_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    max_cost_nano_usd: int
    max_search_calls: int
    max_tool_rounds: int
    def __init__(self, max_cost_nano_usd: _Optional[int] = ..., max_search_calls: _Optional[int] = ..., max_tool_rounds: _Optional[int] = ...) -> None: ...

class Routing(_message.Message):
    __slots__ = ("place", "region", "allow_degraded")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DEGRADED_FIELD_NUMBER: _ClassVar[int]
    place: Place
    region: str
    allow_degraded: bool
    def __init__(self, place: _Optional[_Union[Place, str]] = ..., region: _Optional[str] = ..., allow_degraded: _Optional[bool] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("seq", "turn_id", "opened", "accepted", "search", "delta", "tool_call", "citation", "usage", "notice", "end", "fault", "go_away", "heartbeat")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TURN_ID_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    CITATION_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    turn_id: str
    opened: Opened
    accepted: Accepted
    search: SearchEvent
    delta: Delta
    tool_call: _content_pb2.ToolCall
    citation: _content_pb2.Citation
    usage: _content_pb2.Usage
    notice: Notice
    end: TurnEnd
    fault: Fault
    go_away: GoAway
    heartbeat: Heartbeat
    def __init__(self, seq: _Optional[int] = ..., turn_id: _Optional[str] = ..., opened: _Optional[_Union[Opened, _Mapping]] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., search: _Optional[_Union[SearchEvent, _Mapping]] = ..., delta: _Optional[_Union[Delta, _Mapping]] = ..., tool_call: _Optional[_Union[_content_pb2.ToolCall, _Mapping]] = ..., citation: _Optional[_Union[_content_pb2.Citation, _Mapping]] = ..., usage: _Optional[_Union[_content_pb2.Usage, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., end: _Optional[_Union[TurnEnd, _Mapping]] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("session_id", "server_version", "credential_expires")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_EXPIRES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    server_version: str
    credential_expires: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[str] = ..., server_version: _Optional[str] = ..., credential_expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("receipt_id", "queue_position", "estimated_wait")
    RECEIPT_ID_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_WAIT_FIELD_NUMBER: _ClassVar[int]
    receipt_id: str
    queue_position: int
    estimated_wait: _duration_pb2.Duration
    def __init__(self, receipt_id: _Optional[str] = ..., queue_position: _Optional[int] = ..., estimated_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Delta(_message.Message):
    __slots__ = ("text", "reasoning", "offset", "events", "refusal")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    text: str
    reasoning: str
    offset: int
    events: int
    refusal: str
    def __init__(self, text: _Optional[str] = ..., reasoning: _Optional[str] = ..., offset: _Optional[int] = ..., events: _Optional[int] = ..., refusal: _Optional[str] = ...) -> None: ...

class SearchEvent(_message.Message):
    __slots__ = ("provider", "query", "status", "sources", "took", "from_cache", "detail")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    FROM_CACHE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    provider: str
    query: str
    status: SearchStatus
    sources: _containers.RepeatedCompositeFieldContainer[_content_pb2.Source]
    took: _duration_pb2.Duration
    from_cache: bool
    detail: str
    def __init__(self, provider: _Optional[str] = ..., query: _Optional[str] = ..., status: _Optional[_Union[SearchStatus, str]] = ..., sources: _Optional[_Iterable[_Union[_content_pb2.Source, _Mapping]]] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., from_cache: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("kind", "message", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    kind: NoticeKind
    message: str
    facts: _containers.ScalarMap[str, str]
    def __init__(self, kind: _Optional[_Union[NoticeKind, str]] = ..., message: _Optional[str] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TurnEnd(_message.Message):
    __slots__ = ("finish", "usage", "receipt_id", "degraded", "served_by", "model")
    FINISH_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_ID_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    finish: Finish
    usage: _content_pb2.Usage
    receipt_id: str
    degraded: bool
    served_by: str
    model: str
    def __init__(self, finish: _Optional[_Union[Finish, str]] = ..., usage: _Optional[_Union[_content_pb2.Usage, _Mapping]] = ..., receipt_id: _Optional[str] = ..., degraded: _Optional[bool] = ..., served_by: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("code", "reason", "message", "retry_after", "charged", "retryable", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    retry_after: _duration_pb2.Duration
    charged: bool
    retryable: bool
    facts: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., charged: _Optional[bool] = ..., retryable: _Optional[bool] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("time_left", "reason")
    TIME_LEFT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    time_left: _duration_pb2.Duration
    reason: str
    def __init__(self, time_left: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class TurnResult(_message.Message):
    __slots__ = ("message", "sources", "citations", "notices", "end")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    message: _content_pb2.Message
    sources: _containers.RepeatedCompositeFieldContainer[_content_pb2.Source]
    citations: _containers.RepeatedCompositeFieldContainer[_content_pb2.Citation]
    notices: _containers.RepeatedCompositeFieldContainer[Notice]
    end: TurnEnd
    def __init__(self, message: _Optional[_Union[_content_pb2.Message, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[_content_pb2.Source, _Mapping]]] = ..., citations: _Optional[_Iterable[_Union[_content_pb2.Citation, _Mapping]]] = ..., notices: _Optional[_Iterable[_Union[Notice, _Mapping]]] = ..., end: _Optional[_Union[TurnEnd, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "owner", "context_tokens", "max_output_tokens", "capabilities", "local", "prompt_nano_usd", "cached_prompt_nano_usd", "completion_nano_usd")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHED_PROMPT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    name: str
    owner: str
    context_tokens: int
    max_output_tokens: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    local: bool
    prompt_nano_usd: int
    cached_prompt_nano_usd: int
    completion_nano_usd: int
    def __init__(self, name: _Optional[str] = ..., owner: _Optional[str] = ..., context_tokens: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., local: _Optional[bool] = ..., prompt_nano_usd: _Optional[int] = ..., cached_prompt_nano_usd: _Optional[int] = ..., completion_nano_usd: _Optional[int] = ...) -> None: ...
