"""HTTP to search vendors: one pool, no redirects, no cookies, no proxy of the environment, bodies capped."""

import asyncio
from io import BytesIO
from typing import Self

import aiohttp
from yarl import URL

from gateway.domain.errors import Reason, UpstreamError
from gateway.search.exchange import VendorReply, VendorRequest

MAX_REPLY_BYTES = 4 * 1024 * 1024
CONNECTIONS = 64

_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "inference-gateway"}


class VendorHttp:
    """Keeps the promise of `Exchange`. Make it on the running event loop; close it when all vendors are closed."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30.0),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=65_536,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exit: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def send(self, request: VendorRequest, timeout_s: float) -> VendorReply:
        """The reply. Raises UpstreamError(ENRICHMENT_FAILED), whose text names neither address nor key."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            why = "did not answer in time"
        except (aiohttp.ClientError, OSError):
            why = "cannot be reached"
        except ValueError:
            # An address or a header that no HTTP message can carry; aiohttp's text would show it.
            why = "has an address or a key that cannot be used"
        # Outside the handlers: aiohttp's errors carry the request's headers, the key among them.
        raise UpstreamError(Reason.ENRICHMENT_FAILED, f"the search service {why}", retry_after_s=1.0)

    async def _exchange(self, request: VendorRequest) -> VendorReply:
        url = URL(request.url)
        async with self._session.request(
            request.method,
            url.update_query(request.params) if request.params else url,
            data=BytesIO(request.body) if request.body else None,
            headers=dict(request.headers),
            allow_redirects=False,
        ) as response:
            if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                raise aiohttp.ClientPayloadError("encoded although identity was asked for")
            body = bytearray()
            while chunk := await response.content.readany():
                body += chunk
                if len(body) > MAX_REPLY_BYTES:
                    raise aiohttp.ClientPayloadError("larger than any reply")
            return VendorReply(
                status=response.status,
                content_type=response.content_type,
                body=bytes(body),
                retry_after=response.headers.get("Retry-After", ""),
            )
