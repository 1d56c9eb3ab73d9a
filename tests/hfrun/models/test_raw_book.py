"""What a user may call a book: the same figures in any form, and one message for what is none."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hfrun.errors import DataError
from hfrun.models.preprocessing import Preprocessing
from hfrun.models.raw_book import book_of, market_of
from lob_backtest.book import Book, BookMeta, book_columns, read_book, write_book
from lob_backtest.errors import BookError, FormatError
from tests.hfrun.evaluation.pipeline_case import frame_of, preprocessing_of, three_sessions
from tests.lob_backtest.books import META


@pytest.fixture(scope="module")
def book() -> Book:
    return three_sessions()


@pytest.fixture(scope="module")
def preprocessing(book: Book) -> Preprocessing:
    return preprocessing_of(book)


def assert_equal(one: Book, other: Book) -> None:
    for name in ("time_ns", "ask_ticks", "ask_size", "bid_ticks", "bid_size"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert getattr(one, name).dtype == getattr(other, name).dtype


def refused(raw: Any, preprocessing: Preprocessing, **options: Any) -> str:
    with pytest.raises((DataError, BookError, FormatError)) as caught:
        book_of(raw, preprocessing, **options)
    return str(caught.value)


def test_every_form_of_a_book_is_the_same_book(
    book: Book, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    path, frame = tmp_path / "book.parquet", frame_of(book)
    write_book(book, path)
    backwards = frame[frame.columns[::-1]]
    forms = {
        "path": path,
        "text": str(path),
        "frame": frame,
        "backwards": backwards,
        "arrays": {name: backwards[name].to_numpy() for name in backwards},
        "lists": {name: frame[name].tolist() for name in frame},
        "series of another index": frame.set_index(np.arange(len(frame))[::-1]),
        "nullable": frame.convert_dtypes(),
        "arrow": frame.convert_dtypes(dtype_backend="pyarrow"),
        "narrow": frame.astype({"ask_price_1": np.uint16, "bid_size_2": np.float32}),
        "whole sizes": frame.astype({"ask_size_1": np.int32}),
        "parquet by pandas": pd.read_parquet(path),
    }
    assert book_of(book, preprocessing) is book
    for name, form in forms.items():
        assert_equal(book_of(form, preprocessing), book)
        assert book_of(form, preprocessing).meta == replace(book.meta, source=ANY[name]), name


ANY = dict.fromkeys(
    ("frame", "backwards", "arrays", "lists", "series of another index", "nullable", "arrow",
     "narrow", "whole sizes", "parquet by pandas"), "a table in memory",
) | {"path": "tests", "text": "tests"}  # fmt: skip


def test_a_table_is_of_the_training_books_market_unless_it_is_said_to_be_of_another(
    book: Book, preprocessing: Preprocessing
) -> None:
    tokyo = {"instrument": "7203", "timezone": "Asia/Tokyo", "session_open": "09:00",
             "session_close": "22:00"}  # fmt: skip
    other = book_of(frame_of(book), preprocessing, meta=tokyo)
    assert other.meta == BookMeta(
        **tokyo, tick_size=0.01, currency="USD", source="a table in memory"
    )
    assert book_of(frame_of(book), preprocessing, meta=META).meta is META
    assert market_of(preprocessing, None).instrument == "TEST"
    assert "meta.tick: unknown key; did you mean tick_size?" in refused(
        frame_of(book), preprocessing, meta={"tick": 0.5}
    )
    older = replace(preprocessing, market=None)
    assert "says the tick_size, currency, timezone" in refused(
        frame_of(book), older, meta={"instrument": "X"}
    )
    night = {"session_open": "01:00", "session_close": "02:00"}
    assert "time outside the session (01:00 to 02:00 UTC)" in refused(
        frame_of(book), preprocessing, meta=night
    )


def with_figure(frame: pd.DataFrame, name: str, row: int, figure: Any) -> pd.DataFrame:
    changed = frame.copy()
    changed.loc[row, name] = figure
    return changed


WRONG = {
    "missing": (
        lambda f: f.drop(columns=["bid_size_2", "time_ns"]),
        "got 7 columns, missing time_ns, bid_size_2, unknown none; needs time_ns, ask_price_1, "
        "ask_size_1, bid_price_1, bid_size_1, ... (9 in all), 9 in all for 2 levels, in any order",
    ),
    "misnamed": (
        lambda f: f.rename(columns={"ask_price_2": "ask_prize_2"}),
        "missing ask_price_2, unknown ask_prize_2 (did you mean ask_price_2?)",
    ),
    "extra": (lambda f: f.assign(mid=1.0), "got 10 columns, missing none, unknown mid; needs"),
    "twice": (lambda f: pd.concat([f, f[["bid_size_1"]]], axis=1), "bid_size_1 more than once"),
    "fewer levels": (
        lambda f: f[book_columns(1)],
        "got a table of 1 levels, and the model was trained on 2; use a book of as many levels",
    ),
    "more levels": (
        lambda f: f.assign(**{f"{s}_3": f[f"{s}_2"] for s in
                              ("ask_price", "ask_size", "bid_price", "bid_size")}),
        "got a table of 3 levels, and the model was trained on 2; drop the columns of deeper",
    ),
    "dollars": (
        lambda f: f.assign(ask_price_1=f["ask_price_1"] * 0.01),
        'ask_price_1 is float64, first 100.02; needs int64 ticks. Of prices in USD: (price / 0.01)'
        '.round().astype("int64"); of whole ticks: .astype("int64")',
    ),
    "texts": (
        lambda f: f.assign(bid_price_2=f["bid_price_2"].astype(str)),
        "bid_price_2 is object, first '9998'; needs int64 ticks",
    ),
    "instants": (
        lambda f: f.assign(time_ns=pd.to_datetime(f["time_ns"], utc=True)),
        "needs int64 nanoseconds since the epoch, UTC; of a column of instants, "
        '.dt.as_unit("ns").astype("int64")',
    ),
    "seconds": (
        lambda f: f.assign(time_ns=f["time_ns"] / 1e9),
        "time_ns is float64, first 1578304800.",
    ),
    "truth": (lambda f: f.assign(ask_size_1=True), "ask_size_1 is bool, first True; needs num"),
    "no price": (
        lambda f: with_figure(f, "ask_price_1", 7, np.nan),
        "ask_price_1 is missing in 1 of 360 rows, first in row 7; drop such rows",
    ),
    "no size": (
        lambda f: with_figure(f, "bid_size_1", 9, np.nan),
        "bid_size_1 is missing in 1 of 360 rows, first in row 9",
    ),
    "endless size": (
        lambda f: with_figure(f, "bid_size_1", 9, np.inf),
        "bid size negative, not finite, or zero at the touch in 1 of 360 rows, first in row 9",
    ),
    "crossed": (
        lambda f: with_figure(f, "ask_price_1", 5, 1),
        "best ask <= best bid (crossed or locked) in 1 of 360 rows, first in row 5",
    ),
    "sides exchanged": (
        lambda f: f.rename(columns={"ask_price_1": "bid_price_1", "bid_price_1": "ask_price_1"}),
        "best ask <= best bid (crossed or locked) in 360 of 360 rows",
    ),
    "levels exchanged": (
        lambda f: f.rename(columns={"ask_price_1": "ask_price_2", "ask_price_2": "ask_price_1"}),
        "levels out of order",
    ),
    "back in time": (lambda f: f.iloc[::-1], "time_ns goes back in time"),
    "no rows": (lambda f: f.iloc[:0], "got 0 rows of 2 levels; needs at least one of each"),
    "beyond int64": (
        lambda f: f.assign(ask_price_1=np.uint64(2**63)),
        "ask_price_1 has 9223372036854775808; needs int64",
    ),
    "of two lengths": (
        lambda f: {n: f[n].to_numpy()[: 5 if n == "bid_size_1" else 6] for n in f},
        "time_ns has 6 rows beside bid_size_1 of 5; needs one length",
    ),
    "one row": (
        lambda f: dict(f.iloc[0]),
        "time_ns has shape (); needs one figure a row, (N,); of rows as dicts make a table",
    ),
    "a number": (lambda f: 3, "got int 3; needs a book: a path, a Book, a DataFrame or a dict"),
    "an array": (lambda f: f.to_numpy(), "got ndarray"),
    "no file": (lambda f: "nowhere.parquet", "nowhere.parquet: no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_book_is_refused_in_one_message(
    name: str, book: Book, preprocessing: Preprocessing
) -> None:
    change, message = WRONG[name]
    assert message in refused(change(frame_of(book)), preprocessing)  # type: ignore[no-untyped-call]


def test_dollars_as_the_message_says_become_the_book(
    book: Book, preprocessing: Preprocessing
) -> None:
    frame = frame_of(book)
    prices = [name for name in frame if "price" in str(name)]
    dollars = frame.assign(**{str(name): frame[name] * 0.01 for name in prices})
    message = refused(dollars, preprocessing)
    assert re.search(r'\(price / 0\.01\)\.round\(\)\.astype\("int64"\)', message)
    mended = dollars.assign(
        **{str(name): (dollars[name] / 0.01).round().astype("int64") for name in prices}
    )
    assert_equal(book_of(mended, preprocessing), book)


def test_a_book_of_other_levels_is_refused(preprocessing: Preprocessing, tmp_path: Path) -> None:
    one = three_sessions()
    fewer = replace(one, **{name: getattr(one, name)[:, :1] for name in
                            ("ask_ticks", "ask_size", "bid_ticks", "bid_size")})  # fmt: skip
    write_book(fewer, tmp_path / "book.parquet")
    for form in (fewer, tmp_path / "book.parquet", read_book(tmp_path / "book.parquet")):
        message = refused(form, preprocessing)
        assert "the book has 1 levels and the model was trained on 2" in message
