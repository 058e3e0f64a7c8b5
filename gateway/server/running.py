"""Which turns and conversations are open in this process, so that a drain or a revocation reaches them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from gateway.domain.call import Caller, Visitor
from gateway.domain.errors import CallerError, GatewayError, Reason
from gateway.pipeline.watch import Watch


class OpenConversation(Protocol):
    """A stream of turns, as it is seen from outside."""

    @property
    def caller(self) -> Caller:
        """Who holds it, by the credential shown last."""
        ...

    def go_away(self) -> None:
        """Take no more turns, and end when none is running."""
        ...

    def revoke(self) -> None:
        """The caller's credential was withdrawn: take no more turns, and end when none is running."""
        ...


class Running:
    """Every open turn by its watch; `end_margin_s` is what a turn keeps of its deadline for its own end."""

    def __init__(self, end_margin_s: float) -> None:
        self._end_margin_s = end_margin_s
        self._watches: dict[Watch, Caller] = {}
        self._conversations: set[OpenConversation] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._watches)

    def watch(self, visitor: Visitor) -> Watch:
        """A watch over one turn of this call, which ends it in time for the caller to hear of it."""
        left = visitor.call.deadline - asyncio.get_running_loop().time()
        return Watch(visitor.call.deadline - min(self._end_margin_s, left / 2), overdue)

    @contextmanager
    def keep(self, watch: Watch, caller: Caller) -> Iterator[None]:
        """Counts a turn as open, within reach of a drain and of a revocation of its caller."""
        self._watches[watch] = caller
        try:
            yield
        finally:
            del self._watches[watch]

    @contextmanager
    def conversation(self, conversation: OpenConversation) -> Iterator[None]:
        """Keeps a conversation, which is told of a drain and of a revocation."""
        self._conversations.add(conversation)
        if self.draining:
            # It was being let in while the drain began.
            conversation.go_away()
        try:
            yield
        finally:
            self._conversations.discard(conversation)

    def drain(self) -> None:
        """Tells every conversation to take no more turns."""
        self.draining = True
        for conversation in tuple(self._conversations):
            conversation.go_away()

    def revoke(self, is_revoked: Callable[[Caller], bool]) -> None:
        """Ends what runs for callers that are revoked, each turn with its receipt."""
        for watch, caller in tuple(self._watches.items()):
            if is_revoked(caller):
                watch.stop(revoked())
        for conversation in tuple(self._conversations):
            if is_revoked(conversation.caller):
                conversation.revoke()

    def stop(self) -> None:
        """Ends what is still running: with output as interrupted, without as draining."""
        for watch in tuple(self._watches):
            watch.stop(draining())


def revoked() -> CallerError:
    """The credential that the work was begun with was withdrawn."""
    return CallerError(Reason.REVOKED, "the credential was revoked")


def overdue() -> CallerError:
    """The caller's deadline, or the longest a turn may take."""
    return CallerError(Reason.DEADLINE, "the turn took longer than its deadline")


def too_old() -> GatewayError:
    """The stream has been open for as long as one may be."""
    return GatewayError(Reason.DRAINING, "this stream has reached its age; open another one", retry_after_s=0.0)


def draining() -> GatewayError:
    """This server is shutting down."""
    return GatewayError(Reason.DRAINING, "this server is shutting down; call again", retry_after_s=0.0)
