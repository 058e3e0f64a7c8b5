"""Everything that goes wrong with an upstream, as the caller of `Generate` is told, charged and left.

One attempt each, so that a fault shows as it is: what becomes of it with more is in `test_failing_over.py`. Before
any output a fault has a status of its own; after it, every fault is STREAM_INTERRUPTED.
Numbers such as U-6 name the rows of the fault matrix.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.v1 import content_pb2, inference_pb2
from tests.support.certificates import Authority
from tests.support.chat_events import DONE, LAST_CHUNK, chat_chunk, sse, text_chunk
from tests.support.outcomes import Outcome
from tests.support.sweep import House, opened, question
from tests.support.upstream import RESET, STALL, Exchange, Reply, ScriptedUpstream
from tests.support.upstream_faults import FAULTS, HEADS, KEY, SAYS, TABLE, TEXT, TTFT, UNAVAILABLE, Fault

# One gateway for all: what one fault leaves behind would show in the next.
pytestmark = pytest.mark.asyncio(loop_scope="module")

UNLIMITED = """
[tenant_defaults.limits]
requests_per_minute = 0
tokens_per_minute = 0
"""
ONE_ATTEMPT = {"GATEWAY_ROUTING_ATTEMPTS": "1", "GATEWAY_ROUTING_CIRCUIT_FAILURES": "0"}
POSITIONS = {"before headers": None, "before output": 0, "after 2": 2, "after 50": 50}


def in_the_middle() -> list[Any]:
    """Every fault at every position it has; the outer two only where everything is run. Any: parameters."""
    return [
        pytest.param(
            fault,
            texts,
            id=f"{fault.name}-{position}",
            marks=[pytest.mark.full] if position in ("before headers", "after 50") else [],
        )
        for fault in FAULTS
        for position, texts in POSITIONS.items()
        if texts is not None or fault.head
    ]


@dataclass
class Stage:
    """The reply that the shared upstream plays now."""

    reply: Reply = field(default_factory=Reply)

    def __call__(self, _exchange: Exchange) -> Reply:
        return self.reply


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> Stage:
    """What the upstream does next."""
    return Stage()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A gateway with short timers and a key that must never be seen."""
    folder = tmp_path_factory.mktemp("gateway")
    environment = {"DEEPSEEK_API_KEY": KEY, **ONE_ATTEMPT}
    async with opened(
        folder, stage, fast=True, config=UNLIMITED, environment=environment, hang_guard_s=3600
    ) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared: House, capfd: pytest.CaptureFixture[str]) -> AsyncIterator[House]:
    """That gateway, swept after every fault, its key in nothing it wrote."""
    shared.upstream.exchanges.clear()
    yield shared
    await shared.sweep()
    written = capfd.readouterr()
    assert KEY not in written.out + written.err
    assert TEXT not in written.out + written.err


def receipt_of(house: House, outcome: Outcome) -> Receipt:
    """The receipt that the status names."""
    receipt_id = outcome.status.facts["receipt_id"]
    (receipt,) = [receipt for receipt in house.receipts() if receipt.receipt_id == receipt_id]
    return receipt


def check_told(outcome: Outcome, reason: str, *, billed: bool, retry_after_s: float | None = None) -> None:
    """The status is that of the table, with its details, and nothing of the upstream's own words is in it."""
    code, retryable, wait_s = TABLE[reason]
    status = outcome.status
    assert (status.code, status.reason, status.domain) == (code, reason, "gateway.v1")
    assert status.facts["request_id"] == status.trailers["x-request-id"]
    assert status.facts["receipt_id"] == status.trailers["gateway-receipt-id"]
    assert (status.facts["retryable"], status.facts["billed"]) == (retryable, str(billed).lower())
    assert status.retry_after_s == (retry_after_s or wait_s)
    told = str(status) + str(outcome.frames)
    assert KEY not in told
    assert TEXT not in told


def check_books(receipt: Receipt, reason: str, attempt: str) -> None:
    """One attempt, which failed; the turn ended in error, for this reason."""
    assert (receipt.finish, receipt.reason) == (Finish.ERROR, reason)
    assert [(made.upstream, made.outcome) for made in receipt.attempts] == [("deepseek", attempt.lower())]


