"""What the commands about keys, clients and revocations share: where they write, list and revoke."""

import argparse
import asyncio
import datetime as dt
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway import settings
from gateway.auth.revocation import FOREVER, Kind, Revocation
from gateway.auth.revocations import RevocationFile
from gateway.auth.shared_revocations import SharedRevocations
from gateway.domain.errors import CallerError, OperatorError

_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Place:
    """Whom a command writes for: one data directory, and Redis where the configuration names one."""

    data_dir: Path
    redis_url: str

    def revoke(self, revocation: Revocation) -> None:
        """In force in every gateway within seconds. Raises OperatorError."""
        RevocationFile(self.data_dir).add(revocation)
        self._share(lambda shared: shared.add(revocation, time.time()))

    def lift(self, revocation: Revocation) -> None:
        """Takes a revocation back. Raises CallerError where there is none, OperatorError."""
        RevocationFile(self.data_dir).lift(revocation)
        self._share(lambda shared: shared.lift(revocation))

    def _share(self, work: Callable[[SharedRevocations], Awaitable[None]]) -> None:
        if self.redis_url:
            asyncio.run(_share(self.redis_url, work))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares where the command writes."""
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")
    parser.add_argument("--data-dir", default=None, help="the gateway's data directory (GATEWAY_DATA_DIR)")


def run(name: str, args: argparse.Namespace, work: Callable[[Place], str]) -> int:
    """Runs one command on the place that the options name: 0 done, 1 failed, 2 wrong usage or configuration."""
    try:
        loaded = settings.load(args.config)
        data = replace(loaded.data, dir=args.data_dir) if args.data_dir else loaded.data
        text = work(Place(Path(data.dir), loaded.redis.url))
    except settings.ConfigurationError as error:
        sys.stderr.write("".join(f"gateway {name}: {fault}\n" for fault in error.faults))
        return 2
    except CallerError as error:
        sys.stderr.write(f"gateway {name}: {error.message}\n")
        return 2
    except OperatorError as error:
        sys.stderr.write(f"gateway {name}: {error.message}\n")
        return 1
    sys.stdout.write(text)
    return 0


def credential(value: str, ends_after_s: int | None) -> Revocation:
    """The revocation, from now on, of one token or API key."""
    now = int(time.time())
    return Revocation(Kind.CREDENTIAL, value, "", now, FOREVER if ends_after_s is None else now + ends_after_s)


def duration_s(text: str) -> int:
    """Seconds from `90s`, `15m`, `12h`, `30d` or a bare number of seconds."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 15m, 12h or 30d")
    return int(found[1]) * _UNIT_S[found[2]]


def moment(seconds: int, never: str = "never") -> str:
    """A time for people, in UTC; `never` for one that is none or beyond every calendar."""
    latest = dt.datetime(9999, 1, 1, tzinfo=dt.UTC).timestamp()
    if not 0 < seconds < latest:
        return never
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    every = [titles, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(titles))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every
    ]
    return "".join(f"{line}\n" for line in lines)


async def _share(url: str, work: Callable[[SharedRevocations], Awaitable[None]]) -> None:
    shared = SharedRevocations(url)
    try:
        await work(shared)
    finally:
        await shared.aclose()
