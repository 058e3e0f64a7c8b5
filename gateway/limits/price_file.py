"""Where a price book comes from: the operator's file, or the one that ships with the gateway."""

from pathlib import Path

from gateway.limits.price_book import BookError, load_book
from gateway.limits.pricing import PriceBook

SHIPPED = Path(__file__).with_name("prices.toml")


def read_book(path: Path | None = None) -> PriceBook:
    """The price book in this file, or the shipped one. Raises BookError, also for a file that cannot be read."""
    source = path or SHIPPED
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BookError([f"prices: cannot read {source}: {error}"]) from error
    try:
        return load_book(text)
    except BookError as error:
        raise BookError([f"{source}: {fault}" for fault in error.faults]) from error
