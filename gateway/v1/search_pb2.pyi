from gateway.v1 import content_pb2 as _content_pb2
from gateway.v1 import inference_pb2 as _inference_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("query", "options")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    query: str
    options: _inference_pb2.SearchOptions
    def __init__(self, query: _Optional[str] = ..., options: _Optional[_Union[_inference_pb2.SearchOptions, _Mapping]] = ...) -> None: ...

class SearchReply(_message.Message):
    __slots__ = ("events", "sources", "prompt_text")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEXT_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_inference_pb2.SearchEvent]
    sources: _containers.RepeatedCompositeFieldContainer[_content_pb2.Source]
    prompt_text: str
    def __init__(self, events: _Optional[_Iterable[_Union[_inference_pb2.SearchEvent, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[_content_pb2.Source, _Mapping]]] = ..., prompt_text: _Optional[str] = ...) -> None: ...

class ExtractRequest(_message.Message):
    __slots__ = ("url", "fields", "content", "mime_type")
    URL_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    url: str
    fields: _containers.RepeatedScalarFieldContainer[str]
    content: bytes
    mime_type: str
    def __init__(self, url: _Optional[str] = ..., fields: _Optional[_Iterable[str]] = ..., content: _Optional[bytes] = ..., mime_type: _Optional[str] = ...) -> None: ...

class ExtractReply(_message.Message):
    __slots__ = ("title", "text", "tables", "key_points", "mime_type", "content_sha256", "pages")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    KEY_POINTS_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_SHA256_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    title: str
    text: str
    tables: _containers.RepeatedCompositeFieldContainer[Table]
    key_points: _containers.RepeatedScalarFieldContainer[str]
    mime_type: str
    content_sha256: bytes
    pages: int
    def __init__(self, title: _Optional[str] = ..., text: _Optional[str] = ..., tables: _Optional[_Iterable[_Union[Table, _Mapping]]] = ..., key_points: _Optional[_Iterable[str]] = ..., mime_type: _Optional[str] = ..., content_sha256: _Optional[bytes] = ..., pages: _Optional[int] = ...) -> None: ...

class Table(_message.Message):
    __slots__ = ("caption", "header", "rows")
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    caption: str
    header: _containers.RepeatedScalarFieldContainer[str]
    rows: _containers.RepeatedCompositeFieldContainer[Row]
    def __init__(self, caption: _Optional[str] = ..., header: _Optional[_Iterable[str]] = ..., rows: _Optional[_Iterable[_Union[Row, _Mapping]]] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("cells",)
    CELLS_FIELD_NUMBER: _ClassVar[int]
    cells: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cells: _Optional[_Iterable[str]] = ...) -> None: ...
