"""How far the estimate of tokens is from DeepSeek's own count: `python -m tests.bench.estimate`.

Compared with the usage in recorded answers of the vendor, found by GATEWAY_WIRE_DIR. A tokenizer's own file may be
given as the only argument; then its count is compared too.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.limits.estimate import CountText, count_text
from gateway.limits.tokenizer import load_tokenizer

WIRE = Path(os.environ.get("GATEWAY_WIRE_DIR", Path(__file__).parents[3] / "shared" / "wire"))
SHORTEST = 60


def answers() -> Iterator[tuple[str, str, int]]:
    """The kind of each different recorded answer, its text and how many tokens the vendor billed for it."""
    seen = set()
    for line in (WIRE / "index.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)  # Any: recorded JSON
        expect = row["expect"] or {}
        if row["provider"] == "deepseek" and expect.get("usage") and not expect.get("tool_calls"):
            text, real = expect["text"] + expect["reasoning"], expect["usage"]["completion_tokens"]
            if real >= SHORTEST and text not in seen:
                seen.add(text)
                yield kind(text), text, real


def kind(text: str) -> str:
    """Which of the languages that are told apart."""
    if sum("\u4e00" <= letter <= "\u9fff" for letter in text) > len(text) / 10:
        return "Chinese"
    return "code" if "```" in text or '{"' in text else "English"


def told(name: str, count: CountText) -> str:
    """One line for each kind, with the sign of the error: above 0 is too many."""
    errors: dict[str, list[float]] = {}
    for of, text, real in answers():
        errors.setdefault(of, []).append((count(text) - real) / real * 100)
    lines = []
    for of in ("English", "code", "Chinese"):
        found = sorted(errors.get(of, []))
        if not found:
            lines.append(f"{name}, {of}: nothing is recorded")
            continue
        off = [abs(error) for error in found]
        lines.append(
            f"{name}, {of}: {len(found)} answers, median error {statistics.median(off):.1f} %, largest "
            f"{max(off):.1f} %, from {found[0]:+.1f} to {found[-1]:+.1f} %"
        )
    return "\n".join(lines)


def main() -> int:
    """Prints the table."""
    if not (WIRE / "index.jsonl").exists():
        print(f"no recordings at {WIRE}; set GATEWAY_WIRE_DIR", file=sys.stderr)
        return 2
    print(told("estimate", count_text))
    for path in sys.argv[1:2]:
        print(told("tokenizer", load_tokenizer(Path(path))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
