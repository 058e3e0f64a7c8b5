"""The corpus of the search bench: free documentation packages of Debian, and questions with known answers.

Packages are fetched with `apt-get download` and unpacked into a folder; nothing is installed. Manual pages are
turned into plain text by leaving out their macros. Questions are made from the documents themselves, the same ones
each time: documents come in the order of the SHA-256 of their path.

- `sentence`: every second content word of one long sentence from the middle of a document, in keywords.
- `heading`: a section heading of two or more words that only this document has, asked as a question.
"""

import gzip
import hashlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.text import content_words, mostly_cjk, sentences
from gateway.search.documents import read_document
from gateway.search.outline import Document, UnreadableFileError

PACKAGES = ("python3.11-doc", "postgresql-doc-15", "linux-doc-6.1", "debian-reference-zh-cn", "manpages-zh")
FOLDERS = {
    "python": "usr/share/doc/python3.11/html",
    "postgresql": "usr/share/doc/postgresql-doc-15/html",
    "linux": "usr/share/doc/linux-doc-6.1/html",
    "debian-zh": "usr/share/debian-reference",
}
MANUALS = "usr/share/man/zh_CN"
ENGLISH, CHINESE = 150, 50
_SKIPPED = re.compile(r"genindex|search\.html|contents\.html|bookindex|py-modindex|_static|whatsnew/changelog")


class NoCorpusError(Exception):
    """The packages cannot be had on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and the path of the document that it was made from, as the index knows it."""

    text: str
    path: str
    kind: str
    chinese: bool


def build(folder: Path) -> Path:
    """The folder with the documents, made once and found again. Raises NoCorpusError."""
    corpus = folder / "corpus"
    if corpus.is_dir():
        return corpus
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NoCorpusError("apt-get and dpkg-deb are needed: run it on Debian or Ubuntu")
    debs, tree, half = folder / "debs", folder / "tree", folder / "corpus.half"
    debs.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if not list(debs.glob(f"{package}_*.deb")):
            _run(["apt-get", "download", "-q", package], debs)
        _run(["dpkg-deb", "-x", str(next(debs.glob(f"{package}_*.deb"))), str(tree)], debs)
    shutil.rmtree(half, ignore_errors=True)
    for label, place in FOLDERS.items():
        _copy(tree / place, half / label)
    for page in sorted((tree / MANUALS).rglob("*.gz")):
        target = half / "manuals-zh" / f"{page.stem}.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(plain_manual(gzip.decompress(page.read_bytes()).decode("utf-8", "replace")), "utf-8")
    half.rename(corpus)
    return corpus


def questions(corpus: Path) -> list[Asked]:
    """Two hundred questions, a quarter of them Chinese; the same for the same corpus."""
    paths = sorted(
        (path for path in corpus.rglob("*") if path.is_file()),
        key=lambda path: hashlib.sha256(path.relative_to(corpus).as_posix().encode()).digest(),
    )
    read = [(path.relative_to(corpus).as_posix(), document) for path in paths if (document := _read(path))]
    heads = Counter(section.path[-1] for _, document in read for section in document.sections if section.path)
    found: dict[tuple[str, bool], list[Asked]] = {}
    for path, document in read:
        for asked in _made(path, document, heads):
            found.setdefault((asked.kind, asked.chinese), []).append(asked)
    wanted = {
        ("sentence", False): ENGLISH * 2 // 3,
        ("heading", False): ENGLISH // 3,
        ("sentence", True): CHINESE * 2 // 3 + 1,
        ("heading", True): CHINESE // 3,
    }
    return [asked for key, count in wanted.items() for asked in found.get(key, [])[:count]]


def plain_manual(source: str) -> str:
    """A manual page without its macros: headings keep a line of their own."""
    lines: list[str] = []
    for line in source.split("\n"):
        if line.startswith((".SH", ".SS", ".TH")):
            lines += ["", line[3:].strip().strip('"'), ""]
        elif line.startswith((".PP", ".LP", ".P", ".TP", ".IP")):
            lines.append("")
        elif line.startswith((".B", ".I", ".R")):
            lines.append(re.sub(r'^\.[A-Z]{1,2}\s*|"', "", line))
        elif not line.startswith((".", "'")):
            lines.append(line)
    text = re.sub(r"\\f[A-Z]|\\f\[[A-Z]*\]|\\[&|^]|\\s[-+]?\d", "", "\n".join(lines))
    return text.replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " ").strip() + "\n"


def _made(path: str, document: Document, heads: Counter[str]) -> Iterator[Asked]:
    blocks = [block.text for section in document.sections for block in section.blocks]
    middle = blocks[len(blocks) // 3 :] if len(blocks) >= 6 else []
    for said in (said for block in middle for said in sentences(block)):
        words = content_words(said)
        chinese = mostly_cjk(said)
        if (10 <= len(words) <= 24 and 60 <= len(said) <= 300) or (
            chinese and 25 <= len(said) <= 90 and len(words) >= 4
        ):
            yield Asked(" ".join(words[::2]), path, "sentence", chinese)
            break
    for section in document.sections[1:]:
        head = section.path[-1] if section.path else ""
        if heads[head] == 1 and 2 <= len(content_words(head)) <= 8 and "|" not in head and len(head) < 80:
            chinese = mostly_cjk(head)
            yield Asked(f"{head}是什么？" if chinese else f"What about {head} ?", path, "heading", chinese)
            break


def _read(path: Path) -> Document | None:
    try:
        return read_document(path.name, path.read_bytes())
    except UnreadableFileError:
        return None


def _copy(source: Path, target: Path) -> None:
    for page in sorted(source.rglob("*.html")):
        name = page.relative_to(source)
        if not page.is_symlink() and not _SKIPPED.search(name.as_posix()) and not page.name.startswith("."):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page, target / name)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NoCorpusError(f"{' '.join(command[:3])} failed: {last}; run apt-get update as root and try again")
