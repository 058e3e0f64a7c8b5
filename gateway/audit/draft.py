"""What is about to be written to a chain: records that count only once they are on the disk (pure)."""

from collections.abc import Callable

from gateway.audit import Entry, Intent, Outcome
from gateway.audit.chain import Head, follow, name_of, open_list
from gateway.audit.records import Content, IntentRecord, OutcomeRecord, Start
from gateway.domain.masking import masked_url

RequestHash = Callable[[str, bytes], bytes]
"""The keyed digest of a request, from its tenant and its plain digest."""

MOST_CHARACTERS = 2_048
"""Of a text that comes from outside, such as an address, so much is kept."""


class Tail:
    """The end of one chain: its head, how many records its segment has, and which intents have no outcome."""

    def __init__(self, head: Head, chain: str, writer: str, request_hash: RequestHash) -> None:
        self.head = head
        self.chain = chain
        self.writer = writer
        self.request_hash = request_hash
        self.in_segment = 0
        self.open: dict[int, str] = {}

    def accept(self, draft: "Draft") -> None:
        """The draft is on the disk: the chain goes on behind it."""
        self.head = draft.head
        self.in_segment += draft.count
        for entry, seq in draft.seqs.items():
            entry.seq = seq
        self.open.update(draft.opened)
        for seq in draft.ended:
            del self.open[seq]


class Draft:
    """A group of records behind a tail, at one moment (microseconds since the epoch)."""

    def __init__(self, tail: Tail, time_us: int) -> None:
        self._tail = tail
        self._time_us = time_us
        self._frames: list[bytes] = []
        self.head = tail.head
        self.seqs: dict[Entry, int] = {}
        self.opened: dict[int, str] = {}
        self.ended: list[int] = []

    @property
    def data(self) -> bytes:
        """The frames of all records."""
        return b"".join(self._frames)

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self._frames)

    def add(self, content: Content) -> None:
        """One record more."""
        self.head, frame = follow(self.head, self._time_us, content)
        self._frames.append(frame)

    def begin(self) -> None:
        """The start of a segment."""
        self.add(Start(self._tail.chain, self._tail.writer, open_list(self._tail.open)))

    def intent(self, entry: Entry) -> None:
        """An intent."""
        record = intent_record(entry.intent, self._tail.request_hash)
        self.add(record)
        self.seqs[entry] = self.head.count
        self.opened[self.head.count] = name_of(record)

    def outcome(self, entry: Entry, outcome: Outcome) -> None:
        """The outcome of an intent that stands in the chain or in this draft; of another one nothing."""
        seq = self.seqs.get(entry) or entry.seq
        if seq:
            self.add(outcome_record(seq, entry.intent, outcome))
            self.ended.append(seq)


def intent_record(intent: Intent, request_hash: RequestHash) -> IntentRecord:
    """How an intent stands in the audit."""
    return IntentRecord(
        tenant=intent.tenant,
        subject=intent.subject[:MOST_CHARACTERS],
        client_id=intent.client_id[:MOST_CHARACTERS],
        credential_id=intent.credential_id[:MOST_CHARACTERS],
        caller_ip=intent.caller_ip,
        request_id=intent.request_id,
        method=intent.method,
        receipt_id=intent.receipt_id,
        request_hash=request_hash(intent.tenant, intent.body_sha256),
        model=intent.model,
        parameters=intent.parameters,
    )


def outcome_record(seq: int, intent: Intent, outcome: Outcome) -> OutcomeRecord:
    """How the outcome of the intent at `seq` stands in the audit."""
    used = outcome.usage
    return OutcomeRecord(
        intent=seq,
        tenant=intent.tenant,
        receipt_id=intent.receipt_id,
        code=outcome.code,
        cause=outcome.cause,
        finish=outcome.finish,
        model=outcome.model[:MOST_CHARACTERS],
        served_by=outcome.served_by,
        prompt_tokens=used.prompt_tokens,
        cached_prompt_tokens=used.cached_prompt_tokens,
        completion_tokens=used.completion_tokens,
        reasoning_tokens=used.reasoning_tokens,
        search_calls=used.search_calls,
        tool_runs=used.tool_runs,
        cost_nano_usd=used.cost_nano_usd,
        basis=used.basis.name.lower(),
        sources=tuple((masked_url(url)[:MOST_CHARACTERS], digest) for url, digest in outcome.sources),
    )
