"""`lob-backtest import`: every option reaches the reader, and whatever is wrong is one message."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lob_backtest.book import read_book
from lob_backtest.cli import main
from lob_backtest.io import FORMATS
from tests.lob_backtest.io.order_files import QUIET, write_orders
from tests.lob_backtest.io.test_lobster import write_day


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (message,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    return message


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["import", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"formats: {', '.join(FORMATS)};" in told
    for flag in ("--levels", "--instrument", "--tick-size", "--currency", "--timezone",
                 "--session", "--mapping", "--memory-mb"):  # fmt: skip
        assert flag in told


def test_options_reach_the_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write_day(tmp_path), tmp_path / "out" / "book.parquet"
    arguments = ["import", "lobster", str(path), "-o", str(out), "--levels", "1", "--instrument",
                 "XYZ", "--tick-size", "0.005", "--currency", "CAD", "--session", "09:30-12:00",
                 "--memory-mb", "64", "--json"]  # fmt: skip
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["levels"], told["book"]) == (3, 1, str(out))
    assert told["rows_dropped"]["outside the session"] == 1
    book = read_book(out)
    assert (book.meta.instrument, book.meta.tick_size, book.meta.currency) == ("XYZ", 0.005, "CAD")
    assert (book.meta.session_open, book.meta.session_close) == ("09:30", "12:00")
    assert book.ask_ticks[:, 0].tolist() == [20_006] * 3


def test_bad_options_are_one_message_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders, out = write_orders(tmp_path / "orders.csv", QUIET), str(tmp_path / "book")

    def told(*options: str, name: str = "bitstamp", path: Path = orders) -> str:
        return refused(["import", name, str(path), "-o", out, *options], capsys)

    assert "--session 0930: needs local times as 09:30-16:00" in told("--session", "0930")
    assert "session 12:00 to 09:00: needs a close" in told("--session", "12:00-09:00")
    assert "session time '9h'" in told("--session", "9h-12:00")
    assert "memory_mb=1: needs 64 or more" in told("--memory-mb", "1")
    assert "levels=0: needs at least 1" in told("--levels", "0")
    assert "tick size -1.0: needs a positive" in told("--tick-size", "-1")
    assert "tick size inf: needs a positive" in told("--tick-size", "inf")
    assert "price is no multiple of the tick 7" in told("--tick-size", "7")
    assert "leave no choice of --timezone, --mapping" in told("--timezone", "UTC", "--mapping", "x")
    assert "leave no choice of --tick-size" in told("--tick-size", "1", name="parquet")
    assert "did you mean bitstamp?" in told(name="bitstmp")
    assert "did you mean lean?" in told(name="leen")
    assert "orders.csv: the name says neither date nor levels" in told(name="lobster")
    assert sorted(tmp_path.iterdir()) == [orders]


def test_an_import_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = write_day(tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("lob_backtest.io.importing.report_of", interrupted)
    monkeypatch.setattr("lob_backtest.io.writing.BookWriter.finish", interrupted)
    assert main(["import", "lobster", str(path), "-o", str(tmp_path / "book.parquet")]) == 130
    assert sorted(tmp_path.iterdir()) == before


def test_an_import_brings_no_reader_but_its_own() -> None:
    show = (
        "import sys, lob_backtest.io; lob_backtest.io.open_source('lobster'); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    others = {FORMATS[name].partition(":")[0] for name in list(FORMATS)[4:]}
    assert len(others) == 6
    assert others & set(done.stdout.split()) == set()