def check_failed_before_output(house: House, outcome: Outcome, reason: str, cause: str) -> None:
    """Nothing was delivered, nothing is charged, and the upstream was asked once."""
    check_told(outcome, reason, billed=False)
    assert outcome.status.facts["upstream_cause"] == cause
    # A heartbeat while it waited sends the receipt's frame with it, and then the end comes before the status.
    assert outcome.kinds in ([], ["accepted", "end"])
    receipt = receipt_of(house, outcome)
    check_books(receipt, reason, reason)
    used = receipt.settled
    assert (used.prompt_tokens, used.completion_tokens, used.cost_nano_usd) == (0, 0, 0)


@pytest.mark.parametrize(("fault", "texts"), in_the_middle())
async def test_a_stream_that_goes_wrong(house: House, stage: Stage, fault: Fault, texts: int | None) -> None:
    """Before any output it failed; after it, what was delivered stands, is charged, and is never called whole."""
    if texts is None:
        stage.reply = Reply(fault.head, status=None)
    else:
        words = [text_chunk(f"{number} ") for number in range(texts)]
        # Headers, and output, arrive before the fault does.
        stage.reply = Reply.events(*words, 0.02, *fault.steps)
    outcome = await house.outcome()
    outcome.check_frames()
    assert len(house.upstream.exchanges) == 1
    if not texts:
        reason, cause = fault.head_says if texts is None else (fault.reason, fault.cause)
        check_failed_before_output(house, outcome, reason, cause)
        return
    check_told(outcome, "STREAM_INTERRUPTED", billed=True)
    facts = outcome.status.facts
    assert (facts["delivered_tokens"], facts["upstream_cause"]) == (str(texts), fault.cause_after or fault.cause)
    assert outcome.text == "".join(f"{number} " for number in range(texts))
    assert outcome.end.finish == inference_pb2.FINISH_ERROR
    receipt = receipt_of(house, outcome)
    assert outcome.end.receipt_id == receipt.receipt_id
    check_books(receipt, "STREAM_INTERRUPTED", UNAVAILABLE if fault.reason == TTFT else fault.reason)
    used = receipt.settled
    assert (used.prompt_tokens > 0, used.completion_tokens, used.cost_nano_usd > 0) == (True, texts, True)
    assert outcome.end.usage.cost_nano_usd == used.cost_nano_usd
    assert receipt.broken_stream_policy == "charge_delivered"


@pytest.mark.parametrize(
    ("reply", "reason", "cause"), [head[1:] for head in HEADS], ids=[head[0] for head in HEADS]
)
async def test_an_answer_that_is_wrong_from_its_head_on(
    house: House, stage: Stage, reply: Reply, reason: str, cause: str
) -> None:
    """The upstream's text stays inside; one attempt, nothing charged."""
    stage.reply = reply
    outcome = await house.outcome()
    assert len(house.upstream.exchanges) == 1
    check_failed_before_output(house, outcome, reason, cause)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("2", 2.0),
        ("17.5", 17.5),
        ("9999999", 60.0),
        ("-5", 1.0),
        ("NaN", 1.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0),
        ("soon", 1.0),
    ],
)
async def test_the_wait_that_an_upstream_asks_for(house: House, stage: Stage, value: str, wait_s: float) -> None:
    """U-3: clamped to 1 to 60 s, and told to people, to programs and to client libraries alike."""
    stage.reply = Reply.json(429, SAYS, {"Retry-After": value})
    outcome = await house.outcome()
    check_told(outcome, "UPSTREAM_RATE_LIMITED", billed=False, retry_after_s=wait_s)
    assert outcome.status.trailers["grpc-retry-pushback-ms"] == str(round(wait_s * 1000))


async def test_a_refused_parameter_is_explained_in_the_upstreams_words(house: House, stage: Stage) -> None:
    """U-4: only where they speak of neither keys nor money, on one line."""
    stage.reply = Reply.json(400, {"error": {"message": "top_p must be\n below 1"}})
    outcome = await house.outcome()
    check_told(outcome, "INVALID_REQUEST", billed=False)
    assert outcome.status.message == "top_p must be below 1"


async def test_a_conversation_that_is_too_long_for_the_upstream(house: House, stage: Stage) -> None:
    """U-4: it has a reason of its own."""
    said = {
        "error": {"message": "This model's maximum context length is 9 tokens.", "code": "context_length_exceeded"}
    }
    stage.reply = Reply.json(400, said)
    check_told(await house.outcome(), "CONTEXT_LENGTH_EXCEEDED", billed=False)


