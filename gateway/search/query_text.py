"""Pure: a query cut to what a vendor takes, on a word boundary, and the domains of a query as operators."""

from collections.abc import Iterable


def cut(terms: str, limit: int) -> str:
    """At most `limit` characters, whole words; a first word that is longer is cut, for there is nothing else."""
    line = " ".join(terms.split())
    if len(line) <= limit:
        return line
    border = line.rfind(" ", 0, limit + 1)
    return line[: border if border > 0 else limit].rstrip()


def with_operators(terms: str, operators: Iterable[str], limit: int) -> str:
    """The terms followed by as many search operators as fit whole; the terms come first and lose nothing."""
    line = cut(terms, limit)
    for operator in operators:
        if len(line) + 1 + len(operator) <= limit:
            line = f"{line} {operator}"
    return line


def site_operators(only: Iterable[str], skip: Iterable[str]) -> list[str]:
    """`site:` and `-site:` for domains; several wanted ones are alternatives."""
    wanted = " OR ".join(f"site:{name}" for name in map(bare_domain, only) if name)
    both = [f"({wanted})" if " OR " in wanted else wanted] if wanted else []
    return both + [f"-site:{name}" for name in map(bare_domain, skip) if name]


def bare_domain(written: str) -> str:
    """A domain as vendors take it: no scheme, no path, no wildcard."""
    host = written.strip().lower().rpartition("//")[2].split("/")[0]
    return "".join(letter for letter in host.removeprefix("*.") if letter.isalnum() or letter in ".-")
