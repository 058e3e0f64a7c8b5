"""A status, or a fault, as the client's error."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.v1 import inference_pb2
from gateway_client.errors import GatewayCallError
from gateway_client.status import call_error, fault_error
from tests.support.scripted_gateway import unavailable


def error_for(code: grpc.StatusCode, details: str, target: str = "gw.example:443", **trailing: bytes) -> str:
    """The line that a person sees for a status without details of the gateway."""
    named = {name.replace("_", "-"): value for name, value in trailing.items()}
    return str(call_error(code, details, named, target=target, request_id="q"))


@pytest.mark.parametrize(
    ("code", "details", "line"),
    [
        (
            grpc.StatusCode.UNAVAILABLE,
            "connections to all backends failing; last error: ipv4:…: Failed to connect to remote host",
            "nothing answers at gw.example:443: check that it runs there, or set GATEWAY_GRPC_TARGET",
        ),
        (
            grpc.StatusCode.UNAVAILABLE,
            "errors resolving gw.example:443: Domain name not found",
            "nothing answers at gw.example:443: check that it runs there, or set GATEWAY_GRPC_TARGET",
        ),
        (
            grpc.StatusCode.UNAVAILABLE,
            "failed to connect to all addresses; last error: Tls handshake failed (TSI_PROTOCOL_FAILURE)",
            "no TLS with gw.example:443: check its certificate and the CA file, or ask for plain text",
        ),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", "the connection to gw.example:443 broke: try again"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", "no answer in time: allow more time"),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Received message larger than max (5000000 vs. 4194304)",
            "the message is larger than the gateway takes: send less text",
        ),
        (grpc.StatusCode.UNKNOWN, "odd", "odd"),
        (grpc.StatusCode.DATA_LOSS, "", "DATA_LOSS"),
    ],
)
def test_a_status_of_the_library_is_put_into_words(code: grpc.StatusCode, details: str, line: str) -> None:
    """Where no gateway spoke, the error says what happened to the connection and what to do."""
    assert error_for(code, details) == line


def test_details_that_cannot_be_read_do_not_hide_the_status() -> None:
    """Another server may use the key for something else."""
    assert error_for(grpc.StatusCode.UNKNOWN, "odd", grpc_status_details_bin=b"\xff\xff") == "odd"


@pytest.mark.parametrize(("value", "pause_s"), [("700", 0.7), ("0", 0.0), ("-1", -1.0), ("soon", -1.0)])
def test_pushback_is_read_as_grfc_a6_says(value: str, pause_s: float) -> None:
    """Milliseconds; what is no number means "do not retry"."""
    trailing = dict(unavailable(pushback_ms=value).trailing())
    error = call_error(grpc.StatusCode.UNAVAILABLE, "no", trailing, target="t", request_id="q")
    assert error.failure.pushback_s == pause_s


def test_a_fault_is_the_same_error_as_a_status() -> None:
    """Code, reason, wait, charge and facts come from the frame, the receipt from its end."""
    fault = inference_pb2.Fault(
        code=8,
        reason="RATE_LIMITED",
        message="too many turns",
        retry_after=Duration(seconds=2, nanos=500_000_000),
        charged=True,
        retryable=True,
        facts={"request_id": "q1"},
    )
    error = fault_error(fault, "r1")
    assert isinstance(error, GatewayCallError)
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (error.retry_after_s, error.billed, error.retryable) == (2.5, True, True)
    assert str(error) == "RATE_LIMITED: too many turns: try again in 2.5 s (request q1, receipt r1)"


def test_the_line_stays_one_line() -> None:
    """A message with line breaks cannot forge further lines of a log."""
    fault = inference_pb2.Fault(code=13, reason="UPSTREAM_REJECTED", message="a\nb")
    assert str(fault_error(fault)) == "UPSTREAM_REJECTED: a b: report the request id to the operator"


def test_what_the_gateway_already_said_is_not_said_twice() -> None:
    """Its messages often name the wait themselves, as a sentence with a full stop."""
    fault = inference_pb2.Fault(
        code=8,
        reason="RATE_LIMITED",
        message="The limit is met: retry in 2 s.",
        retry_after=Duration(seconds=2),
        retryable=True,
    )
    assert str(fault_error(fault)) == "RATE_LIMITED: The limit is met: retry in 2 s"
