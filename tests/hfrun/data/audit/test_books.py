"""The audit of books: spans, classes, sessions, columns and shifts."""

from dataclasses import replace

import numpy as np
import pytest

from hfrun.data.audit import require_clean
from hfrun.data.audit.classes import class_counts
from hfrun.data.audit.distributions import homogeneity_p
from hfrun.data.audit.inputs import thinned
from lob_backtest.book import Book
from lob_backtest.book.meta import NS_PER_DAY
from lob_backtest.config import LabelConfig, NormalizeConfig, WalkForwardConfig
from lob_backtest.prepare import Prepared, prepare, prepare_holdout
from tests.hfrun.data.audit.cases import (
    DATA,
    audited_book,
    changed,
    found,
    prepared_of,
    small_book,
)


@pytest.fixture(scope="module")
def book() -> Book:
    return small_book()


@pytest.fixture(scope="module")
def prepared(book: Book) -> Prepared:
    return prepared_of(book)


def with_fold(prepared: Prepared, **parts: np.ndarray) -> Prepared:
    (fold,) = prepared.folds
    return replace(prepared, folds=(replace(fold, **parts),))


def test_an_ordinary_book_lets_a_training_begin(book: Book, prepared: Prepared) -> None:
    report = audited_book(book, prepared)
    require_clean(report)
    assert [f.name for f in report.findings if f.severity == "error"] == []
    (fold,) = prepared.folds
    assert report.sizes == {name: rows.size for name, rows in fold.parts.items()}


def test_the_folds_of_a_walk_never_overlap(book: Book) -> None:
    walk = prepare(book, data=DATA, walk_forward=WalkForwardConfig(train=200, validation=60,
                                                                   test=60))  # fmt: skip
    assert len(walk.folds) > 3
    assert found(audited_book(book, walk), "overlapping_spans") == []


def test_train_labels_that_end_in_validation_stop_the_training(
    book: Book, prepared: Prepared
) -> None:
    (fold,) = prepared.folds
    first = fold.validation[0]
    # Two decisions between train and validation were purged: their labels end in validation.
    late = np.concatenate([fold.train, [first - 2, first - 1]])
    (finding,) = found(audited_book(book, with_fold(prepared, train=late)), "overlapping_spans")
    ends_ns = prepared.moves.label_end_ns[first - 2 : first]
    n = int(np.count_nonzero(ends_ns >= prepared.decisions.decided_ns[first]))
    assert n == 2
    assert (finding.severity, finding.count, finding.parts) == ("error", 2, ("train", "validation"))


