"""The gate before searches and models: nobody is asked anything before the turn's intent is on the disk."""

from gateway.pipeline.job import Job


async def written_down(job: Job) -> None:
    """Waits until the intent of the turn is durable. Raises OperatorError(AUDIT_UNAVAILABLE)."""
    if job.entry is not None:
        await job.entry.written
