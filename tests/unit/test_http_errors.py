"""The error table, its HTTP side."""

import pytest
from google.rpc import code_pb2

from gateway.bridge.dify import error_object
from gateway.bridge.errors import Refusal, body, callers_words, from_status, headers
from gateway.domain.errors import Reason


def refusal(reason: str, code: int = code_pb2.UNAVAILABLE, **more: object) -> Refusal:
    """The refusal for a reason of the gateway."""
    return from_status(code, reason, "words", retryable=False, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_the_gateway_has_its_line(reason: Reason) -> None:
    """None falls through to the line of a bug but the bug itself."""
    found = refusal(reason)
    assert (found.code == "internal_error") is (reason is Reason.INTERNAL)
    assert 400 <= found.status < 600


@pytest.mark.parametrize(
    ("reason", "status", "kind", "code"),
    [
        ("TOKEN_INVALID", 401, "authentication_error", "invalid_api_key"),
        ("SCOPE_MISSING", 403, "permission_error", "scope_missing"),
        ("MODEL_NOT_FOUND", 404, "invalid_request_error", "model_not_found"),
        ("INVALID_REQUEST", 400, "invalid_request_error", "invalid_request"),
        ("IDEMPOTENCY_CONFLICT", 422, "invalid_request_error", "idempotency_conflict"),
        ("RATE_LIMITED", 429, "rate_limit_error", "rate_limit_exceeded"),
        ("BUDGET_EXHAUSTED", 429, "insufficient_quota", "insufficient_quota"),
        ("OVERLOADED", 503, "server_error", "overloaded"),
        ("UPSTREAM_REJECTED", 502, "server_error", "upstream_rejected"),
        ("UPSTREAM_TTFT_TIMEOUT", 504, "server_error", "timeout"),
        ("UPSTREAM_PROTOCOL", 502, "server_error", "upstream_protocol"),
        ("DEADLINE", 504, "server_error", "timeout"),
        ("INTERNAL", 500, "server_error", "internal_error"),
    ],
)
def test_a_reason_is_a_status_a_type_and_a_code(reason: str, status: int, kind: str, code: str) -> None:
    """As published."""
    found = refusal(reason)
    assert (found.status, found.kind, found.code) == (status, kind, code)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (code_pb2.UNAVAILABLE, 503),
        (code_pb2.DEADLINE_EXCEEDED, 504),
        (code_pb2.RESOURCE_EXHAUSTED, 413),
        (code_pb2.UNIMPLEMENTED, 404),
        (code_pb2.UNKNOWN, 500),
        (code_pb2.PERMISSION_DENIED, 500),
    ],
)
def test_a_status_of_the_library_shows_nothing_of_its_text(code: int, status: int) -> None:
    """It may name addresses."""
    found = from_status(code, "", "nothing answers at 10.0.0.7:50051", retryable=False)
    assert found.status == status
    assert "10.0.0.7" not in found.message


def test_an_upstream_that_answered_with_5xx_is_a_bad_gateway() -> None:
    """One that was not reached is 503."""
    assert refusal("UPSTREAM_UNAVAILABLE", facts={"upstream_cause": "http_500"}).status == 502
    assert refusal("UPSTREAM_UNAVAILABLE", facts={"upstream_cause": "connect"}).status == 503


def test_headers_say_whether_and_when_to_try_again() -> None:
    """What cannot succeed carries `x-should-retry: false`, and a wait is never promised for it."""
    later = from_status(8, "RATE_LIMITED", "later", retryable=True, retry_after_s=1.2)
    assert headers(later) == {"x-should-retry": "true", "retry-after": "2", "retry-after-ms": "1200"}
    unsaid = from_status(14, "OVERLOADED", "later", retryable=True)
    assert headers(unsaid)["retry-after"] == "1"
    never = from_status(8, "BUDGET_EXHAUSTED", "no", retryable=False, retry_after_s=5.0)
    assert headers(never) == {"x-should-retry": "false"}
    assert headers(refusal("TOKEN_INVALID"))["www-authenticate"].startswith("Bearer")


def test_the_body_is_openais_and_holds_no_choices() -> None:
    """Readers of streams take an object with choices for a chunk."""
    found = body(refusal("STREAM_INTERRUPTED", receipt_id="r1"))
    assert list(found) == ["error"]
    assert found["error"] == {
        "message": "words",
        "type": "server_error",
        "param": None,
        "code": "stream_interrupted",
        "receipt_id": "r1",
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("generation.temperature: must be between 0 and 2", "temperature: must be between 0 and 2"),
        ("tools[3].name: is there twice", "tools[3].function.name: is there twice"),
        ("messages[2].parts[0].image", "messages[2].content[0].image"),
        ("messages[1].tool_calls[0].call_id", "messages[1].tool_calls[0].id"),
        ("labels: holds at most 16", "metadata: holds at most 16"),
    ],
)
def test_fields_are_named_as_the_caller_wrote_them(ours: str, theirs: str) -> None:
    """The contract's names mean nothing to an HTTP caller."""
    assert callers_words(ours) == theirs


@pytest.mark.parametrize(
    ("reason", "has_form", "status", "code"),
    [
        ("TOKEN_INVALID", False, 401, 1001),
        ("TOKEN_INVALID", True, 403, 1002),
        ("SCOPE_MISSING", True, 403, 1002),
        ("RATE_LIMITED", True, 422, 429),
        ("OVERLOADED", True, 422, 503),
        ("INTERNAL", True, 422, 500),
        ("INVALID_REQUEST", True, 400, 400),
    ],
)
def test_dify_gets_nothing_that_its_proxy_repeats(reason: str, has_form: bool, status: int, code: int) -> None:
    """429 and 5xx would be sent again three times, and their words lost."""
    found = refusal(reason)
    assert error_object(found, has_form=has_form) == (status, {"error_code": code, "error_msg": found.message})
