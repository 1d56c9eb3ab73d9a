"""Presets: what they state about themselves, and on which books they may be used."""

from dataclasses import replace
from datetime import date

import pytest

from lob_backtest.config import CostsConfig
from lob_backtest.errors import CostError
from lob_backtest.venues import VENUES, check_venue, outside_validity, venue
from tests.lob_backtest.books import META, META_ALWAYS_OPEN, book_from_mids

TAIPEI = replace(
    META, currency="TWD", timezone="Asia/Taipei", session_open="09:00", session_close="13:30"
)


@pytest.mark.parametrize("each", VENUES, ids=[each.name for each in VENUES])
def test_a_preset_names_its_sources_and_dates_what_it_charges(each) -> None:
    assert venue(each.name) is each
    assert each.sources
    assert all(len(source) > 20 for source in each.sources)
    assert each.note
    dates = [day for day in (each.valid_from, each.valid_until) if day is not None]
    assert [date.fromisoformat(day).isoformat() for day in dates] == dates == sorted(dates)
    # Money without a currency would be charged in whatever the book is in.
    in_money = (each.taker_per_unit, each.maker_per_unit, each.minimum_fee, each.sell_per_unit)
    assert (each.currency is not None) or not any(in_money)


def test_names_are_used_once() -> None:
    names = [each.name for each in VENUES]
    assert len(set(names)) == len(names)


def test_the_taiwan_presets_are_the_published_rates() -> None:
    stock, day_trade = venue("taiwan_stock"), venue("taiwan_day_trade")
    assert (stock.taker_bps, stock.minimum_fee, stock.sell_tax_bps) == (14.25, 20.0, 30.0)
    # The law halves the tax for day trades, and nothing else.
    own = ("name", "title", "within_session", "valid_from", "valid_until", "sources", "note")
    halved = replace(stock, sell_tax_bps=15.0, **{name: getattr(day_trade, name) for name in own})
    assert halved == day_trade
    assert day_trade.period == "2017-04-28 to 2027-12-31"


def test_a_preset_in_another_currency_than_the_books_is_refused() -> None:
    taiwan = CostsConfig(preset="taiwan_stock")
    with pytest.raises(CostError, match="taiwan_stock charges in TWD, but the book of TEST is in"):
        check_venue(taiwan, META, flat_at_session_end=True)
    check_venue(taiwan, TAIPEI, flat_at_session_end=False)
    for free_of_currency in ("none", CostsConfig(fee_bps=1.0), CostsConfig(preset="bitstamp")):
        check_venue(free_of_currency, META, flat_at_session_end=False)


def test_day_trades_need_positions_that_end_with_the_session() -> None:
    day_trade = CostsConfig(preset="taiwan_day_trade")
    check_venue(day_trade, TAIPEI, flat_at_session_end=True)
    with pytest.raises(CostError, match="in one session, but flat_at_session_end is false"):
        check_venue(day_trade, TAIPEI, flat_at_session_end=False)
    always_open = replace(META_ALWAYS_OPEN, currency="TWD")
    with pytest.raises(CostError, match="in one session, but the book has no sessions"):
        check_venue(day_trade, always_open, flat_at_session_end=True)


def test_a_book_outside_the_stated_dates_is_told_of() -> None:
    book = book_from_mids([100, 101])  # of 2020-01-06
    told = outside_validity(CostsConfig(preset="us_stock_2024"), book)
    assert told == (
        "The costs are those of us_stock_2024, stated for 2024-05-22 to 2025-05-13; the book is of "
        "2020-01-06 to 2020-01-06."
    )
    for inside in ("none", CostsConfig(fee_bps=1.0), CostsConfig(preset="bitmex_2020")):
        assert outside_validity(inside, book) is None
    assert outside_validity(CostsConfig(preset="bitmex_2021"), book) is not None
    # One that states no dates says nothing about any.
    assert outside_validity(CostsConfig(preset="binance_spot"), book) is None
