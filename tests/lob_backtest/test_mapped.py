"""Books in files: every value is that of the book in memory, and nothing is left behind."""

import errno
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book, blocks, empty_beside, is_mapped, read_book, write_book
from lob_backtest.book import mapped as mapped_module
from lob_backtest.book.mapped import empty_mapped, scratch_folder
from lob_backtest.config import BacktestConfig, DataConfig, DecisionsConfig, LabelConfig
from lob_backtest.decisions import Decisions
from lob_backtest.errors import BookError, LabelError, LobBacktestError, SplitError
from lob_backtest.features import hand_features
from lob_backtest.files import empty_npy
from lob_backtest.normalize import Inputs, fit_normalizer
from lob_backtest.open_book import open_book
from lob_backtest.prepare import prepare_holdout
from lob_backtest.questions import decisions_of, moves_of
from tests.lob_backtest.books import META_ALWAYS_OPEN, book_from_mids, books, random_book

ROWS = ("time_ns", "ask_ticks", "ask_size", "bid_ticks", "bid_size")
INPUTS: tuple[Inputs, ...] = ("levels", "order_flow")
DERIVED = ("mid_ticks", "spread_ticks", "session", "session_starts", "is_last_of_instant")


@contextmanager
def everything_mapped(block_rows: int) -> Iterator[None]:
    """Even the smallest array lies in a file, and stretches end everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped_module, "_WORTH_A_FILE", 1)
        patch.setattr(mapped_module, "_BLOCK_ROWS", block_rows)
        yield


def derived(book: Book, decisions: DecisionsConfig, label: LabelConfig) -> list[Any]:
    """All that a run makes of a book before it comes to a model, or why it cannot."""
    found: list[Any] = [getattr(book, name) for name in (*ROWS, *DERIVED)]
    free = BacktestConfig(costs="none", latency_ns=1_000_000)
    data = DataConfig(book="unused", decisions=decisions, label=label, window=3)
    try:
        asked = decisions_of(book, decisions, window=3)
        moves = moves_of(book, asked, label, free)
        found += [asked.rows, asked.decided_ns, asked.session]
        found += [moves.move_ticks, moves.label_end_ns, hand_features(book, asked).values]
        found += [
            fit_normalizer(
                book, start_row=0, stop_row=book.n_rows, prices="slow_mean", slow_mean_rows=10,
                sizes="log", inputs=inputs,
            ).transform(book)
            for inputs in INPUTS
        ]  # fmt: skip
        prepared = prepare_holdout(
            book, data=data, train=0.6, validation=0.2, test=0.2, backtest=free
        )
        fold = prepared.folds[0]
        found += [prepared.labels(fold), fold.train, fold.validation, fold.test]
        found += [np.array([prepared.threshold(fold), fold.train_end_ns])]
    except (LabelError, SplitError) as error:
        found.append(str(error))
    return found


def assert_same(left: list[Any], right: list[Any]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        if isinstance(one, str):
            assert one == other
        else:
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert one.tobytes() == other.tobytes()


DECISIONS = [
    DecisionsConfig(every_events=1),
    DecisionsConfig(every_events=3),
    DecisionsConfig(every_ms=700.0),
    DecisionsConfig(on="mid_change"),
]
LABELS = [
    LabelConfig(kind=kind, **horizon)
    for kind in ("mid_move", "smoothed", "smoothed_forward", "triple_barrier", "executable")
    for horizon in ({"horizon_events": 5}, {"horizon_ms": 4_000.0})
]


@settings(max_examples=40, deadline=None)
@given(
    book=books(max_rows=120),
    always=st.booleans(),
    decisions=st.sampled_from(DECISIONS),
    label=st.sampled_from(LABELS),
    block_rows=st.integers(3, 50),
)
def test_a_mapped_book_gives_bit_for_bit_what_the_book_in_memory_gives(
    tmp_path_factory: pytest.TempPathFactory,
    book: Book,
    always: bool,
    decisions: DecisionsConfig,
    label: LabelConfig,
    block_rows: int,
) -> None:
    if label.kind == "triple_barrier":
        label = replace(label, volatility_decisions=4)
    path = tmp_path_factory.mktemp("books") / "book.parquet"
    if always and book.session[-1] == 0:  # a clock over nights would make a million decisions
        book = replace(book, meta=META_ALWAYS_OPEN)
    write_book(book, path)
    in_memory = derived(read_book(path), decisions, label)
    with everything_mapped(block_rows):
        mapped = derived(read_book(path, mapped=True), decisions, label)
    assert_same(in_memory, mapped)
    large = [array for array in mapped[: len(ROWS) + len(DERIVED)] if array.ndim and array.size]
    assert all(is_mapped(array) for array in large if array is not mapped[len(ROWS) + 3])


def test_a_book_of_the_default_sizes_is_the_same_mapped(tmp_path: Path) -> None:
    book = random_book(np.random.default_rng(0), n_rows=140_000, n_levels=1, n_sessions=3,
                       mean_gap_s=0.1)  # fmt: skip
    write_book(book, tmp_path / "book.parquet")
    label = LabelConfig(kind="smoothed", horizon_events=20)
    everywhere = DecisionsConfig(every_events=1)
    mapped = open_book(str(tmp_path / "book.parquet"), mapped=True)
    assert all(is_mapped(getattr(mapped, name)) for name in (*ROWS, "mid_ticks", "session"))
    assert not is_mapped(book.mid_ticks)
    assert not is_mapped(open_book(str(tmp_path / "book.parquet")).time_ns)
    assert_same(derived(book, everywhere, label), derived(mapped, everywhere, label))


def test_a_stretch_of_rows_of_a_mapped_book_is_a_view_that_outlives_it(tmp_path: Path) -> None:
    book = random_book(np.random.default_rng(1), n_rows=60)
    write_book(book, tmp_path / "book.parquet")
    with everything_mapped(16):
        part = read_book(tmp_path / "book.parquet", mapped=True).rows(20, 40)
        gc.collect()
        assert is_mapped(part.ask_size)
        assert is_mapped(part.mid_ticks)
    assert part.features().tolist() == book.features(20, 40).tolist()
    assert part.mid_ticks.tolist() == book.mid_ticks[20:40].tolist()


def mappings_under(folder: Path) -> list[str]:
    """This process's mappings of files that lay in a folder."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if str(folder) in line]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_no_folder_lists_the_files_and_they_go_with_the_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    write_book(random_book(np.random.default_rng(2), n_rows=60), tmp_path / "book.parquet")
    with everything_mapped(16):
        book = read_book(tmp_path / "book.parquet", mapped=True)
        mid = book.mid_ticks
        assert len(mappings_under(scratch)) == len(ROWS) + 1
    assert list(scratch.iterdir()) == []
    held = float(mid[7])
    del book
    gc.collect()
    assert len(mappings_under(scratch)) == 1  # the mids are still looked at
    assert float(mid[7]) == held
    del mid
    gc.collect()
    assert mappings_under(scratch) == []