class TestWhatIsNoFault:
    """Odd, but whole: the caller gets OK and all of it."""

    @pytest.mark.parametrize(
        ("finish", "told"),
        [("length", inference_pb2.FINISH_LENGTH), ("content_filter", inference_pb2.FINISH_CONTENT_FILTER)],
    )
    async def test_other_ends(self, house: House, stage: Stage, finish: str, told: int) -> None:
        """U-20."""
        stage.reply = Reply.events(text_chunk("a"), chat_chunk({}, finish=finish), DONE)
        outcome = await house.outcome()
        outcome.check_ok()
        assert (outcome.text, outcome.end.finish) == ("a", told)

    async def test_a_connection_that_breaks_after_the_finish_reason(self, house: House, stage: Stage) -> None:
        """The answer was whole."""
        stage.reply = Reply.events(text_chunk("a"), chat_chunk({}, finish="stop"), 0.02, RESET)
        outcome = await house.outcome()
        outcome.check_ok()
        assert outcome.text == "a"

    @pytest.mark.parametrize("after", [[text_chunk("never")], [STALL], [b"\xff" * 100, STALL]])
    async def test_whatever_follows_done(self, house: House, stage: Stage, after: list[Any]) -> None:
        """U-17: it is not read, and a connection held open is closed. Any: steps."""
        stage.reply = Reply.events(text_chunk("a"), LAST_CHUNK, DONE, *after)
        outcome = await house.outcome()
        outcome.check_ok()
        assert outcome.text == "a"
        if STALL in after:
            await house.upstream.exchanges[0].closed.wait()

    @pytest.mark.parametrize(
        "usage",
        [
            {"prompt_tokens": -1, "completion_tokens": 2, "total_tokens": 1},
            {"prompt_tokens": 10**18, "completion_tokens": 2, "total_tokens": 10**18 + 2},
            {"prompt_tokens": 1.5, "completion_tokens": "2"},
            {"prompt_tokens": 9_000_000, "completion_tokens": 2, "total_tokens": 9_000_002},
        ],
    )
    async def test_usage_that_is_nonsense(self, house: House, stage: Stage, usage: dict[str, Any]) -> None:
        """U-14: our own count is charged. Any: JSON."""
        stage.reply = Reply.events(text_chunk("a"), chat_chunk({}, finish="stop", usage=usage), DONE)
        used = (await house.outcome()).end.usage
        assert (used.basis, used.completion_tokens) == (content_pb2.USAGE_BASIS_COUNTED, 1)
        assert 0 < used.prompt_tokens < 100
        assert used.cost_nano_usd > 0

    async def test_usage_that_is_no_number_of_json(self, house: House, stage: Stage) -> None:
        """U-14: NaN, as some servers write it."""
        last = sse(chat_chunk({}, finish="stop", usage={"prompt_tokens": 0, "completion_tokens": 0}))
        stage.reply = Reply.events(
            text_chunk("a"), last.replace(b'"prompt_tokens":0', b'"prompt_tokens":NaN'), DONE
        )
        outcome = await house.outcome()
        outcome.check_ok()
        assert outcome.end.usage.basis == content_pb2.USAGE_BASIS_COUNTED

    async def test_usage_that_is_not_the_sum_of_its_parts(self, house: House, stage: Stage) -> None:
        """U-21: the provider's numbers win."""
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 99}
        stage.reply = Reply.events(text_chunk("a"), chat_chunk({}, finish="stop", usage=usage), DONE)
        used = (await house.outcome()).end.usage
        assert (used.prompt_tokens, used.completion_tokens) == (5, 3)


class TestBilling:
    """What a broken stream costs, where the operator chose otherwise."""

    async def test_a_stream_that_broke_may_be_free(self, tmp_path: Path) -> None:
        """By the policy that is printed on the receipt."""
        reply = Reply.events(text_chunk("a"), 0.02, RESET)
        environment = {"GATEWAY_BILLING_BROKEN_STREAM": "free", "DEEPSEEK_API_KEY": KEY}
        async with opened(tmp_path, reply, fast=True, environment=environment) as house:
            outcome = await house.outcome()
            check_told(outcome, "STREAM_INTERRUPTED", billed=False)
            receipt = receipt_of(house, outcome)
            assert (receipt.settled.cost_nano_usd, receipt.broken_stream_policy) == (0, "free")


