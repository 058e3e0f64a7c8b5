"""Draws gateways side by side from the JSON on standard input: `python plots.py PATH` writes a PNG and an SVG.

It runs in an environment of its own that has matplotlib, and imports nothing of this project.
"""

import json
import sys
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

PANELS = (
    ("First token, one stream, p50 (ms)", "first_p50_ms"),
    ("CPU per event, 100 paced streams (µs)", "paced_100_cpu_us"),
    ("CPU per event, bursts (µs)", "burst_cpu_us"),
    ("CPU per plain call (µs)", "plain_cpu_us"),
    ("Memory, idle (MiB)", "idle_mib"),
    ("Memory, 300 open streams (MiB)", "open_mib"),
)
OURS, REFERENCE, OTHER = "#1f6f8b", "#9aa5b1", "#d08c60"


def main() -> None:
    """Draws one panel for each number that anybody has."""
    samples = json.load(sys.stdin)
    pyplot.rcParams.update({"font.size": 9, "svg.hashsalt": "gateway", "axes.spines.top": False})
    figure, axes = pyplot.subplots(3, 2, figsize=(9, 8.5), layout="constrained")
    for place, (title, number) in zip(axes.flat, PANELS, strict=True):
        having = {name: numbers[number] for name, numbers in samples.items() if any(numbers.get(number, ()))}
        draw(place, title, having)
    path = Path(sys.argv[1])
    figure.savefig(path.with_suffix(".png"), dpi=130, metadata={"Software": None})
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})


def draw(place, title, having) -> None:
    """Bars with their range; all but memory on a scale of tens, for the distances are that large."""
    if not having:
        place.set_axis_off()
        return
    names = sorted(having, key=lambda name: median(having[name]))
    middles = [median(having[name]) for name in names]
    low = [middle - min(having[name]) for name, middle in zip(names, middles, strict=True)]
    high = [max(having[name]) - middle for name, middle in zip(names, middles, strict=True)]
    colours = [
        OURS if name == "gateway" else REFERENCE if name in ("direct", "bare loop") else OTHER for name in names
    ]
    bars = place.barh(names, middles, xerr=[low, high], color=colours, capsize=2, ecolor="#444444")
    place.bar_label(
        bars, labels=[f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}" for middle in middles], padding=4
    )
    if not title.startswith("Memory"):
        place.set_xscale("log")
    place.margins(x=0.25)
    place.set_title(title, loc="left")


if __name__ == "__main__":
    main()
