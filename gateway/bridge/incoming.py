"""Reads an HTTP request: its body within limits, and the headers that go along."""

import asyncio
import re
import zlib
from uuid import uuid4

from aiohttp import web
from multidict import CIMultiDictProxy

from gateway.bridge.calls import CallerHeaders
from gateway.bridge.errors import Refused, bad, from_status, refused, too_large
from gateway.bridge.json_body import read_object

REQUEST_ID = web.RequestKey("request_id", str)
LIMIT_HEADERS = web.RequestKey("limit_headers", dict[str, str])

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_UNAUTHENTICATED = 16


def request_id_of(headers: "CIMultiDictProxy[str]") -> str:
    """The caller's own id for the request where it has one, else a new one."""
    wished = headers.get("x-request-id", "")
    return wished if _ID.fullmatch(wished) else uuid4().hex


def caller_of(request: web.Request) -> CallerHeaders:
    """The credential and the ids of a request, unchanged: the gateway judges them.

    Raises Refused (401) for a credential that no call can carry.
    """
    authorization = tuple(request.headers.getall("authorization", ()))
    if not all(_PRINTABLE.fullmatch(value) for value in authorization):
        raise Refused(from_status(_UNAUTHENTICATED, "TOKEN_INVALID", "invalid_token", retryable=False))
    trace = request.headers.get("traceparent", "")
    trace = trace if _TRACEPARENT.fullmatch(trace) else ""
    return CallerHeaders(request[REQUEST_ID], authorization, trace, request.remote or "")


async def read_body(request: web.Request, limit: int, within_s: float) -> bytes:
    """The body, decoded, at most `limit` bytes. Raises Refused: 400, 408, 413, 415."""
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise refused(415, "unsupported_encoding", "Content-Encoding: send the body as it is, or as gzip")
    try:
        async with asyncio.timeout(within_s):
            data = await _read_limited(request, limit)
    except TimeoutError:
        raise refused(408, "request_timeout", "the body did not arrive in time") from None
    return gunzip(data, limit) if coding.endswith("gzip") else data


async def read_json_object(request: web.Request, limit: int, within_s: float) -> dict[str, object]:
    """The body as one JSON object. Raises Refused."""
    return read_object(await read_body(request, limit, within_s))


def gunzip(data: bytes, limit: int) -> bytes:
    """One gzip member, unpacked to at most `limit` bytes and never more. Raises Refused."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacking.decompress(data, limit + 1)
    except zlib.error:
        raise bad("", "the body is not valid gzip, as Content-Encoding says") from None
    if len(unpacked) > limit:
        raise too_large(limit)
    if not unpacking.eof or unpacking.unused_data:
        raise bad("", "the body is not one whole gzip member, as Content-Encoding says")
    return unpacked


async def _read_limited(request: web.Request, limit: int) -> bytes:
    pieces, size = list[bytes](), 0
    while piece := await request.content.readany():
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)
