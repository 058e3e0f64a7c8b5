"""What an answer ends with: nothing that was held back is lost."""

import pytest

from gateway.domain.events import Source, TextDelta, TurnEvent
from gateway.pipeline.outlet import Outlet
from gateway.search import Findings

CANARY = "0123456789abcdef"
FOUND = Findings(sources=(Source("S1", "https://a.example/", "T", "s", "web", passage="p"),), canary=CANARY)


@pytest.mark.parametrize("cut", [4, 6, 9, 15])
async def test_what_only_began_like_the_marker_comes_at_the_end(cut: int) -> None:
    """In the answer and in the reasoning alike; the marker itself never comes."""
    told: list[TurnEvent] = []

    async def emit(event: TurnEvent) -> None:
        told.append(event)

    outlet = Outlet(emit, FOUND, "q", include_reasoning=True)
    for letter in CANARY[:cut]:
        await outlet.text(TextDelta(text=letter, reasoning=letter))
    await outlet.close()
    deltas = [event for event in told if isinstance(event, TextDelta)]
    assert "".join(delta.text for delta in deltas) == CANARY[:cut]
    assert "".join(delta.reasoning for delta in deltas) == CANARY[:cut]
    assert sum(delta.events for delta in deltas) <= cut


async def test_the_whole_marker_never_comes() -> None:
    """Not even from the reasoning, and not at the end."""
    told: list[TurnEvent] = []

    async def emit(event: TurnEvent) -> None:
        told.append(event)

    outlet = Outlet(emit, FOUND, "q", include_reasoning=True)
    await outlet.text(TextDelta(text=f"a {CANARY} b", reasoning=f"a {CANARY} b"))
    await outlet.close()
    said = "".join(event.text + event.reasoning for event in told if isinstance(event, TextDelta))
    assert CANARY[6:] not in said
