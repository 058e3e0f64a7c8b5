"""Seals what leaves this process: bound to its tenant, kind and name, readable while the tenant's salt lives.

Every key comes from one secret of the operator's and a random salt of the tenant's. Destroying the salt makes
everything that was sealed for the tenant unreadable for good, wherever a copy of it lies.
"""

from dataclasses import dataclass


class BrokenSeal(Exception):  # noqa: N818 - what was found, which is as good as nothing
    """The bytes are no seal, or not one of this tenant, kind and name, or of no key that is known."""


@dataclass(frozen=True, slots=True)
class Label:
    """What sealed bytes are: whose, of which kind, and under which name they lie."""

    tenant: str
    kind: str
    name: str