def test_what_is_written_to_one_mapped_book_is_not_seen_by_another(tmp_path: Path) -> None:
    write_book(random_book(np.random.default_rng(3), n_rows=60), tmp_path / "book.parquet")
    with everything_mapped(16):
        one, other = (read_book(tmp_path / "book.parquet", mapped=True) for _ in range(2))
    before = other.ask_size.copy()
    one.ask_size[:] = 7.0
    assert other.ask_size.tolist() == before.tolist()
    assert read_book(tmp_path / "book.parquet").ask_size.tolist() == before.tolist()


def test_a_full_disk_is_told_before_a_row_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(descriptor: int, start: int, n_bytes: int) -> None:
        assert (start, n_bytes) == (0, 8 * 2**20)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", is_full)
    with pytest.raises(
        LobBacktestError, match=r"cannot hold 8 MiB of a book .*\(No space left on device\); free"
    ):
        empty_mapped((2**10, 2**10), np.float64)
    assert empty_mapped(3, np.int64).shape == (3,)  # too small for a file


def test_a_scratch_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    with pytest.raises(LobBacktestError, match=r"nowhere: cannot hold 1 MiB .* in TMPDIR"):
        empty_mapped(2**17, np.int64)
    monkeypatch.delenv("TMPDIR")
    assert scratch_folder().is_dir()


def test_a_bad_row_of_any_stretch_is_told_alike(tmp_path: Path) -> None:
    good = random_book(np.random.default_rng(4), n_rows=900)
    path = tmp_path / "book.parquet"
    write_book(good, path)
    for row, value in ((3, -1.0), (899, np.nan)):
        sizes = good.bid_size.copy()
        sizes[row, 0] = value
        _overwrite(path, "bid_size_1", sizes[:, 0])
        with pytest.raises(BookError, match=f"in 1 of 900 rows, first in row {row} ") as plain:
            read_book(path)
        with everything_mapped(100), pytest.raises(BookError) as mapped:
            read_book(path, mapped=True)
        assert str(mapped.value) == str(plain.value)


def _overwrite(path: Path, name: str, values: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, name, pa.array(values)), path)


