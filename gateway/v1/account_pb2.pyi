import datetime

from gateway.v1 import content_pb2 as _content_pb2
from gateway.v1 import inference_pb2 as _inference_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Limits(_message.Message):
    __slots__ = ("allowances",)
    ALLOWANCES_FIELD_NUMBER: _ClassVar[int]
    allowances: _containers.RepeatedCompositeFieldContainer[Allowance]
    def __init__(self, allowances: _Optional[_Iterable[_Union[Allowance, _Mapping]]] = ...) -> None: ...

class Allowance(_message.Message):
    __slots__ = ("dimension", "scope", "limit", "remaining", "held", "resets_in")
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RESETS_IN_FIELD_NUMBER: _ClassVar[int]
    dimension: str
    scope: str
    limit: int
    remaining: int
    held: int
    resets_in: _duration_pb2.Duration
    def __init__(self, dimension: _Optional[str] = ..., scope: _Optional[str] = ..., limit: _Optional[int] = ..., remaining: _Optional[int] = ..., held: _Optional[int] = ..., resets_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("receipt_id",)
    RECEIPT_ID_FIELD_NUMBER: _ClassVar[int]
    receipt_id: str
    def __init__(self, receipt_id: _Optional[str] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("receipt_id", "tenant", "subject", "turn_id", "model", "reserved", "settled", "finish", "created", "settled_at", "attempts", "reason", "price_entry", "peak_price", "served_by", "labels", "route_reason", "broken_stream_policy", "request_id", "degraded", "cache_level")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RECEIPT_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TURN_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRICE_ENTRY_FIELD_NUMBER: _ClassVar[int]
    PEAK_PRICE_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ROUTE_REASON_FIELD_NUMBER: _ClassVar[int]
    BROKEN_STREAM_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    CACHE_LEVEL_FIELD_NUMBER: _ClassVar[int]
    receipt_id: str
    tenant: str
    subject: str
    turn_id: str
    model: str
    reserved: _content_pb2.Usage
    settled: _content_pb2.Usage
    finish: _inference_pb2.Finish
    created: _timestamp_pb2.Timestamp
    settled_at: _timestamp_pb2.Timestamp
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    reason: str
    price_entry: str
    peak_price: bool
    served_by: str
    labels: _containers.ScalarMap[str, str]
    route_reason: str
    broken_stream_policy: str
    request_id: str
    degraded: bool
    cache_level: str
    def __init__(self, receipt_id: _Optional[str] = ..., tenant: _Optional[str] = ..., subject: _Optional[str] = ..., turn_id: _Optional[str] = ..., model: _Optional[str] = ..., reserved: _Optional[_Union[_content_pb2.Usage, _Mapping]] = ..., settled: _Optional[_Union[_content_pb2.Usage, _Mapping]] = ..., finish: _Optional[_Union[_inference_pb2.Finish, str]] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., settled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., reason: _Optional[str] = ..., price_entry: _Optional[str] = ..., peak_price: _Optional[bool] = ..., served_by: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., route_reason: _Optional[str] = ..., broken_stream_policy: _Optional[str] = ..., request_id: _Optional[str] = ..., degraded: _Optional[bool] = ..., cache_level: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("upstream", "model", "outcome", "usage", "took")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    model: str
    outcome: str
    usage: _content_pb2.Usage
    took: _duration_pb2.Duration
    def __init__(self, upstream: _Optional[str] = ..., model: _Optional[str] = ..., outcome: _Optional[str] = ..., usage: _Optional[_Union[_content_pb2.Usage, _Mapping]] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