def test_decisions_in_two_parts_stop_the_training(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    both = with_fold(prepared, validation=np.concatenate([fold.validation, fold.test[:5]]))
    (finding,) = found(audited_book(book, both), "overlapping_spans")
    # The five of test, and those whose labels end within it: none, they were purged.
    assert (finding.count, finding.parts) == (5, ("validation", "test"))


def test_a_test_part_before_train_stops_the_training(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    swapped = with_fold(prepared, train=fold.test, test=fold.train)
    parts = {f.parts for f in found(audited_book(book, swapped), "overlapping_spans")}
    assert parts == {("train", "validation"), ("train", "test"), ("validation", "test")}


def labelled(prepared: Prepared, rows: np.ndarray, ticks: float) -> Prepared:
    """With other moves in some decisions, and labels cut at one tick."""
    moves = prepared.moves.move_ticks.copy()
    moves[rows] = ticks
    return replace(
        prepared,
        moves=replace(prepared.moves, move_ticks=moves),
        thresholds_ticks=dict.fromkeys(prepared.thresholds_ticks, 1.0),
    )


def test_a_part_of_one_class_stops_the_training(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    flat = labelled(prepared, fold.test, 0.0)
    (finding,) = found(audited_book(book, flat), "constant_label")
    assert (finding.severity, finding.count, finding.parts) == ("error", 1, ("test",))
    assert finding.examples == ("fold 0: all flat",)


def test_a_class_that_train_lacks_stops_the_training(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    up = fold.train[prepared.moves.move_ticks[fold.train] > 1.0]
    (validation, test) = found(
        audited_book(book, labelled(prepared, up, 0.0)), "class_missing_from_train"
    )
    assert (validation.severity, validation.parts) == ("error", ("train", "validation"))
    assert (test.severity, test.parts) == ("error", ("train", "test"))
    assert test.examples[0].endswith("labels up")


def test_one_quiet_fold_among_others_is_a_warning(book: Book) -> None:
    walk = prepare(book, data=DATA, walk_forward=WalkForwardConfig(train=200, validation=60,
                                                                   test=60))  # fmt: skip
    flat = labelled(walk, walk.folds[0].test, 0.0)
    constant = found(audited_book(book, flat), "constant_label")
    assert [(f.severity, f.count, f.parts) for f in constant] == [("warning", 1, ("test",))]


def test_a_market_that_falls_in_test_alone_has_shifted_labels(
    book: Book, prepared: Prepared
) -> None:
    (fold,) = prepared.folds
    falls = labelled(prepared, fold.test[::2], -5.0)
    (finding,) = [f for f in found(audited_book(book, falls), "label_shift") if "test" in f.parts]
    assert (finding.severity, finding.count) == ("warning", 1)
    assert "down" in finding.examples[0]


def test_labels_that_overlap_are_counted_by_what_they_are_worth() -> None:
    # Twenty labels share each instant: each part of a market without drift looks different.
    data = replace(DATA, label=LabelConfig(horizon_events=100))
    told = by_number = 0
    for seed in range(20):
        book = small_book(seed=seed)
        prepared = prepare_holdout(book, data=data, train=0.5, validation=0.2, test=0.3)
        told += len(found(audited_book(book, prepared), "label_shift"))
        (fold,), (labels,) = prepared.folds, [prepared.labels(f) for f in prepared.folds]
        train, *others = (class_counts(labels[rows], 3) for rows in fold.parts.values())
        by_number += sum(homogeneity_p(train, other) < 0.01 for other in others)
    assert by_number > 10  # of 40
    assert told <= 2


def test_test_decisions_without_a_label_are_told(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    n = int(np.isnan(prepared.moves.move_ticks[fold.test]).sum())
    (finding,) = found(audited_book(book, prepared), "decisions_without_label")
    assert (finding.severity, finding.count, finding.parts) == ("info", n, ("test",))


def test_a_day_imported_twice_stops_the_training(book: Book) -> None:
    starts = book.session_starts
    first = slice(starts[0], starts[1])
    again = changed(
        book,
        time_ns=np.concatenate([book.time_ns, book.time_ns[first] + 6 * NS_PER_DAY]),
        **{name: np.concatenate([getattr(book, name), getattr(book, name)[first]])
           for name in ("ask_ticks", "ask_size", "bid_ticks", "bid_size")},
    )  # fmt: skip
    (finding,) = found(audited_book(again), "repeated_sessions")
    assert (finding.severity, finding.count) == ("error", 1)
    assert finding.examples == ("2024-01-08 as 2024-01-02",)


def test_sessions_that_differ_are_not_taken_for_repeated(book: Book) -> None:
    assert found(audited_book(book), "repeated_sessions") == []


def test_weekdays_without_rows_are_told_and_weekends_are_not() -> None:
    book = small_book(days=6)  # 2024-01-02, a Tuesday, to 2024-01-09
    assert found(audited_book(book), "missing_sessions") == []
    starts = book.session_starts
    kept = np.r_[0 : starts[2], starts[4] : book.n_rows]  # without the 4th and the 5th
    without = changed(
        book,
        **{
            name: getattr(book, name)[kept]
            for name in ("time_ns", "ask_ticks", "ask_size", "bid_ticks", "bid_size")
        },
    )
    (finding,) = found(audited_book(without), "missing_sessions")
    assert (finding.severity, finding.count) == ("warning", 2)
    assert finding.examples == ("2024-01-04 to 2024-01-05",)
    assert "2 of 6 weekdays from 2024-01-02 to 2024-01-09 have no rows (33.3%)" in finding.message


def test_a_market_that_never_closes_misses_weekends_too(book: Book) -> None:
    never_closes = changed(
        book, time_ns=book.time_ns + np.where(book.session == 2, 2 * NS_PER_DAY, 0),
        meta_session_open=None, meta_session_close=None,
    )  # fmt: skip
    (finding,) = found(audited_book(never_closes), "missing_sessions")
    assert (finding.severity, finding.count) == ("warning", 2)
    assert finding.examples == ("2024-01-04 to 2024-01-05",)


def test_half_a_session_is_told(book: Book) -> None:
    starts = book.session_starts
    kept = np.r_[0 : starts[1], starts[1] : starts[1] + 300, starts[2] : book.n_rows]
    short = changed(
        book,
        **{
            name: getattr(book, name)[kept]
            for name in ("time_ns", "ask_ticks", "ask_size", "bid_ticks", "bid_size")
        },
    )
    (finding,) = found(audited_book(short), "short_sessions")
    assert (finding.severity, finding.count) == ("info", 1)
    assert finding.examples[0].startswith("2024-01-03: ")


def test_sessions_that_no_part_uses_are_told(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    session = prepared.decisions.session
    kept = {name: rows[session[rows] != 2] for name, rows in fold.parts.items()}
    kept["test"] = kept["validation"][-30:]
    kept["validation"] = kept["validation"][:-40]
    report = audited_book(book, with_fold(prepared, **kept))
    (finding,) = found(report, "unused_sessions")
    assert (finding.count, finding.examples) == (1, ("2024-01-04",))
    (alone,) = found(report, "one_session_parts")
    assert "fold 0, test: 2024-01-03" in alone.examples


def test_a_silence_is_told_with_the_windows_across_it(book: Book) -> None:
    row = int(book.session_starts[1]) + 700
    in_session = (book.session == 1) & (np.arange(book.n_rows) > row)
    # Squeezed, so that the session still ends in time.
    time_ns = book.time_ns.copy()
    left_ns = time_ns[in_session][-1] - time_ns[row]
    time_ns[in_session] = time_ns[row] + left_ns // 2 + (time_ns[in_session] - time_ns[row]) // 2
    silent = changed(book, time_ns=time_ns)
    (finding,) = found(audited_book(silent), "silences")
    longest, _, _ = finding.examples[0].partition(" s from ")
    assert longest == f"{(time_ns[row + 1] - time_ns[row]) / 1e9:,.0f}"
    # Of decisions five rows apart, those whose 20 rows hold both sides of a silence.
    prepared = prepared_of(silent)
    (fold,) = prepared.folds
    usual_ns = [
        int(rest.split()[0].replace(",", "")) for rest in finding.message.split("than ")[1:]
    ]
    gaps = np.flatnonzero((np.diff(time_ns) > usual_ns[0] * 1e9) & (np.diff(silent.session) == 0))
    used = prepared.decisions.rows[np.concatenate(list(fold.parts.values()))]
    across = sum(bool(((gaps >= last - 19) & (gaps < last)).any()) for last in used.tolist())
    assert 3 <= across < used.size / 2
    assert f"; {across:,} windows ({across / used.size:.2%}) reach across one" in finding.message


def test_a_column_that_never_changes_in_train_is_a_warning(book: Book, prepared: Prepared) -> None:
    (fold,) = prepared.folds
    ask_size = book.ask_size.copy()
    last = prepared.decisions.rows[fold.train[-1]]
    ask_size[: last + 1, 1] = 7.0
    (finding,) = found(audited_book(changed(book, ask_size=ask_size), prepared), "constant_columns")
    assert (finding.severity, finding.count, finding.parts) == ("warning", 1, ("train",))
    assert finding.examples == ("ask_size_2 (fold 0)",)
    ask_size[0 : last + 1 : 7, 1] = 8.0
    assert found(audited_book(changed(book, ask_size=ask_size), prepared), "constant_columns") == []


def test_a_price_at_a_fixed_distance_from_the_mid_is_constant_where_prices_are_relative(
    book: Book,
) -> None:
    ask_ticks = book.bid_ticks[:, :1] + np.array([1, 2])
    tight = changed(book, ask_ticks=ask_ticks)
    assert found(audited_book(tight), "constant_columns") == []
    relative = replace(DATA, normalize=NormalizeConfig(prices="mid"))
    prepared = prepare_holdout(tight, data=relative, train=0.5, validation=0.2, test=0.3)
    (finding,) = found(audited_book(tight, prepared), "constant_columns")
    # The synthetic ladder has a level at every tick.
    assert finding.examples == tuple(
        f"{side}_price_{level} (fold 0)" for level in (1, 2) for side in ("ask", "bid")
    )


def test_of_many_decisions_evenly_spaced_ones_are_looked_at() -> None:
    rows = np.arange(7, 100_007)
    kept = thinned(rows)
    assert (kept.size, kept[0], kept[-1]) == (20_000, 7, 100_006)
    assert set(np.diff(kept).tolist()) <= {4, 5, 6}
    assert thinned(rows[:20_000]).tolist() == rows[:20_000].tolist()


def test_rows_that_mostly_repeat_are_a_warning() -> None:
    book = small_book()
    source = np.arange(book.n_rows) // 4 * 4
    source = np.maximum(source, book.session_starts[book.session])
    repeated = changed(
        book,
        **{
            name: getattr(book, name)[source]
            for name in ("ask_ticks", "ask_size", "bid_ticks", "bid_size")
        },
    )
    (finding,) = found(audited_book(repeated), "repeated_rows")
    assert finding.severity == "warning"
    assert found(audited_book(book), "repeated_rows") == []


def test_a_deeper_book_in_test_is_a_large_shift_of_its_inputs(
    book: Book, prepared: Prepared
) -> None:
    (fold,) = prepared.folds
    before = found(audited_book(book, prepared), "input_shift")
    assert not any("touch_size" in f.message for f in before if "test" in f.parts)
    factor = np.ones((book.n_rows, 1))
    factor[prepared.decisions.rows[fold.test[0]] - 30 :] = 4.0
    deeper = changed(book, ask_size=book.ask_size * factor, bid_size=book.bid_size * factor)
    (finding,) = [f for f in found(audited_book(deeper, prepared), "input_shift")
                  if "test" in f.parts]  # fmt: skip
    assert finding.severity == "warning"
    assert "touch_size" in finding.message
    assert "depth" in finding.message
    assert "imbalance" not in finding.message  # four times both sides


def test_the_audit_of_a_mapped_book_is_the_same(book: Book, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from lob_backtest.book import read_book, write_book

    write_book(book, tmp_path / "book.parquet")
    mapped = read_book(tmp_path / "book.parquet", mapped=True)
    assert audited_book(mapped).as_dict() == audited_book(book).as_dict()
