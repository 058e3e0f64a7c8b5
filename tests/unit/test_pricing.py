"""What a turn costs, by the price book that ships and by books that are wrong."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.usage import Usage
from gateway.limits.price_book import BookError, load_book
from gateway.limits.price_file import SHIPPED, read_book
from gateway.limits.pricing import (
    MILLION,
    Calendar,
    ModelPrice,
    PriceBook,
    Rates,
    UnpricedModel,
    card_prices,
    hold_price,
    price,
    search_cost,
)

BOOK = read_book()
FLASH, PRO = "deepseek-flash", "deepseek-v4-pro"
MILLION_EACH = Usage(prompt_tokens=2 * MILLION, cached_prompt_tokens=MILLION, completion_tokens=MILLION)


def utc(text: str) -> float:
    """Seconds since the epoch of an ISO time in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


def usd(amount: str) -> int:
    """Nano-USD of a decimal amount."""
    return int(Decimal(amount) * 10**9)


WEDNESDAY_PEAK = utc("2026-11-18T03:00")
WEDNESDAY_OFF = utc("2026-11-18T05:00")


@pytest.mark.parametrize(
    ("model", "when", "total"),
    [
        (FLASH, WEDNESDAY_OFF, "0.753"),
        (FLASH, WEDNESDAY_PEAK, "1.506"),
        (PRO, WEDNESDAY_OFF, "2.662"),
        (PRO, WEDNESDAY_PEAK, "5.324"),
        ("deepseek-v4-flash", WEDNESDAY_OFF, "0.753"),
        ("embedded", WEDNESDAY_PEAK, "0"),
    ],
)
def test_a_million_of_each_costs_what_the_price_page_says(model: str, when: float, total: str) -> None:
    """Cached input, input and output of DeepSeek's price page of November 2026."""
    assert price(MILLION_EACH, model, when, BOOK).cost_nano_usd == usd(total)


@pytest.mark.parametrize(
    ("when", "peak"),
    [
        ("2026-11-18T00:59:59", False),
        ("2026-11-18T01:00:00", True),
        ("2026-11-18T03:59:59", True),
        ("2026-11-18T04:00:00", False),
        ("2026-11-18T06:00:00", True),
        ("2026-11-18T10:00:00", False),
        ("2026-11-21T03:00:00", False),
        ("2026-11-22T07:00:00", False),
        ("2026-11-23T07:00:00", True),
        ("2026-10-01T03:00:00", False),
        ("2026-10-08T03:00:00", True),
        ("2026-10-10T03:00:00", False),
    ],
)
def test_the_peak_is_beijing_office_hours_without_weekends_and_holidays(when: str, peak: bool) -> None:
    """To the second; a Saturday that is worked is still off-peak."""
    priced = price(MILLION_EACH, FLASH, utc(when), BOOK)
    assert priced.peak is peak
    assert priced.entry == f"deepseek-flash@2026-08-16/{'peak' if peak else 'off-peak'}"


def test_a_hold_takes_the_higher_price_when_the_turn_may_cross_into_the_peak() -> None:
    """From one second before the peak; and one that ends before it holds at the low price."""
    start = utc("2026-11-18T00:50")
    low = hold_price(1_000, 2_048, FLASH, start=start, end=start + 599, book=BOOK)
    high = hold_price(1_000, 2_048, FLASH, start=start, end=start + 600, book=BOOK)
    leaving = hold_price(
        1_000, 2_048, FLASH, start=utc("2026-11-18T03:59:59"), end=utc("2026-11-18T04:10"), book=BOOK
    )
    assert (low.peak, high.peak, leaving.peak) == (False, True, True)
    assert high.cost_nano_usd == leaving.cost_nano_usd == 2 * low.cost_nano_usd


def test_a_hold_spans_a_new_price_list() -> None:
    """A turn that starts on the old list and may end on a dearer one holds by the dearer."""
    book = load_book(two_lists(new_output="9"))
    change = utc("2026-09-01T00:00")
    held = hold_price(0, MILLION, "m", start=change - 60, end=change + 60, book=book)
    assert (held.cost_nano_usd, held.entry) == (usd("9"), "m@2026-09-01")
    assert hold_price(0, MILLION, "m", start=change - 60, end=change - 1, book=book).cost_nano_usd == usd("2")


def test_each_list_holds_from_its_date_and_the_first_holds_before() -> None:
    """A receipt names the list that was in force."""
    book = load_book(two_lists(new_output="9"))
    moments = ("2020-01-01T00:00", "2026-08-31T23:59", "2026-09-01T00:00")
    entries = [price(MILLION_EACH, "m", utc(moment), book).entry for moment in moments]
    assert entries == ["m@2026-01-01", "m@2026-01-01", "m@2026-09-01"]


def test_every_line_is_rounded_up_once() -> None:
    """One token at a fraction of a nano-USD costs one nano-USD, not zero and not one per token."""
    book = PriceBook({"m": (ModelPrice("m", 0, "d", Rates(1, 1, 1), Rates(1, 1, 1), None),)})
    usage = Usage(prompt_tokens=20, cached_prompt_tokens=10, completion_tokens=10)
    assert price(usage, "m", 0, book).cost_nano_usd == 3


def test_searches_cost_by_provider_and_unlisted_ones_are_free() -> None:
    """$0.75 per thousand calls of DeepSeek's search."""
    assert search_cost({"deepseek": 2, "embedded": 5}, WEDNESDAY_OFF, BOOK) == usd("0.0015")
    assert price(Usage(), FLASH, WEDNESDAY_OFF, BOOK, {"deepseek": 1}).cost_nano_usd == usd("0.00075")


