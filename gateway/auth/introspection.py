"""Opaque tokens, by asking their issuer (RFC 7662): one question at a time for each, answers kept for seconds."""

import asyncio
import hashlib
import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]  # ships without types

from gateway.auth import refusal
from gateway.auth.compact import TokenError, has_sane_size
from gateway.auth.endpoint import FetchError, check_url, fetch
from gateway.auth.introspected import read_introspected
from gateway.auth.policy import IssuerPolicy
from gateway.auth.strict_json import parse_object
from gateway.domain.call import Caller, Credentials
from gateway.domain.errors import OperatorError, Reason

POSITIVE_S = 30.0
NEGATIVE_S = 5.0
RETRY_S = 5.0
# However many tokens are tried, the issuer is asked about so many at once, and so many answers are kept.
MAX_QUESTIONS = 32
REMEMBERED = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An issuer's introspection endpoint, and as which client it is asked. Raises ValueError for a bad URL."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    allow_plaintext: bool = False
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        check_url(self.url, allow_plaintext=self.allow_plaintext)

    async def ask(self, token: str) -> bytes:
        """The answer as sent. Raises FetchError."""
        client = ClientAuth(self.client_id, self.client_secret, "client_secret_basic")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        _, headers, _ = client.prepare("POST", self.url, form, "")
        question = {"token": token, "token_type_hint": "access_token"}
        return await fetch(self.url, self.tls, form=question, headers=headers)


@dataclass(frozen=True, slots=True)
class OpaqueIssuer:
    """One issuer of opaque tokens: `ask` returns its answer about a token, or raises FetchError.

    Tokens that begin with `prefix` are its own; the empty prefix takes every token that no other one takes.
    """

    policy: IssuerPolicy
    ask: Callable[[str], Awaitable[bytes]]
    prefix: str = ""
    audience_optional: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer; `caller` None = the token is no good. `until` on the monotonic clock."""

    caller: Caller | None
    until: float


class OpaqueAuthenticator:
    """Believes what an issuer says of its opaque tokens, for 30 s (never past `exp`); a refusal for 5 s.

    `revoked` is asked on every call. `now` is in seconds since the epoch, `clock` monotonic.
    """

    def __init__(
        self,
        issuers: Sequence[OpaqueIssuer],
        *,
        revoked: Callable[[Caller], bool] = lambda _caller: False,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # The longest prefix first: the empty one takes what is left.
        self._issuers = sorted(issuers, key=lambda issuer: -len(issuer.prefix))
        self._revoked = revoked
        self._now = now
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The one behind an opaque token; see `Authenticator`. Raises CallerError(REVOKED) for a revoked one."""
        token = credentials.bearer
        issuer = self._issuer_of(token)
        if token is None or issuer is None or not has_sane_size(token):
            raise refusal.invalid_token()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        known = self._known.get(digest)
        if known is not None and self._clock() < known.until and not self._expired(known.caller):
            caller = known.caller
        else:
            caller = await self._ask(issuer, token, digest)
        if caller is None:
            raise refusal.invalid_token()
        if self._revoked(caller):
            raise refusal.revoked()
        return caller

    async def aclose(self) -> None:
        """Asks no more."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _issuer_of(self, token: str | None) -> OpaqueIssuer | None:
        return next((one for one in self._issuers if token is not None and token.startswith(one.prefix)), None)

    def _expired(self, caller: Caller | None) -> bool:
        return caller is not None and self._now() >= caller.expires_at

    async def _ask(self, issuer: OpaqueIssuer, token: str, digest: bytes) -> Caller | None:
        """One question for everybody who waits for the same answer; it outlives the one who asked first."""
        task = self._asking.get(digest)
        if task is None:
            if len(self._asking) >= MAX_QUESTIONS:
                raise _unavailable()
            task = asyncio.get_running_loop().create_task(self._ask_once(issuer, token, digest))
            self._asking[digest] = task
            # Whoever asked may be gone when it fails.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([task])
        return task.result()

    async def _ask_once(self, issuer: OpaqueIssuer, token: str, digest: bytes) -> Caller | None:
        try:
            answer = parse_object(await issuer.ask(token))
            caller = read_introspected(
                answer, issuer.policy, self._now(), audience_optional=issuer.audience_optional
            )
        except TokenError as error:
            _log.debug("opaque token refused: %s", error)
            caller = None
        except (FetchError, ValueError) as error:
            _log.warning("introspection by %s failed: %s", issuer.policy.issuer, error)
            raise _unavailable() from error
        finally:
            del self._asking[digest]
        self._remember(digest, caller)
        return caller

    def _remember(self, digest: bytes, caller: Caller | None) -> None:
        self._known[digest] = _Known(caller, self._clock() + (NEGATIVE_S if caller is None else POSITIVE_S))
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _unavailable() -> OperatorError:
    return OperatorError(
        Reason.IDP_UNAVAILABLE,
        "the issuer of the token cannot be asked; try again",
        retry_after_s=RETRY_S,
    )
