"""The line in front of a model: no tenant waits behind another's backlog, and its length has a bound."""

from collections import Counter

from gateway.limits.line import Line, Ticket


def jain(shares: "list[int]") -> float:
    """Jain's index of fairness: 1 = all alike."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def joined(line: Line, tenant: str, count: int, now: float = 0.0) -> list[Ticket]:
    """So many turns of one tenant."""
    tickets = []
    for number in range(count):
        ticket, _ = line.join(tenant, now + number / 1000)
        assert ticket is not None
        tickets.append(ticket)
    return tickets


def served(line: Line, slots: int, count: int) -> list[str]:
    """Whom the next `count` services go to, where each is over when all slots have been given once more."""
    held: Counter[str] = Counter()
    running: list[str] = []
    order = []
    for _ in range(count):
        if len(running) == slots:
            held[running.pop(0)] -= 1
        ticket = line.next(held)
        if ticket is None:
            break
        held[ticket.tenant] += 1
        running.append(ticket.tenant)
        order.append(ticket.tenant)
    return order


def test_ten_to_one_offered_is_one_to_one_served() -> None:
    """Q-6, X-7: as long as both want slots they get as many, and the quiet one is served as if it were alone."""
    for slots in (1, 2, 5, 8):
        line = Line(10_000)
        joined(line, "loud", 1000)
        joined(line, "quiet", 100, now=1.0)
        order = served(line, slots, 200)
        counts = Counter(order)
        assert jain(list(counts.values())) >= 0.95
        waits = [place for place, tenant in enumerate(order) if tenant == "quiet"]
        assert waits[0] <= 1
        assert all(place <= 2 * number + 2 for number, place in enumerate(waits))


def test_a_backlog_is_not_passed_over_by_those_who_come_one_at_a_time() -> None:
    """Two tenants that always have one turn there, one with many: each gets a third."""
    line = Line(1000)
    joined(line, "backlog", 100)
    joined(line, "one", 1)
    joined(line, "other", 1)
    order = []
    for now in range(90):
        ticket = line.next({})
        assert ticket is not None
        order.append(ticket.tenant)
        if ticket.tenant != "backlog":
            line.join(ticket.tenant, now)
    assert jain(list(Counter(order).values())) >= 0.99


def test_whoever_holds_least_comes_first() -> None:
    """Slots that a tenant has already count against it."""
    line = Line(10)
    joined(line, "holds three", 1)
    joined(line, "holds none", 1, now=5.0)
    ticket = line.next({"holds three": 3})
    assert ticket is not None
    assert ticket.tenant == "holds none"


def test_within_a_tenant_who_comes_first_is_served_first() -> None:
    """And whoever leaves is passed over."""
    line = Line(10)
    first, second, third = joined(line, "acme", 3)
    line.leave(second)
    line.leave(second)
    assert [line.next({}), line.next({}), line.next({})] == [first, third, None]
    assert len(line) == 0


def test_a_full_line_sends_away_the_last_of_the_longest_backlog() -> None:
    """A tenant that fills it cannot keep others out, and it never grows."""
    line = Line(5)
    loud = joined(line, "loud", 5)
    assert line.join("loud", 9.0) == (None, None)
    ticket, leaves = line.join("quiet", 9.0)
    assert (ticket is not None, leaves) == (True, loud[-1])
    assert len(line) == 5
    assert Line(0).join("acme", 0.0) == (None, None)


def test_a_place_is_what_it_comes_to() -> None:
    """The place that a newcomer is told is where it is served, if nobody else comes."""
    for own in range(4):
        for others in range(5):
            for held in ({}, {"acme": 2}, {"beta": 1}, {"gamma": 3, "acme": 1}):
                line = Line(100)
                joined(line, "beta", others)
                joined(line, "gamma", 2, now=0.5)
                joined(line, "acme", own, now=1.0)
                told = line.ahead("acme", held)
                ticket, _ = line.join("acme", 2.0)
                holds, before = Counter(held), 0
                while (one := line.next(holds)) is not ticket:
                    assert one is not None
                    holds[one.tenant] += 1
                    before += 1
                assert told == before, (own, others, held)