def test_a_list_of_models_shows_prices_per_thousand_tokens() -> None:
    """In nano-USD, of this moment."""
    card = card_prices(FLASH, WEDNESDAY_PEAK, BOOK)
    assert (card.cached_input, card.input, card.output, card.peak) == (6_000, 300_000, 1_200_000, True)


def test_a_model_without_a_price_is_an_error_that_can_be_foreseen() -> None:
    """`knows` finds the gap before the start; a reply's unknown name falls back to the one that was asked for."""
    assert BOOK.knows("deepseek-v4-flash-vision-exp")
    assert not BOOK.knows("gpt")
    assert BOOK.priced_name("deepseek-v4.1-flash", FLASH) == FLASH
    with pytest.raises(UnpricedModel, match="'gpt'"):
        price(Usage(), "gpt", WEDNESDAY_OFF, BOOK)


@given(
    st.builds(
        Usage,
        st.integers(-10, 10**7),
        st.integers(-10, 10**7),
        st.integers(-10, 10**7),
        cost_nano_usd=st.integers(-(10**18), 10**18),
    ),
    st.integers(0, 4_000_000_000),
)
def test_no_cost_is_negative_or_leaves_int64(usage: Usage, when: int) -> None:
    """B-3: whatever the usage says."""
    assert 0 <= price(usage, PRO, when, BOOK).cost_nano_usd < 2**63


@given(st.integers(1_786_000_000, 1_796_000_000), st.integers(0, 100_000))
def test_a_span_touches_the_peak_when_one_of_its_moments_does(start: int, length: int) -> None:
    """`touches_peak` agrees with asking `is_peak` every half hour and at both ends."""
    (flash, *_) = BOOK.prices_of(FLASH)
    assert flash.calendar is not None
    moments = [*range(start - start % 1800 + 1800, start + length, 1800), start, start + length]
    assert flash.calendar.touches_peak(start, start + length) == any(map(flash.calendar.is_peak, moments))


def test_a_calendar_in_another_zone_has_its_own_dates() -> None:
    """09:00 to 12:00 at +08:00 is 01:00 to 04:00 UTC."""
    text = SHIPPED.read_text().replace('"UTC"', '"+08:00"').replace("01:00-04:00", "09:00-12:00")
    calendar = load_book(text.replace("06:00-10:00", "14:00-18:00")).prices_of(FLASH)[0].calendar
    shipped = BOOK.prices_of(FLASH)[0].calendar
    assert isinstance(calendar, Calendar)
    assert isinstance(shipped, Calendar)
    for hour in range(0, 24 * 60, 7):
        moment = utc("2026-09-21T00:00") + hour * 3600
        assert calendar.is_peak(moment) == shipped.is_peak(moment)


def two_lists(new_output: str) -> str:
    """A book with one model and two price lists."""
    return f"""
        [[models]]
        name = "m"
        valid_from = 2026-01-01
        price = {{ cached_input = 0, input = 1, output = 2 }}
        [[models]]
        name = "m"
        valid_from = 2026-09-01T00:00:00Z
        price = {{ cached_input = 0, input = 1, output = {new_output} }}
    """


def test_a_bad_book_is_refused_with_every_fault() -> None:
    """Operators mend a file once, not fault by fault."""
    with pytest.raises(BookError) as caught:
        load_book("""
            colour = "red"
            [calendars.c]
            zone = "Mars/Olympus"
            weekdays = ["mon", "funday"]
            peak = ["09:00-08:00", "01:00-03:00", "02:00-04:00"]
            holidays = ["tomorrow"]
            [[models]]
            name = "a"
            aliases = ["b"]
            valid_from = 2026-01-01
            calendar = "d"
            off_peak = { cached_input = -1, input = 0.0000000001, output = nan }
            [[models]]
            name = "b"
            valid_from = 2026-01-01T00:00:00
            price = { cached_input = 1, input = true }
            [[models]]
            name = "b"
            valid_from = 1970-01-01
            prise = 1
            [[searches]]
            provider = ""
            per_1000_calls = 1e300
        """)
    faults = caught.value.faults
    for part in (
        "prices.colour: unknown",
        "calendars.c.zone: 'Mars/Olympus' is an unknown zone",
        "calendars.c.weekdays: 'funday'",
        "calendars.c.peak: '09:00-08:00'",
        "calendars.c.peak: windows overlap",
        "calendars.c.holidays: tomorrow is not a date",
        "models[0].calendar: unknown; known are c",
        "models[0].off_peak.cached_input: -1 is not between",
        "models[0].off_peak.input: 1E-10 has more than nine decimals",
        "models[0].off_peak.output: NaN is not between",
        "models[0].peak: missing",
        "models[1].valid_from: not a date",
        "models[1].price.input: not an amount",
        "models[1].price.output: missing",
        "models[2].prise: unknown",
        "models[2].price: missing",
        "models[2]: another price of the same name holds from the same moment",
        "models: 'b' is a model and an alias of 'a'",
        "searches[0].provider: not a name",
        "searches[0].valid_from: not a date",
        "searches[0].per_1000_calls: 1E+300 is not between",
    ):
        assert any(fault.startswith(part) for fault in faults), (part, faults)


@pytest.mark.parametrize("text", ["", "models = 3", "[[models]]", "= ="])
def test_a_book_without_prices_is_no_book(text: str) -> None:
    """Nothing is free by accident."""
    with pytest.raises(BookError):
        load_book(text)


def test_a_book_that_cannot_be_read_says_which() -> None:
    """The path is part of the fault."""
    with pytest.raises(BookError, match=r"nowhere\.toml"):
        read_book(SHIPPED.with_name("nowhere.toml"))
