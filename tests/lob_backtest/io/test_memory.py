"""Files of any size import within the memory that was allowed."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.lob_backtest.io.big_files import (
    big_rows,
    big_times_ns,
    import_in_a_child,
    write_big_day,
)

MIDNIGHT_NS = 1_578_286_800_000_000_000  # 2020-01-06 in New York


def peak_mib(folder: Path, *, n_rows: int, memory_mb: int, levels: int = 2) -> float:
    """Peak memory of an import, whose first and last rows and length are right."""
    path, out = write_big_day(folder, n_rows=n_rows, levels=levels), folder / "book.parquet"
    told, peak = import_in_a_child(path, out, memory_mb=memory_mb)
    assert (told["rows"], told["events"], told["rows_repeated"]) == (n_rows, n_rows, 0)
    assert told["rows_dropped"] == dict.fromkeys(told["rows_dropped"], 0)
    with pq.ParquetFile(out) as file:
        assert file.metadata.num_rows == n_rows
        for group in (0, file.num_row_groups - 1):
            table = file.read_row_group(group)
            start = 0 if group == 0 else n_rows - table.num_rows
            expected = big_rows(start, table.num_rows, levels).astype(np.float64)
            expected[:, 0::2] /= 100  # cents
            values = np.column_stack([column.to_numpy() for column in table.columns[1:]])
            np.testing.assert_array_equal(values, expected)
            np.testing.assert_array_equal(
                table.column("time_ns").to_numpy() - MIDNIGHT_NS,
                big_times_ns(start, table.num_rows, n_rows),
            )
    return peak


def test_peak_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small = peak_mib(tmp_path, n_rows=250_000, memory_mb=64)
    large = peak_mib(tmp_path, n_rows=750_000, memory_mb=64)
    assert large < small + 32, f"{small:.0f} MiB for 250,000 rows, {large:.0f} for 750,000"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_million_rows_import_within_a_gibibyte(tmp_path: Path) -> None:
    peak = peak_mib(tmp_path, n_rows=10_000_000, memory_mb=512, levels=3)
    assert peak < 1024
    print(f"10,000,000 rows of 3 levels: peak {peak:.0f} MiB")
