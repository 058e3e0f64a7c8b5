"""Who comes next: the tenant that holds the fewest slots, then the one whose turn it is (pure).

The turn is that of start-time fair queueing (Goyal, Vin and Cheng 1996): each service moves a tenant's tag one on,
and one that comes anew starts at the tag served last. So whatever the backlog of one tenant, no other waits behind
it. Within a tenant, who came first is served first.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest

MANY_TAGS = 256


@dataclass(eq=False, slots=True)
class Ticket:
    """One who waits; `since` is a moment of the caller's clock."""

    tenant: str
    since: float


class Line:
    """Waiting turns of many tenants, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, OrderedDict[Ticket, None]] = {}
        self._tags: dict[str, int] = {}
        self._served = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def coming(self, held: Mapping[str, int], most: int) -> list[tuple[str, int, float]]:
        """The tenants that come next, with how many of their turns wait, and since when the first does."""
        names = nsmallest(most, self._waiting, key=lambda name: self._order(name, held))
        return [(name, len(self._waiting[name]), self._first(name).since) for name in names]

    def join(self, tenant: str, now: float, most: int | None = None) -> tuple[Ticket | None, Ticket | None]:
        """The ticket of one who comes, and the ticket of one who has to leave for it.

        In a full line the last of the longest backlog leaves; that is the newcomer where its own is the longest.
        `most` makes the line shorter for now.
        """
        leaves = None
        if self._length >= (self._most if most is None else min(self._most, most)):
            longest = max(self._waiting, key=lambda name: len(self._waiting[name]), default=tenant)
            if len(self._waiting.get(tenant, ())) + 1 >= len(self._waiting.get(longest, ())):
                return None, None
            leaves = next(reversed(self._waiting[longest]))
            self.leave(leaves)
        ticket = Ticket(tenant, now)
        self._waiting.setdefault(tenant, OrderedDict())[ticket] = None
        self._length += 1
        return ticket, leaves

    def leave(self, ticket: Ticket) -> None:
        """One goes without having been served; a repeat changes nothing."""
        own = self._waiting.get(ticket.tenant)
        if own is None or ticket not in own:
            return
        del own[ticket]
        self._length -= 1
        if not own:
            del self._waiting[ticket.tenant]
        if not self._length:
            # Nobody was passed over, so nobody has anything to make up for.
            self._tags.clear()
            self._served = 0

    def next(self, held: Mapping[str, int], tenant: str = "") -> Ticket | None:
        """Serves the next one, of `tenant` if one is named and waits; `held` counts the slots of each tenant."""
        if not self._waiting:
            return None
        if tenant not in self._waiting:
            tenant = min(self._waiting, key=lambda name: self._order(name, held))
        ticket, tag = self._first(tenant), self._tag(tenant)
        self._served, self._tags[tenant] = tag, tag + 1
        if len(self._tags) > MANY_TAGS:
            self._tags = {name: tag for name, tag in self._tags.items() if tag > self._served}
        self.leave(ticket)
        return ticket

    def ahead(self, tenant: str, held: Mapping[str, int]) -> int:
        """How many would be served before one of this tenant that came now, if nobody else came."""
        own = len(self._waiting.get(tenant, ()))
        holds, tag = self._place(tenant, held)
        before = own
        for name, others in self._waiting.items():
            if name != tenant:
                other_holds, other_tag = self._place(name, held)
                # As many as bring it to where the newcomer will be, and one more if its turn is first there.
                even = holds + own - other_holds
                turns = even + (other_tag + even <= tag + own)
                before += min(max(turns, 0), len(others)) if even >= 0 else 0
        return before

    def _order(self, tenant: str, held: Mapping[str, int]) -> tuple[int, int, float]:
        return (*self._place(tenant, held), self._first(tenant).since)

    def _place(self, tenant: str, held: Mapping[str, int]) -> tuple[int, int]:
        return held.get(tenant, 0), self._tag(tenant)

    def _tag(self, tenant: str) -> int:
        return max(self._tags.get(tenant, 0), self._served)

    def _first(self, tenant: str) -> Ticket:
        return next(iter(self._waiting[tenant]))
