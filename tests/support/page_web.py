"""Pages of a scripted web: raw bytes on loopback, a resolver that a test writes, canaries that nobody may touch.

async with PageWeb({"/": page("<p>Hello</p>")}) as web:
    fetched = await web.fetcher.fetch(web.at("/"))
"""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from types import TracebackType
from typing import Self

from gateway.search.egress import PORTS, Egress
from gateway.search.fetch import GuardedFetcher

HOST = "pages.example.org"
CANARIES = ("127.0.0.2", "127.0.0.3", "::1")


def page(
    body: bytes | str, kind: str = "text/html", *headers: str, status: str = "200 OK", length: int | None = None
) -> bytes:
    """A whole HTTP/1.1 reply; `length` lies about the body's."""
    content = body.encode() if isinstance(body, str) else body
    size = len(content) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {size}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def redirect(to: str, status: str = "302 Found", *headers: str) -> bytes:
    """A redirect to any address at all."""
    return page("", "text/html", f"Location: {to}", *headers, status=status)


class PageWeb:
    """A server on 127.0.0.1 and canaries on other loopback addresses, all on one port.

    `replies` are bytes by path; a list is sent piece by piece, a float in it waits, and after `None` the last
    piece is sent again without end. `names` are the addresses of hosts; each look-up is counted.
    """

    def __init__(self, replies: Mapping[str, bytes | Sequence[bytes | float | None]]) -> None:
        self.replies = dict(replies)
        self.names: dict[str, list[list[str]]] = {HOST: [["127.0.0.1"]]}
        self.looked_up: list[str] = []
        self.requests: list[bytes] = []
        self.touched: list[str] = []
        self.port = 0
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        main = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = main.sockets[0].getsockname()[1]
        self._servers = [main]
        for address in CANARIES:
            self._servers.append(await asyncio.start_server(self._canary, address, self.port))
        permitted = (ip_network("127.0.0.1/32"),)
        self.egress = Egress(ports=PORTS | {self.port}, permitted=permitted)
        self.fetcher = GuardedFetcher(self.egress, self.resolve)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()

    def at(self, path: str, host: str = HOST) -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}"

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        """The next answer that the test wrote for this host; the last one repeats."""
        self.looked_up.append(host)
        answers = self.names.get(host)
        if not answers:
            raise OSError("no such host")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def _canary(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.touched.append(str(writer.get_extra_info("sockname")))
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            reply = self.replies.get(head.split(b" ")[1].decode(), page("", status="404 Not Found"))
            await self._send(writer, [reply] if isinstance(reply, bytes) else reply)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, steps: Sequence[bytes | float | None]) -> None:
        last = b""
        for step in steps:
            if isinstance(step, bytes):
                last = step
                writer.write(step)
                await writer.drain()
            elif step is None:
                while not writer.is_closing():
                    writer.write(last)
                    await writer.drain()
            else:
                await asyncio.sleep(step)
