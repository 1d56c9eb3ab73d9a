"""The plan of the quality table: one recipe for all books, and remarks that the books bear out."""

from pathlib import Path

import numpy as np
import pytest

from hfrun.bench.quality_fits import imported_book
from hfrun.bench.quality_plan import BOOKS, MODELS, BookPlan, Cell, chosen_books, chosen_models
from hfrun.config import HfrunConfig, load_config
from lob_backtest.book import read_book
from lob_backtest.config import LabelConfig
from lob_backtest.errors import ConfigError, LobBacktestError
from lob_backtest.labels import classify, fit_threshold
from lob_backtest.questions import decisions_of, moves_of

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "quality"


def config(plan: BookPlan, *overrides: str) -> HfrunConfig:
    return load_config(CONFIGS / f"{plan.name}.yaml", overrides)


@pytest.mark.parametrize("plan", BOOKS, ids=lambda plan: plan.name)
def test_each_book_has_a_config_whose_label_is_the_middle_horizon(plan: BookPlan) -> None:
    found = config(plan)
    assert found.run.name == f"quality-{plan.name}"
    assert config(plan, plan.middle.override) == found
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {each.name for each in BOOKS}


def test_every_book_is_trained_by_the_same_recipe() -> None:
    first, *others = (config(plan) for plan in BOOKS)
    for other in others:
        for section in ("model", "training", "callbacks", "stop_rules"):
            assert getattr(other, section) == getattr(first, section), section
        assert other.data.normalize == first.data.normalize
        assert other.data.window == first.data.window
        assert other.data.label.kind == first.data.label.kind == "smoothed_forward"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_loads_with_every_book_and_asks_the_same_question(model) -> None:
    for plan in BOOKS:
        same, other = config(plan), config(plan, *model.overrides)
        assert other.walk_forward == same.walk_forward
        assert other.data.decisions == same.data.decisions
        assert other.data.label == same.data.label


def test_names_are_the_plan_s_and_unknown_ones_are_refused_with_the_nearest() -> None:
    assert [plan.name for plan in chosen_books(["bac", "goog"])] == ["goog", "bac"]
    assert [model.name for model in chosen_models(["deeplob", "mlp"])] == ["mlp", "deeplob"]
    with pytest.raises(ConfigError, match="xbtusd"):
        chosen_books(["xbtusdt"])


def test_two_cells_never_share_a_file() -> None:
    cells = [
        Cell(book=book, horizon=horizon.words, contender=model.name, seed=seed, fold=fold)
        for book in ("goog", "bac") for horizon in BOOKS[0].horizons + BOOKS[2].horizons
        for model in MODELS for seed in range(3) for fold in range(3)
    ]  # fmt: skip
    assert len({cell.stem for cell in cells}) == len(cells)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    plan = BOOKS[3]
    with pytest.raises(LobBacktestError, match=r"xbtusd: .* has no bitmex/orderbook10_20200310"):
        imported_book(plan, data=tmp_path, books=tmp_path / "books")


def flat_share(plan: BookPlan, books: Path, data: Path, horizon_events: int) -> float:
    """Share of flat labels where the horizon is in rows, every 100 rows."""
    book = read_book(imported_book(plan, data=data, books=books))
    asked = config(plan, "data.decisions={every_events: 100}").data.decisions
    label = LabelConfig(kind="smoothed_forward", horizon_events=horizon_events)
    moves = moves_of(book, decisions_of(book, asked, window=100), label).move_ticks
    moves = moves[np.isfinite(moves)]
    threshold = fit_threshold(moves, flat_share=1 / 3)
    return float((classify(moves, threshold_ticks=threshold) == 1).mean())


def test_the_remarks_on_the_clock_are_what_the_books_say(
    lob_data_dir: Path, tmp_path: Path
) -> None:
    bac, xbtusd = BOOKS[2:]
    shares = [flat_share(bac, tmp_path, lob_data_dir / "data", n) for n in (10, 50, 100)]
    assert [f"{share:.0%}" for share in shares] == ["99%", "97%", "95%"]
    assert "99, 97 and 95 %" in bac.remark
    book = read_book(imported_book(xbtusd, data=lob_data_dir / "data", books=tmp_path))
    moves = int((np.diff(book.mid_ticks) != 0).sum())
    assert f"moves {moves} times in {book.n_rows:,} rows" in xbtusd.remark
