"""What is known of a turn once it is over: its receipt, and how it felt to wait for it."""

from dataclasses import dataclass

from gateway.domain.call import Call
from gateway.domain.receipt import Attempt, Receipt


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One per turn, made when it is settled. Times in seconds; `model` is the catalogue's name.

    `first_output_s` is None when nothing came; `longest_gap_s` is the longest wait between two batches of output;
    `batches` counts them and `events` the upstream events in them. `upstream_failures` are the reasons of attempts
    that failed. `search_s` is None where nothing was searched; `connect_overlap_s` is how much of the connecting
    to the model happened during the search, and was not waited for after it. `attempts` are those of this run
    alone; `own_cost_nano_usd` is what calls cost that nobody is charged for.
    """

    call: Call
    receipt: Receipt
    model: str
    duration_s: float
    first_output_s: float | None
    longest_gap_s: float
    batches: int
    events: int
    upstream_failures: tuple[str, ...] = ()
    search_s: float | None = None
    connect_overlap_s: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    own_cost_nano_usd: int = 0
