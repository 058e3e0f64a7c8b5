"""What a refusal of a chat server becomes, and that nothing about keys or money gets through."""

import math

import pytest

from gateway.domain.errors import CallerError, GatewayError, Reason, UpstreamError
from gateway.models.openai_errors import failure_of, parse_retry_after, read_refusal, sanitised

NOW = 1_790_000_000.0


def refused(status: int, message: str = "", **words: object) -> GatewayError:
    """The error for a status with an OpenAI error body."""
    return failure_of(read_refusal(status, {"error": {"message": message, "param": None, **words}}), 7.0)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, Reason.UPSTREAM_PROTOCOL),
        (307, Reason.UPSTREAM_PROTOCOL),
        (204, Reason.UPSTREAM_PROTOCOL),
        (101, Reason.UPSTREAM_PROTOCOL),
        (401, Reason.UPSTREAM_CREDENTIALS),
        (402, Reason.UPSTREAM_BALANCE),
        (403, Reason.UPSTREAM_CREDENTIALS),
        (404, Reason.UPSTREAM_MODEL_GONE),
        (405, Reason.UPSTREAM_REJECTED),
        (408, Reason.UPSTREAM_UNAVAILABLE),
        (429, Reason.UPSTREAM_RATE_LIMITED),
        (500, Reason.UPSTREAM_UNAVAILABLE),
        (502, Reason.UPSTREAM_UNAVAILABLE),
        (503, Reason.UPSTREAM_UNAVAILABLE),
        (504, Reason.UPSTREAM_UNAVAILABLE),
        (529, Reason.UPSTREAM_UNAVAILABLE),
    ],
)
def test_a_status_decides(status: int, reason: Reason) -> None:
    """With or without a body, and the cause names it."""
    for error in (
        refused(status, "some text", type="invalid_request_error"),
        failure_of(read_refusal(status, None)),
    ):
        assert isinstance(error, UpstreamError)
        assert error.reason is reason
        assert error.facts == {"upstream_cause": f"http_{status}"}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_parameter_is_the_callers_fault(status: int) -> None:
    """With the upstream's words, cleaned."""
    error = refused(status, "Temperature must be\n between 0 and 2")
    assert isinstance(error, CallerError)
    assert error.reason is Reason.INVALID_REQUEST
    assert error.message == "Temperature must be between 0 and 2"
    assert error.fields[0].description == error.message


@pytest.mark.parametrize(
    ("message", "words", "reason"),
    [
        ("The supported API model names are a or b, but you passed c.", {}, Reason.UPSTREAM_MODEL_GONE),
        (
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
            {},
            Reason.UPSTREAM_REJECTED,
        ),
        ("Insufficient Balance", {}, Reason.UPSTREAM_BALANCE),
        ("request (2009 tokens) exceeds the available context size", {}, Reason.CONTEXT_LENGTH_EXCEEDED),
        ("too long", {"code": "context_length_exceeded"}, Reason.CONTEXT_LENGTH_EXCEEDED),
        ("Thinking mode does not support this tool_choice", {}, Reason.INVALID_REQUEST),
    ],
)
def test_known_texts_of_a_400_mean_something_else(message: str, words: dict[str, str], reason: Reason) -> None:
    """They are the vendor's own, as recorded."""
    error = refused(400, message, **words)
    assert error.reason is reason
    assert isinstance(error, CallerError) == (reason in (Reason.INVALID_REQUEST, Reason.CONTEXT_LENGTH_EXCEEDED))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "m", "code": 400}}, "m"),
        ({"error": "m"}, "m"),
        ({"message": "m", "code": 400, "type": "Bad Request"}, "m"),
        ({"error": {"message": ["m"]}}, ""),
        ({"error": None}, ""),
        (["m"], ""),
        (None, ""),
        ("m", "m"),
    ],
)
def test_every_shape_of_a_body_is_read(body: object, message: str) -> None:
    """Recorded servers use three; the rest gives no text, and no fault."""
    assert read_refusal(400, body).message == message


@pytest.mark.parametrize(
    "secret",
    [
        "Authentication Fails, Your api key: ****-key is invalid",
        "bad key sk-abc",
        "Bearer xyz is wrong",
        "your account org-1 is blocked",
        "which exceeds your concurrency limit based on your remaining balance",
        "Please top up",
        "see https://internal.example/x",
        "token 0123456789abcdef0123456789abcdef0123",
    ],
)
def test_nothing_about_keys_money_or_addresses_reaches_a_caller(secret: str) -> None:
    """The whole text is dropped: masking a part would leave the rest to guess from."""
    assert sanitised(secret) == ""
    error = refused(400, secret)
    assert error.message == "The model provider does not accept this request."


def test_a_text_for_a_caller_is_one_short_line() -> None:
    """Control characters and line breaks go, and length is bounded."""
    assert sanitised("a\x00\r\n\x1b[31mb\u202e  c") == "a [31mb c"
    assert len(sanitised("word " * 1000)) == 300


def test_a_429_may_name_the_live_limit_of_the_account() -> None:
    """For our own slots only: the caller never reads it."""
    text = "Your current concurrency is 40, which exceeds your concurrency limit of 39 based on your balance."
    assert read_refusal(429, {"error": {"message": text}}).concurrency_limit == 39
    assert "39" not in refused(429, text).message
    assert read_refusal(429, None).concurrency_limit is None


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("5", 5.0),
        (" 1.5 ", 1.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("3600", 60.0),
        ("1e309", 60.0),
        ("-inf", 1.0),
        ("9" * 5000, 60.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30.0),
        ("Mon, 21 Sep 2026 14:00:00 GMT", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60.0),
        ("Mon, 99 Sep 99999 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_safely_and_clamped(value: str, wait_s: float | None) -> None:
    """Seconds or a date, from 1 to 60; what means nothing is as if it were absent."""
    read = parse_retry_after(value, NOW)
    assert read == wait_s if wait_s is None or read is None else math.isclose(read, wait_s, abs_tol=0.01)


def test_only_what_passes_carries_a_wait() -> None:
    """A limit and a failing server do, a bad key and a bad parameter do not."""
    assert [refused(status).retry_after_s for status in (429, 503, 401, 404, 400)] == [7.0, 7.0, None, None, None]
