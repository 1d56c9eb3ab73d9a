"""Anything that a user calls a book, as a ``Book``.

    DataFrame, or a dict of arrays      columns by name, in any order      put in order and checked
    path of a book table                columns in order                   read and checked
    Book                                                                   taken as it is

A price of the wrong kind would be a wrong number and no error: dollars cut to whole numbers, or a
column in the place of another. So columns go by their names alone, all of them must be there and no
other, and prices must be whole ticks already.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfrun.errors import DataError
from hfrun.models.preprocessing import Preprocessing
from lob_backtest.book import Book, BookMeta, book_columns, read_book
from lob_backtest.strict_yaml import shown, unknown_keys

RawBook = Book | pd.DataFrame | Mapping[str, Any] | str | os.PathLike[str]
Meta = BookMeta | Mapping[str, Any] | None

_FEW = 5  # names that a message lists
_SOURCE = "a table in memory"


def book_of(raw: RawBook, preprocessing: Preprocessing, *, meta: Meta = None) -> Book:
    """The order book that was given, with as many levels as the model reads.

    Args:
        raw: see above. A path's rows stay in files, so that they may be more than memory holds.
        preprocessing: of the model.
        meta: what a table's rows are of, whole or in those keys that differ from the training
            book's. A ``Book`` and a book table say it themselves.

    Raises:
        DataError: it is no book, or one that the model cannot read.
        BookError: rows that are no order book: crossed, unsorted, with sizes that are no number.
        FormatError: no book table at the path.
    """
    if isinstance(raw, Book | str | os.PathLike):
        if meta is not None:
            raise DataError(
                f"got meta beside a {type(raw).__name__}, which says itself what it is of; "
                "give meta with a table alone"
            )
        book = raw if isinstance(raw, Book) else read_book(Path(raw), mapped=True)
        check_levels(preprocessing, book)
        return book
    if not isinstance(raw, pd.DataFrame | Mapping):
        raise DataError(
            f"got {_kind_of(raw)}; needs a book: a path, a Book, a DataFrame or a dict of arrays "
            f"with the columns {_listed(book_columns(preprocessing.levels))}"
        )
    _check_names([str(name) for name in raw], preprocessing)
    market = market_of(preprocessing, meta)
    columns = {
        name: _column(name, raw[name], market) for name in book_columns(preprocessing.levels)
    }
    _check_lengths(columns)

    def side(name: str) -> npt.NDArray[Any]:
        """``(N, L)`` of one side, from the best level outwards."""
        levels = range(1, preprocessing.levels + 1)
        return np.stack([columns[f"{name}_{level}"] for level in levels], axis=1)

    return Book(
        meta=market,
        time_ns=columns["time_ns"],
        ask_ticks=side("ask_price"),
        ask_size=side("ask_size"),
        bid_ticks=side("bid_price"),
        bid_size=side("bid_size"),
    )


def check_levels(preprocessing: Preprocessing, book: Book) -> None:
    """Refuse a book of another number of levels than the model's.

    Raises:
        DataError: it has another number.
    """
    if book.n_levels != preprocessing.levels:
        raise DataError(
            f"the book has {book.n_levels} levels and the model was trained on "
            f"{preprocessing.levels}; import the book with that many levels"
        )


def market_of(preprocessing: Preprocessing, meta: Meta) -> BookMeta:
    """What a table's rows are of: the training book's market, but for what is given.

    Raises:
        DataError: an unknown key, or keys are missing that the model does not say either.
    """
    if isinstance(meta, BookMeta):
        return meta
    known = [field.name for field in fields(BookMeta)]
    trained_on = {} if preprocessing.market is None else asdict(preprocessing.market)
    given = {} if meta is None else dict(meta)
    if wrong := unknown_keys(given, known, "meta"):
        raise DataError("; ".join(wrong))
    said = {**trained_on, "source": _SOURCE, **given}
    if missing := [name for name in known if name not in said]:
        raise DataError(
            f"neither the model nor meta says the {', '.join(missing)} of the table; give "
            "meta=BookMeta(...) from lob_backtest.book, or a book table's path"
        )
    return BookMeta(**said)


def _check_names(names: list[str], preprocessing: Preprocessing) -> None:
    needed = book_columns(preprocessing.levels)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"got the columns {_listed(twice)} more than once; keep one of each")
    if sorted(names) == sorted(needed):
        return
    other = (len(names) - 1) // 4
    if sorted(names) == sorted(book_columns(other)):
        more = other > preprocessing.levels
        remedy = "drop the columns of deeper levels" if more else "use a book of as many levels"
        raise DataError(
            f"got a table of {other} levels, and the model was trained on {preprocessing.levels}; "
            f"{remedy}"
        )
    missing = [name for name in needed if name not in names]
    extra = [name for name in names if name not in needed]
    near = {name: difflib.get_close_matches(name, missing, n=1) for name in extra}
    hinted = [f"{name} (did you mean {near[name][0]}?)" if near[name] else name for name in extra]
    raise DataError(
        f"got {len(names)} columns, missing {_listed(missing)}, unknown {_listed(hinted)}; needs "
        f"{_listed(needed)}, {len(needed)} in all for {preprocessing.levels} levels, in any order: "
        "rename, add or drop columns"
    )


def _column(name: str, raw: Any, market: BookMeta) -> npt.NDArray[Any]:
    """``(N,)`` int64 of a time or price, float64 of a size."""
    values = np.asarray(raw)
    if values.ndim != 1:
        raise DataError(
            f"{name} has shape {values.shape}; needs one figure a row, (N,); of rows as dicts make "
            "a table with pandas.DataFrame(rows)"
        )
    is_missing = np.asarray(pd.isna(values), dtype=np.bool_)
    if is_missing.any():
        raise DataError(
            f"{name} is missing in {int(is_missing.sum())} of {values.size} rows, first in row "
            f"{int(np.argmax(is_missing))}; drop such "
            "rows; a level that does not exist has size 0 and a price one tick beyond the level "
            "before it"
        )
    is_size = "size" in name
    if values.dtype.kind not in ("iuf" if is_size else "iu"):
        first = f", first {values[:1].tolist()[0]!r}" if values.size else ""
        raise DataError(f"{name} is {values.dtype}{first}; {_remedy(name, values, market)}")
    if not is_size and values.size and int(values.max()) > np.iinfo(np.int64).max:
        raise DataError(f"{name} has {values.max()}; needs int64")
    return values.astype(np.float64 if is_size else np.int64)


def _remedy(name: str, values: npt.NDArray[Any], market: BookMeta) -> str:
    if name == "time_ns":
        return (
            "needs int64 nanoseconds since the epoch, UTC; of a column of instants, "
            '.dt.as_unit("ns").astype("int64")'
        )
    if "price" in name and values.dtype.kind == "f":
        return (
            f"needs int64 ticks. Of prices in {market.currency}: (price / {market.tick_size:g})"
            '.round().astype("int64"); of whole ticks: .astype("int64")'
        )
    return "needs int64 ticks" if "price" in name else "needs numbers"


def _check_lengths(columns: dict[str, npt.NDArray[Any]]) -> None:
    lengths = {name: values.size for name, values in columns.items()}
    n_rows = lengths["time_ns"]
    odd = [f"{name} of {length}" for name, length in lengths.items() if length != n_rows]
    if odd:
        raise DataError(f"time_ns has {n_rows} rows beside {_listed(odd)}; needs one length")


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more if names else "none"


def _kind_of(raw: object) -> str:
    return f"{type(raw).__name__} {shown(raw)}"
