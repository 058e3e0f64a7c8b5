"""Which files of a folder are read: the visible ones, each once, and never one that lies outside."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.search.documents import FileKind, kind_of

FOREIGN = "not a Markdown, text, HTML or PDF file"

_SKIPPED_FOLDERS = frozenset(("node_modules", "__pycache__", "venv", "site-packages"))


@dataclass(frozen=True, slots=True)
class Found:
    """A file under a root; `path` is relative to the root with forward slashes, empty when it is the root."""

    path: str
    file: Path


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that is not read, and why."""

    path: str
    reason: str


def walk(root: Path) -> Iterator[Found | Refused]:
    """The files of `root`, a file or a folder, in a stable order.

    Hidden files, folders of tools and links to folders are passed over in silence; a link to a file is followed
    when the file lies inside the root, so no loop and no way out of the folder exists.
    """
    if not root.is_dir():
        yield Found("", root)
        return
    inside = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_passed_over(name))
        for name in sorted(names):
            if not name.startswith("."):
                yield _judged(root, inside, Path(folder) / name)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED_FOLDERS


def _judged(root: Path, inside: Path, file: Path) -> Found | Refused:
    path = file.relative_to(root).as_posix()
    if kind_of(file.name) is FileKind.OTHER:
        return Refused(path, FOREIGN)
    try:
        if not file.resolve(strict=True).is_relative_to(inside):
            return Refused(path, "a link to a file outside the folder")
        regular = stat.S_ISREG(file.stat().st_mode)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return Refused(path, "a link that leads nowhere")
    return Found(path, file) if regular else Refused(path, "not a regular file")
