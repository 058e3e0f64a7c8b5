"""An OAuth2 token endpoint that answers what a test tells it to, on a free port."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs


class ScriptedIssuer:
    """Answers each POST with the next reply; `seen` holds the headers and the form of each."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, bytes]] = []
        self.seen: list[tuple[dict[str, str], dict[str, list[str]]]] = []
        self.url = ""

    def grant(self, token: str, expires_in: float = 3600) -> None:
        """The next reply grants this token."""
        reply = {"access_token": token, "token_type": "Bearer", "expires_in": expires_in}
        self.replies.append((200, json.dumps(reply).encode()))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP/1.1 exchange, then the connection is closed."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        form = parse_qs((await reader.readexactly(int(headers["content-length"]))).decode())
        self.seen.append((headers, form))
        status, body = self.replies.pop(0)
        extra = f"location: {self.url}\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} x\r\n{extra}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def scripted_issuer() -> AsyncIterator[ScriptedIssuer]:
    """A running token endpoint; `url` says where."""
    issuer = ScriptedIssuer()
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/oauth/token"
    async with server:
        yield issuer
