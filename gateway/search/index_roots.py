"""Which root of the index a path belongs to, so that no file is in the index of a tenant twice."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.search.index_store import IndexStore, Root

SHIPPED_LABEL = "gateway"
SHIPPED_PLACE = "package:gateway"


@dataclass(frozen=True, slots=True)
class Scope:
    """What one path means: a root, and the part of it (`prefix`, empty = all) that lies at `start`."""

    root: Root
    start: Path
    prefix: str

    def covers(self, path: str) -> bool:
        """Whether a document of the root, by its relative path, is in this part."""
        return not self.prefix or path == self.prefix or path.startswith(f"{self.prefix}/")

    def path_of(self, below: str) -> str:
        """What lies `below` the start, relative to the root."""
        return "/".join(part for part in (self.prefix, below) if part)

    def below(self, path: str) -> str:
        """The opposite: a path relative to the root, relative to the start."""
        return path.removeprefix(self.prefix).strip("/")


def scope_of(store: IndexStore, path: Path, tenant: str) -> Scope:
    """A path inside a known root belongs to that root; a folder around known roots takes their place."""
    with store.transaction():
        roots = store.roots(tenant)
        for root in roots:
            if path.is_relative_to(root.place):
                return Scope(root, path, "/".join(path.relative_to(root.place).parts))
        inner = [root for root in roots if Path(root.place).is_relative_to(path)]
        for root in inner:
            store.drop_root(root)
        taken = {root.label for root in roots if root not in inner}
        return Scope(store.add_root(tenant, str(path), _free_label(path, taken)), path, "")


def shipped_scope(store: IndexStore, folder: Path) -> Scope:
    """The root of the documents that come with the gateway, wherever it is installed."""
    known = [root for root in store.roots("") if root.place == SHIPPED_PLACE]
    if known:
        return Scope(known[0], folder, "")
    with store.transaction():
        return Scope(store.add_root("", SHIPPED_PLACE, SHIPPED_LABEL), folder, "")


def _free_label(path: Path, taken: Iterable[str]) -> str:
    """The name callers see: that of the file or folder, numbered when another one has it."""
    name = Path(path.name or "files")
    used = {*taken, SHIPPED_LABEL}
    label, number = str(name), 1
    while label in used:
        number += 1
        label = f"{name.stem}~{number}{name.suffix}"
    return label