def test_blocks_cover_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_module, "_BLOCK_ROWS", 4)
    assert list(blocks(10)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(blocks(8)) == [slice(0, 4), slice(4, 8)]
    assert list(blocks(0)) == []
    assert list(blocks(5, 3)) == [slice(0, 3), slice(3, 5)]


def test_an_array_lies_where_its_neighbour_does() -> None:
    with everything_mapped(4):
        neighbour = empty_mapped((5, 2), np.float64)
        beside = empty_beside(neighbour[2:, 1], 3, np.int64)
        assert is_mapped(beside)
        assert type(beside) is np.ndarray
        assert not is_mapped(empty_beside(np.empty(5), 3, np.int64))
        assert not is_mapped(neighbour.copy())


def test_mids_change_from_instant_to_instant_by_hand() -> None:
    # Rows 1 and 2 share an instant: only 2 counts, and it has row 0's mid again.
    book = book_from_mids([100, 101, 100, 100.5, 100.5, 99], at_seconds=[0, 2, 2, 3, 4, 86_400])
    expected = [(3, 2), (5, 4)]
    for block_rows in (1, 2, 3, 6):
        with everything_mapped(block_rows):
            found = [pair for part in book.mid_changes() for pair in zip(*part, strict=True)]
        assert found == expected


def test_a_mask_that_is_a_stretch_chooses_views_and_any_other_copies() -> None:
    rows = np.arange(6)
    decisions = Decisions(rows=rows, decided_ns=10 * rows, session=np.zeros(6, dtype=np.int64))
    later = decisions.select(decisions.decided_ns > 25)
    assert later.rows.tolist() == [3, 4, 5]
    assert np.shares_memory(later.rows, decisions.rows)
    gaps = decisions.select(decisions.rows % 2 == 0)
    assert gaps.rows.tolist() == [0, 2, 4]
    assert not np.shares_memory(gaps.rows, decisions.rows)
    nothing = decisions.select(np.zeros(6, dtype=np.bool_))
    assert (nothing.n, nothing.select(np.zeros(0, dtype=np.bool_)).n) == (0, 0)
    assert decisions.select(slice(1, 3)).decided_ns.tolist() == [10, 20]
    with pytest.raises(IndexError):
        decisions.select(np.ones(5, dtype=np.bool_))


_READ_IN_LITTLE_MEMORY = """
import re, resource, sys
from lob_backtest.book import read_book
from lob_backtest.decisions import decide_every_events
from lob_backtest.labels import classify, fit_threshold, smoothed_moves

def all_of(path, mapped):
    book = read_book(path, mapped=mapped)
    decisions = decide_every_events(book, step_events=1, window=100)
    moves = smoothed_moves(book, decisions, horizon_events=50)
    threshold = fit_threshold(moves.move_ticks[: book.n_rows // 10])
    return decisions.n, classify(moves.move_ticks, threshold_ticks=threshold)

all_of(sys.argv[1], True)  # what the libraries take for themselves
data = re.search(r"VmData:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
limit = 1024 * int(data) + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
n, labels = all_of(sys.argv[2], True)
print(n, labels.size)
try:
    all_of(sys.argv[2], False)
except MemoryError:
    print("too large for memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mappings on Linux alone")
def test_a_book_larger_than_memory_is_read_decided_on_and_labelled(tmp_path: Path) -> None:
    n_rows, n_levels, spare_bytes = 250_000, 5, 32 * 2**20
    assert 8 * (1 + 4 * n_levels) * n_rows > 1.2 * spare_bytes
    row, depth = np.arange(n_rows)[:, None], np.arange(n_levels)
    book = Book(
        meta=META_ALWAYS_OPEN,
        time_ns=10**18 + np.arange(n_rows, dtype=np.int64),
        ask_ticks=1000 + row % 7 + depth,
        ask_size=np.ones((n_rows, n_levels)),
        bid_ticks=999 + row % 7 - depth,
        bid_size=np.ones((n_rows, n_levels)),
    )
    write_book(book, tmp_path / "book.parquet")
    write_book(book.rows(0, 5000), tmp_path / "few.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in ("few", "book")]
    done = subprocess.run(
        [sys.executable, "-c", _READ_IN_LITTLE_MEMORY, *paths, str(spare_bytes)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"},
    )  # fmt: skip
    expected = f"{n_rows - 99} {n_rows - 99}\ntoo large for memory\n"
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr[-2000:]


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, start: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    array = empty_npy(tmp_path / "kept.npy", shape=(3, 4), dtype=np.float32)
    array[:] = 7.0
    assert np.array_equal(np.load(tmp_path / "kept.npy"), np.full((3, 4), 7.0))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(LobBacktestError, match=r"a file of 4 MiB \(No space left on device\)"):
        empty_npy(tmp_path / "rows.npy", shape=(2**18, 4), dtype=np.float32)
