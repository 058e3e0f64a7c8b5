"""One call to one model: what arrives is counted, timed on events rather than bytes, and passed on."""

import time
from contextlib import aclosing
from dataclasses import dataclass

from gateway.domain.answer import Received
from gateway.domain.errors import GatewayError, Reason, UpstreamError
from gateway.domain.events import Finish, TextDelta, ToolCallDelta
from gateway.domain.receipt import Attempt
from gateway.domain.turn import Thinking
from gateway.domain.usage import Usage
from gateway.models import Prompt
from gateway.pipeline.job import Job
from gateway.pipeline.listening import Listening
from gateway.pipeline.meter import Meter
from gateway.pipeline.outlet import Outlet
from gateway.pipeline.sharing import JOINED
from gateway.pipeline.watch import Watch


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a turn waits for what, in seconds."""

    first_output_s: float
    first_output_thinking_s: float
    silence_s: float
    client_stall_s: float  # kept by whoever passes the answer on


@dataclass(frozen=True, slots=True)
class Supervision:
    """What one call of a model happens under: the turn's timers and meter, and who opens its stream."""

    patience: Patience
    meter: Meter
    listening: Listening


async def ask(job: Job, prompt: Prompt, outlet: Outlet, over: Supervision) -> None:
    """Streams one answer to its end. Raises UpstreamError; closes the upstream before anything else happens.

    The timers run only while the upstream is waited for, so that a slow caller is never mistaken for a slow model;
    whoever passes the answer on times the caller.
    """
    received = job.received = Received()
    job.asked = False
    begun, outcome = time.perf_counter(), "abandoned"
    try:
        await _stream(job, prompt, outlet, over)
        await outlet.close()
        outcome = received.finish.name.lower() if received.finish else "no_finish"
    except GatewayError as error:
        if "upstream_cause" in error.facts:
            outcome = error.reason.lower()
            job.failures.append(error.reason)
        raise
    finally:
        usage = Usage(completion_tokens=received.output_events)
        name = received.model or prompt.model
        if job.sharing.level == JOINED:
            outcome = JOINED  # whoever asked the model has the call on the receipt
        if job.asked or outcome != "abandoned":  # who left the line of the upstream has asked nobody
            took_s = time.perf_counter() - begun
            job.attempts.append(Attempt(job.route.provider.name, name, outcome, usage, took_s))


async def _stream(job: Job, prompt: Prompt, outlet: Outlet, over: Supervision) -> None:
    received, patience, meter = job.received, over.patience, over.meter
    upstream = Watch()
    async with upstream, aclosing(await over.listening.open(job, prompt, outlet)) as batches:
        job.asked = True
        upstream.expect(_first_output_s(job, prompt, patience), no_first_output)
        async for batch in batches:
            before = received.output_events
            for event in batch:
                received.add(event)
            if received.output_events == before:
                continue
            upstream.pause()
            now = time.perf_counter()
            job.note_output(now)
            for event in batch:
                if isinstance(event, TextDelta):
                    await outlet.text(event)
                elif isinstance(event, ToolCallDelta):
                    await outlet.tool_call(event)
            for told in meter.read(received, now):
                await outlet.tell(told)
            if meter.is_spent(received):
                # Leaving the loop closes the upstream: it stops generating, and billing, here.
                received.finish = Finish.LIMIT
                break
            upstream.expect(patience.silence_s, went_silent)
    if received.finish is None:
        raise UpstreamError(
            Reason.UPSTREAM_PROTOCOL, "the model's answer had no end", facts={"upstream_cause": "no_finish"}
        )


def _first_output_s(job: Job, prompt: Prompt, patience: Patience) -> float:
    """How long the first output may take: an upstream may have times of its own."""
    place = job.route.endpoint
    if prompt.generation.thinking in (None, Thinking.OFF):
        return place.first_output_s or patience.first_output_s
    return place.first_output_thinking_s or patience.first_output_thinking_s


def no_first_output() -> GatewayError:
    """The model said nothing in time."""
    return UpstreamError(
        Reason.UPSTREAM_TTFT_TIMEOUT,
        "the model did not begin to answer in time",
        facts={"upstream_cause": "first_output_timeout"},
        retry_after_s=1.0,
    )


def went_silent() -> GatewayError:
    """The model stopped in the middle."""
    return UpstreamError(
        Reason.UPSTREAM_UNAVAILABLE,
        "the model stopped in the middle of its answer",
        facts={"upstream_cause": "silence"},
        retry_after_s=1.0,
    )
