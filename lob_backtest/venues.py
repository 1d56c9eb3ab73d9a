"""What venues and brokers charge, as they published it: presets for the ``costs`` of a config.

A preset is a published schedule of one moment, with its dates and sources. The sources were read in
public copies, whose day is known only where a date is given. A preset is not kept up to date; a
schedule of your own goes into the config. Figures without a source are left out rather than
guessed; what a schedule has beyond the fields below (caps, tiers, clearing) is named in its note.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from lob_backtest.book import Book, BookMeta
from lob_backtest.config import CostsConfig
from lob_backtest.errors import CostError


@dataclass(frozen=True, kw_only=True)
class Venue:
    """A published schedule.

    Attributes:
        name: as the config writes it.
        title: whose schedule it is.
        currency: of its amounts of money; None where it has none but shares of the notional.
        taker_bps, maker_bps, taker_per_unit, maker_per_unit, minimum_fee, sell_tax_bps,
            sell_per_unit: as in ``costs.Costs``.
        within_session: whether it holds only for what is bought and sold in one session.
        valid_from, valid_until: ISO dates, both included, as the sources state them; None where
            they state none.
        sources: where the figures were published.
        note: what is left out, and which tier it is.
    """

    name: str
    title: str
    currency: str | None
    taker_bps: float = 0.0
    maker_bps: float = 0.0
    taker_per_unit: float = 0.0
    maker_per_unit: float = 0.0
    minimum_fee: float = 0.0
    sell_tax_bps: float = 0.0
    sell_per_unit: float = 0.0
    within_session: bool = False
    valid_from: str | None = None
    valid_until: str | None = None
    sources: tuple[str, ...]
    note: str

    @property
    def period(self) -> str:
        """The stated validity in words."""
        if self.valid_from and self.valid_until:
            return f"{self.valid_from} to {self.valid_until}"
        if self.valid_from or self.valid_until:
            return f"from {self.valid_from}" if self.valid_from else f"until {self.valid_until}"
        return "no dates stated"


_TWSE = "twse.com.tw, Trading Rules, Transaction Costs and Taxes: 0.1425 % standard commission"
_TAIWAN_NOTE = (
    "The commission is the standard rate that brokers discount (costs.discount); the least of "
    "NT$20 an order is the brokers' custom, not a rule of the exchange."
)
_IBKR = "interactivebrokers.com, Commissions Stocks, United States, Fixed"
_US_NOTE = (
    "Left out: the cap of 1 % of the trade's value, the cap of the TAF a sale, the audit trail fee."
)
_BITMEX = "blog.bitmex.com, Revamp of BitMEX Fee Structures (August 2021)"
_BITMEX_NOTE = (
    "Lowest tier, without funding. XBTUSD is an inverse contract of 1 USD: a book in contracts has "
    "to be restated in bitcoin before its notional means anything."
)

VENUES = (
    Venue(
        name="taiwan_stock",
        title="Taiwan Stock Exchange and Taipei Exchange, stocks",
        currency="TWD",
        taker_bps=14.25,
        maker_bps=14.25,
        minimum_fee=20.0,
        sell_tax_bps=30.0,
        sources=(_TWSE, "Securities Transaction Tax Act (Taiwan), Article 2: 3 per mille on sales"),
        note=_TAIWAN_NOTE,
    ),
    Venue(
        name="taiwan_day_trade",
        title="Taiwan Stock Exchange and Taipei Exchange, stocks bought and sold on one day",
        currency="TWD",
        taker_bps=14.25,
        maker_bps=14.25,
        minimum_fee=20.0,
        sell_tax_bps=15.0,
        within_session=True,
        valid_from="2017-04-28",
        valid_until="2027-12-31",
        sources=(
            _TWSE,
            "Securities Transaction Tax Act (Taiwan), Article 2-2: 1.5 per mille from 2017-04-28",
            "Taipei Times, 2025-01-01: extended from the end of 2024 to 2027",
        ),
        note=_TAIWAN_NOTE + " Equal quantities through one account on one day; securities firms "
        "for themselves from 2018-04-28.",
    ),
    Venue(
        name="us_stock_2024",
        title="US equities at a broker's fixed rate a share",
        currency="USD",
        taker_per_unit=0.005,
        maker_per_unit=0.005,
        minimum_fee=1.0,
        sell_tax_bps=0.278,
        sell_per_unit=0.000166,
        valid_from="2024-05-22",
        valid_until="2025-05-13",
        sources=(
            f"{_IBKR}: $0.005 a share, at least $1.00; TAF $0.000166 a share sold",
            "SEC Release 34-99973: $27.80 a million sold from 2024-05-22 (Section 31)",
        ),
        note=_US_NOTE,
    ),
    Venue(
        name="us_stock_2025",
        title="US equities at a broker's fixed rate a share, while the Section 31 fee was nil",
        currency="USD",
        taker_per_unit=0.005,
        maker_per_unit=0.005,
        minimum_fee=1.0,
        sell_per_unit=0.000166,
        valid_from="2025-05-14",
        valid_until="2025-09-30",
        sources=(
            f"{_IBKR}: $0.005 a share, at least $1.00; TAF $0.000166 a share sold",
            "SEC Release 34-102779: $0.00 a million sold from 2025-05-14 (Section 31)",
        ),
        note=_US_NOTE,
    ),
    Venue(
        name="binance_spot",
        title="Binance spot, regular user",
        currency=None,
        taker_bps=10.0,
        maker_bps=10.0,
        sources=("binance.com, spot trading fees of a regular user: 0.1 % maker and taker",),
        note="Lowest tier; paying in BNB is a discount of 25 % (costs.discount: 0.75).",
    ),
    Venue(
        name="bitstamp",
        title="Bitstamp, below 10,000 USD in 30 days",
        currency=None,
        taker_bps=40.0,
        maker_bps=30.0,
        sources=("bitstamp.net/fee_schedule: 0.30 % maker, 0.40 % taker",),
        note="Lowest tier; 0.15 % taker and 0.10 % maker above 1,000,000 USD in 30 days.",
    ),
    Venue(
        name="bitstamp_2017",
        title="Bitstamp's unified schedule of 2017, below 20,000 USD in 30 days",
        currency=None,
        taker_bps=25.0,
        maker_bps=25.0,
        valid_from="2017-08-09",
        sources=("Bitstamp's announcement of 2017-08-09, as CryptoNinjas reported it: 0.25 %",),
        note="Lowest tier, makers and takers alike; 0.10 % above 20,000,000 USD in 30 days.",
    ),
    Venue(
        name="bitmex_2020",
        title="BitMEX derivatives until August 2021",
        currency=None,
        taker_bps=7.5,
        maker_bps=-2.5,
        valid_until="2021-08-17",
        sources=(f"{_BITMEX}: before it 0.075 % taker, 0.025 % maker rebate",),
        note=_BITMEX_NOTE,
    ),
    Venue(
        name="bitmex_2021",
        title="BitMEX derivatives from August 2021",
        currency=None,
        taker_bps=5.0,
        maker_bps=-1.0,
        valid_from="2021-08-18",
        sources=(f"{_BITMEX}: 0.05 % taker, 0.01 % maker rebate from 2021-08-18 00:00 UTC",),
        note=_BITMEX_NOTE,
    ),
)


def venue(name: str) -> Venue:
    """The preset of a name.

    Raises:
        CostError: no such preset.
    """
    known = {each.name: each for each in VENUES}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise CostError(
        f"costs.preset={name!r}: no such preset; {hint}There are {', '.join(known)}; "
        "see: lob-backtest costs"
    )


def check_venue(
    config: Literal["none"] | CostsConfig, meta: BookMeta, *, flat_at_session_end: bool
) -> None:
    """Refuse a preset whose terms a backtest on this book would not meet.

    Raises:
        CostError: its money is of another currency than the book's, or it holds only within a
            session and positions may be carried over night.
    """
    if config == "none" or config.preset is None:
        return
    chosen = venue(config.preset)
    if chosen.currency not in (None, meta.currency):
        raise CostError(
            f"costs.preset={chosen.name} charges in {chosen.currency}, but the book of "
            f"{meta.instrument} is in {meta.currency}; choose a preset in {meta.currency} or give "
            "the figures yourself (fee_bps, minimum_fee ...)"
        )
    has_sessions = meta.session_open is not None
    if chosen.within_session and not (flat_at_session_end and has_sessions):
        why = "flat_at_session_end is false" if has_sessions else "the book has no sessions"
        raise CostError(
            f"costs.preset={chosen.name} holds only for what is bought and sold in one session, "
            f"but {why}; set backtest.flat_at_session_end: true on a book with sessions, or take "
            "the preset without day trades"
        )


def outside_validity(config: Literal["none"] | CostsConfig, book: Book) -> str | None:
    """What to tell a reader where the book lies outside the preset's stated dates, or None."""
    if config == "none" or config.preset is None:
        return None
    chosen = venue(config.preset)
    first, last = (
        pd.Timestamp(int(ns), tz="UTC").tz_convert(book.meta.timezone).strftime("%Y-%m-%d")
        for ns in book.time_ns[[0, -1]]
    )
    early = chosen.valid_from is not None and first < chosen.valid_from
    late = chosen.valid_until is not None and last > chosen.valid_until
    if not (early or late):
        return None
    return (
        f"The costs are those of {chosen.name}, stated for {chosen.period}; the book is of "
        f"{first} to {last}."
    )