class TestReachingIt:
    """U-1: it cannot even be asked."""

    async def test_nobody_listens(self, tmp_path: Path) -> None:
        """A refused connection."""
        async with ScriptedUpstream(Reply()) as gone:
            port = gone.port
        upstream = f"http://127.0.0.1:{port}"
        async with opened(tmp_path, Reply(), upstream=upstream, fast=True, environment=ONE_ATTEMPT) as house:
            check_failed_before_output(house, await house.outcome(), UNAVAILABLE, "connect")

    async def test_a_name_that_does_not_exist(self, tmp_path: Path) -> None:
        """`.invalid` never resolves (RFC 2606)."""
        environment = {"GATEWAY_TIMERS_CONNECT_S": "5", "GATEWAY_TIMERS_FIRST_OUTPUT_S": "10", **ONE_ATTEMPT}
        upstream = "https://no-such-host.invalid"
        async with opened(tmp_path, Reply(), upstream=upstream, environment=environment) as house:
            outcome = await house.outcome()
            check_failed_before_output(house, outcome, UNAVAILABLE, outcome.status.facts["upstream_cause"])
            assert outcome.status.facts["upstream_cause"] in ("dns", "connect_timeout")

    async def test_a_certificate_that_nobody_vouches_for(self, tmp_path: Path) -> None:
        """The question is not sent, nor the key."""
        pair = Authority(tmp_path).issue("upstream", host="localhost")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pair.certificate, pair.private_key)
        async with ScriptedUpstream(Reply.answer("a"), tls=tls) as distrusted:
            environment = {"GATEWAY_TIMERS_CONNECT_S": "5"}
            async with opened(tmp_path, Reply(), upstream=distrusted.url, environment=environment) as house:
                check_failed_before_output(house, await house.outcome(), "UPSTREAM_TLS", "tls")
            assert distrusted.exchanges == []

    async def test_an_answer_in_clear_where_tls_was_expected(self, tmp_path: Path) -> None:
        """As from a proxy."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 no\r\n\r\n")
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as proxy:
            upstream = f"https://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
            environment = {"GATEWAY_TIMERS_CONNECT_S": "5"}
            async with opened(tmp_path, Reply(), upstream=upstream, environment=environment) as house:
                check_failed_before_output(house, await house.outcome(), "UPSTREAM_TLS", "tls")


class TestDegraded:
    """With evidence at hand and the caller's leave, the embedded model answers instead."""

    SEARCH = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)

    def asked(self, **options: Any) -> inference_pb2.Turn:
        """A question that the gateway's own documents answer. Any: the fields of Turn."""
        fields = {"search": self.SEARCH, "routing": inference_pb2.Routing(allow_degraded=True), **options}
        return question("how does the gateway meter a broken stream?", **fields)

    @pytest.mark.parametrize(
        "reply", [Reply.json(503, SAYS), Reply([RESET], status=None), Reply([STALL], status=None)]
    )
    async def test_the_answer_is_marked_from_its_notice_to_its_receipt(
        self, house: House, stage: Stage, reply: Reply
    ) -> None:
        """OK, but never silently."""
        stage.reply = reply
        outcome = await house.outcome(self.asked())
        outcome.check_ok()
        outcome.check_frames()
        notices = [frame.notice for frame in outcome.frames if frame.WhichOneof("frame") == "notice"]
        assert [notice.kind for notice in notices] == [inference_pb2.NOTICE_KIND_DEGRADED]
        assert outcome.kinds.index("notice") < outcome.kinds.index("delta")
        assert (outcome.end.degraded, outcome.end.model) == (True, "embedded")
        assert outcome.text
        (receipt,) = [r for r in house.receipts() if r.receipt_id == outcome.end.receipt_id]
        assert (receipt.degraded, receipt.finish, receipt.reason) == (True, Finish.STOP, "")
        assert [made.upstream for made in receipt.attempts] == ["deepseek", "embedded"]
        assert TEXT not in str(outcome.frames)

    @pytest.mark.parametrize(
        "options",
        [
            {"routing": inference_pb2.Routing(allow_degraded=False)},
            {"search": inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)},
            {"tools": [content_pb2.Tool(name="f")]},
        ],
        ids=["not allowed", "no evidence", "tools"],
    )
    async def test_not_where_it_would_be_no_answer(
        self, house: House, stage: Stage, options: dict[str, Any]
    ) -> None:
        """Then the fault is told as it is. Any: the fields of Turn."""
        stage.reply = Reply.json(503, SAYS)
        check_told(await house.outcome(self.asked(**options)), UNAVAILABLE, billed=False)

    async def test_not_after_the_first_output(self, house: House, stage: Stage) -> None:
        """Answers are never spliced."""
        stage.reply = Reply.events(text_chunk("a"), 0.02, RESET)
        outcome = await house.outcome(self.asked())
        check_told(outcome, "STREAM_INTERRUPTED", billed=True)
        assert not outcome.end.degraded
