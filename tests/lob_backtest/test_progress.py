"""Progress: a bar where somebody looks, lines where a log is kept, nothing among the results."""

from collections.abc import Iterator

import pytest

from lob_backtest import progress as module
from lob_backtest.progress import announce, progress
from tests.terminal import stderr_on_a_terminal


def test_on_a_terminal_a_bar_counts_to_the_total_and_goes_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with stderr_on_a_terminal() as shown:
        assert list(progress(range(7), label="folds", unit="fits")) == list(range(7))
    assert "folds:   0%" in shown.text
    assert "0/7" in shown.text
    assert "\n" not in shown.text  # drawn over itself
    *_, wiped, rest = shown.text.split("\r")
    assert (wiped.strip(), rest) == ("", "")
    assert capsys.readouterr() == ("", "")


def test_in_a_pipe_there_is_one_line_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(progress(iter("abc"), label="files", total=3, unit="files")) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [captured.err.strip()]
    assert captured.err.startswith("files: 3/3 files in ")
    assert "\r" not in captured.err
    assert captured.out == ""


def test_in_a_pipe_long_work_says_every_ten_seconds_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 1000, 4))  # every look at the clock is 4 s after the one before

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return float(next(clock))

    monkeypatch.setattr(module, "time", Clock)
    list(progress(range(6), label="rows", unit="rows"))
    assert capsys.readouterr().err.splitlines() == [
        "rows: 3/6 rows after 12 s",
        "rows: 6/6 rows after 24 s",
        "rows: 6/6 rows in 28.0 s",
    ]


def test_an_unknown_total_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress(iter(range(2)), label="rows", unit="rows"))
    assert capsys.readouterr().err.startswith("rows: 2 rows in ")


def test_items_come_one_by_one_and_not_ahead(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for item in range(5):
            taken.append(item)
            yield item

    assert next(progress(source(), label="rows")) == 0
    assert taken == [0]


def test_announcements_leave_standard_output_to_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    announce("1/4 the order book")
    assert capsys.readouterr() == ("", "1/4 the order book\n")
