"""What docs/data.md shows is what happens."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lob_backtest.errors import FormatError
from lob_backtest.io import FORMATS, read_sample, sample_path
from tests.lob_backtest.io.imports import imported, touches

PAGE = (Path(__file__).resolve().parents[3] / "docs/data.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_mapping_that_is_shown_reads_the_table_that_is_shown(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text(block("csv"))
    (tmp_path / "day.yaml").write_text(block("yaml"))
    book, _ = imported("mapped", tmp_path / "day.csv", tmp_path, mapping=tmp_path / "day.yaml")
    assert touches(book) == [[1003, 200, 1002, 300], [1003, 200, 1002, 100], [1003, 150, 1002, 100]]
    assert book.bid_size[:, 1].tolist() == [500, 0, 400]
    opening = int(datetime(2024, 1, 5, 14, 30, tzinfo=UTC).timestamp()) * 10**9
    assert (book.time_ns - opening).tolist() == [125, 250_000_000, 1_000_000_000]
    meta = book.meta
    assert (meta.instrument, meta.session_open, meta.session_close) == ("ACME", "09:30", "16:00")


def test_every_format_has_a_line_and_a_section_or_a_source() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)[: len(FORMATS)]) == sorted(
        FORMATS
    )
    for name in set(FORMATS) - {"parquet", "sample", "bitstamp", "mapped"}:
        assert f"lob-backtest import {name} " in PAGE


def test_the_samples_report_is_the_one_that_is_shown() -> None:
    try:
        sample_path()
    except FormatError as error:
        pytest.skip(str(error))
    _, report = read_sample()
    shown = [line for line in report.as_text().splitlines() if not line.startswith("read ")]
    assert "\n".join(f"    {line}" for line in shown) in PAGE
