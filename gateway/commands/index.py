"""`gateway index`: adds files and folders to the embedded index, and updates what is in it already."""

import argparse
import logging
import sys
from collections import Counter
from pathlib import Path

from gateway import settings
from gateway.domain.errors import CallerError, GatewayError
from gateway.search.embedded import DATABASE
from gateway.search.files import FOREIGN
from gateway.search.index_report import IndexReport, Outcome
from gateway.search.indexing import index_paths

MAX_SHOWN_FILES = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", type=Path, help="a Markdown, text, HTML or PDF file, or a folder"
    )
    parser.add_argument("--tenant", default="", help="only callers of this tenant find it (default: all tenants)")
    parser.add_argument("--data-dir", default=None, help="where the index lies (GATEWAY_DATA_DIR)")


def run(args: argparse.Namespace) -> int:
    """Prints what became of the files: 0 done, 1 when none could be indexed, 2 for a path that does not exist."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it complains about files that it reads all the same
    try:
        report = index_paths(settings.data_dir(args.data_dir) / DATABASE, args.paths, args.tenant)
    except GatewayError as error:
        sys.stderr.write(f"gateway index: {error.message}\n")
        return 2 if isinstance(error, CallerError) else 1
    for line in lines(report):
        sys.stdout.write(f"{line}\n")
    if not report.indexed and not report.changed:
        sys.stderr.write("gateway index: nothing could be indexed; give Markdown, text, HTML or PDF files\n")
        return 1
    return 0


def lines(report: IndexReport) -> list[str]:
    """The report for people: files that failed, one line for each class of files, and the total.

    Files that a folder holds beside its documents (`other`) are only counted.
    """
    skipped = [file for file in report.with_outcome(Outcome.SKIPPED) if file.reason != FOREIGN]
    shown = [f"skipped {file.path}: {file.reason}" for file in skipped[:MAX_SHOWN_FILES]]
    if len(skipped) > MAX_SHOWN_FILES:
        shown.append(f"skipped {len(skipped) - MAX_SHOWN_FILES} more")
    table = report.by_kind()
    total = sum(table.values(), Counter[Outcome]())
    return [*shown, *(_line(kind, counts) for kind, counts in table.items()), _line("total", total)]


def _line(name: str, counts: Counter[Outcome]) -> str:
    return f"{name}: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
