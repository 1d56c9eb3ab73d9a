"""The costs command, and that the document's table says what the presets charge."""

import json
import re
from pathlib import Path

import pytest

from lob_backtest.cli import main
from lob_backtest.commands.costs import charges
from lob_backtest.venues import VENUES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/costs.md"


def test_all_presets_are_listed_with_an_example(capsys) -> None:
    assert main(["costs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [re.split(r"\s{2,}", line) for line in lines[1 : 1 + len(VENUES)]]
    assert [tuple(row[:-1]) for row in rows] == [charges(venue) for venue in VENUES]
    # 100 units at 100 in Taiwan: the minimum of 20 each way and 30 of tax on 10,000.
    assert rows[0][-1] == "70.00 bps"


def test_one_preset_names_its_sources(capsys) -> None:
    assert main(["costs", "taiwan_day_trade", "--size", "1000", "--price", "600"]) == 0
    text = capsys.readouterr().out
    assert "1000 units at 600 as a taker: 855 TWD to buy, 1755 to sell, together 43.50 bps" in text
    assert "source: Securities Transaction Tax Act (Taiwan), Article 2-2" in text


def test_json_holds_every_figure_and_the_example(capsys) -> None:
    assert main(["costs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found] == [venue.name for venue in VENUES]
    by_name = {each["name"]: each for each in found}
    assert by_name["bitmex_2020"]["maker_bps"] == -2.5
    assert main(["costs", "us_stock_2024", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one == by_name["us_stock_2024"]
    # 100 shares at $100: $1.00 at least, then $27.80 a million and $0.000166 a share sold.
    assert one["example"] == {
        "size": 100.0,
        "price": 100.0,
        "buy_fee": 1.0,
        "sell_fee": pytest.approx(1.0 + 0.278 + 0.0166),
        "round_trip_bps": pytest.approx(2.2946),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["taiwan"], "costs.preset='taiwan': no such preset; did you mean 'taiwan_stock'"),
        (["bitstamp", "--size", "0"], "--size 0.0 --price 100.0: needs a positive size"),
        (["--price", "nan"], "--price nan: needs a positive size"),
    ],
)
def test_what_cannot_be_charged_is_refused(arguments, message, capsys) -> None:
    assert main(["costs", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_documents_table_says_what_the_presets_charge() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| preset |"))
    written = [
        tuple(cell.strip(" `") for cell in line.strip("|").split("|"))
        for line in lines[start + 2 : start + 2 + len(VENUES)]
    ]
    assert written == [charges(venue) for venue in VENUES]
