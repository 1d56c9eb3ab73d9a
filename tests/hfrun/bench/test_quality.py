"""The quality bench: cells are those of a walk-forward, and an interrupted bench ends the same."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.bench import quality, quality_fits
from hfrun.bench.quality import main
from hfrun.bench.quality_plan import Cell, Contender
from hfrun.config import load_config
from hfrun.walk_forward import run_walk_forward
from lob_backtest.baselines import BASELINES
from lob_backtest.book import write_book
from lob_backtest.contenders import predict_baselines
from lob_backtest.errors import LobBacktestError
from lob_backtest.predictions import Predictions, read_predictions
from lob_backtest.synthetic import synthetic_book
from tests.hfrun.bench.quality_case import CONFIG, MODELS, PLAN, Home

MIDDLE = PLAN.middle.words
NEVER = pytest.fail


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A bench that ran to its end; to be read only."""
    home = Home.made(tmp_path_factory.mktemp("bench"))
    assert home.run() == 0
    return home


@pytest.fixture
def own(finished: Home, tmp_path: Path) -> Home:
    """The finished bench, to change."""
    shutil.copytree(finished.folder, tmp_path / "own")
    return Home(folder=tmp_path / "own")


def predictions(home: Home, cell: Cell) -> Predictions:
    return read_predictions(home.folder / "work" / "cells" / f"{cell.stem}.parquet")


def cells_of(home: Home) -> dict[str, np.ndarray[Any, Any]]:
    folder = home.folder / "work" / "cells"
    return {
        str(path.relative_to(folder)): read_predictions(path).probability
        for path in sorted(folder.rglob("*.parquet"))
    }


def counted(patch: pytest.MonkeyPatch, *, stop_at: int | None = None) -> list[int]:
    """The folds that are fitted; the one numbered ``stop_at`` is interrupted before it begins."""
    fitted: list[int] = []
    fit: Callable[..., None] = quality_fits.fit_fold

    def counting(config: Any, book: Any, prepared: Any, fold: Any, files: Any) -> None:
        if len(fitted) == stop_at:
            raise KeyboardInterrupt
        fitted.append(fold.fold)
        fit(config, book, prepared, fold, files)

    patch.setattr(quality_fits, "fit_fold", counting)
    return fitted


def test_baselines_take_every_window_and_horizon_and_deep_models_the_first_and_last_of_the_middle(
    finished: Home,
) -> None:
    cells = [cell for task in finished.tasks() for cell in task.cells]
    deep = {(c.horizon, c.fold, c.seed) for c in cells if c.contender in ("narrow", "wide")}
    assert deep == {(MIDDLE, fold, seed) for fold in (0, 2) for seed in (0, 1)}
    simple = {(c.horizon, c.fold) for c in cells if c.contender == "boosting"}
    assert simple == {(h.words, fold) for h in PLAN.horizons for fold in (0, 1, 2)}
    assert len(cells) == len(cells_of(finished)) == 5 * 3 * 3 + 2 * 2 * 2


def test_all_of_it_is_every_model_at_every_horizon_and_window(finished: Home) -> None:
    tasks = finished.tasks(full=True, seeds=3)
    assert sum(task.contender is not None for task in tasks) == 2 * 3 * 3 * 3


def test_baselines_come_first_and_then_seed_after_seed(finished: Home) -> None:
    order = [(t.contender is not None, t.cells[0].seed) for t in finished.tasks()]
    assert order == sorted(order)


def test_a_deep_cell_is_the_fold_that_walk_forward_makes_of_the_same_config(
    finished: Home, tmp_path: Path
) -> None:
    config = load_config(
        finished.folder / "configs" / "tiny.yaml",
        [f"data.book={finished.folder / 'data/made/tiny.parquet'}", "run.seed=1",
         f"run.output_dir={tmp_path / 'run'}", "model.config.width=16"],
    )  # fmt: skip
    run_walk_forward(config)
    for fold in (0, 2):
        theirs = read_predictions(tmp_path / "run/folds" / f"{fold:03d}" / "predictions.parquet")
        cell = Cell(book="tiny", horizon=MIDDLE, contender="wide", seed=1, fold=fold)
        ours = predictions(finished, cell)
        assert np.array_equal(ours.decided_ns, theirs.decided_ns)
        assert np.array_equal(ours.label, theirs.label)
        assert np.abs(ours.probability - theirs.probability).max() == 0.0


def test_a_baseline_cell_is_what_all_windows_at_once_give(finished: Home) -> None:
    opened = finished.tasks()[0].opened
    for horizon in PLAN.horizons:
        every = predict_baselines(opened.book, opened.prepared(horizon), seed=5)
        for name, both in every.items():
            parts = [
                predictions(finished, Cell(book="tiny", horizon=horizon.words, contender=name,
                                           seed=0, fold=fold))
                for fold in (0, 1, 2)
            ]  # fmt: skip
            ours = np.concatenate([part.probability for part in parts])
            # Another seed gives the same: nothing in them is drawn.
            assert np.array_equal(ours, both.test.probability)


def test_a_finished_bench_fits_nothing_and_writes_the_same_page(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = own.page.read_text("utf-8")
    fitted = counted(monkeypatch)
    monkeypatch.setattr(quality_fits, "predict_baselines", NEVER)
    own.page.unlink()
    assert own.run() == 0
    assert fitted == []
    assert own.page.read_text("utf-8") == before


@pytest.mark.slow
def test_an_interrupted_bench_leaves_a_page_and_ends_as_if_it_had_not_been(
    finished: Home, own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [task.cells[0] for task in own.tasks() if task.cells[0].contender == "wide"]
    own.bench().store.forget(lost)
    with monkeypatch.context() as patch:
        counted(patch, stop_at=1)
        with pytest.raises(KeyboardInterrupt):
            own.run()
    assert "| tiny: wide at 10 events | 3 | not yet" in own.page.read_text("utf-8")
    fitted = counted(monkeypatch)
    assert own.run() == 0
    assert len(fitted) == 3
    ours, theirs = cells_of(own), cells_of(finished)
    assert list(ours) == list(theirs)
    assert max(np.abs(ours[name] - theirs[name]).max() for name in ours) == 0.0


def wanted(home: Home) -> set[str]:
    """Contenders whose cells are there no more."""
    bench = home.bench()
    return {
        cell.contender
        for task in bench.tasks(bench.open())
        for cell in task.cells
        if not bench.store.is_made(cell, task.identity(cell))
    }


def test_another_training_makes_the_models_cells_anew_and_keeps_the_baselines(own: Home) -> None:
    training = {**CONFIG["training"], "learning_rate": 1e-3}
    own.write_config({**CONFIG, "training": training})
    assert wanted(own) == {"narrow", "wide"}


def test_other_labels_or_another_book_make_every_cell_anew(own: Home) -> None:
    assert wanted(own) == set()
    label = {**CONFIG["data"]["label"], "flat_share": 0.5}
    own.write_config({**CONFIG, "data": {**CONFIG["data"], "label": label}})
    assert wanted(own) == {*BASELINES, "narrow", "wide"}
    own.write_config(CONFIG)
    book = synthetic_book(days=1, rows_per_day=1200, levels=2, signal=1.0, seed=1)
    write_book(book, own.folder / "data" / "made" / "tiny.parquet")
    assert wanted(own) == {*BASELINES, "narrow", "wide"}


@pytest.mark.slow
def test_anew_makes_the_chosen_cells_again(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = counted(monkeypatch)
    own.run(anew=True, models=MODELS[:1], seeds=1)
    assert len(fitted) == 2


def test_the_time_that_is_left_is_told_once_every_contender_was_timed(finished: Home) -> None:
    tasks = finished.tasks()  # 9 of baselines, 4 of each model
    seconds = {"baselines": [10.0, 30.0], "narrow": [60.0]}
    assert quality._left(tasks, seconds) == ""
    assert quality._left(tasks, {**seconds, "wide": [75.0]}) == ", about 12 left"


def test_no_minutes_write_the_page_alone(tmp_path: Path) -> None:
    home = Home.made(tmp_path)
    assert home.run(minutes=0) == 0
    page = home.page.read_text("utf-8")
    assert "No cell is there yet" in page
    assert "| tiny: logistic at 5 events | 3 | not yet" in page


def test_a_model_that_cannot_be_made_is_named_and_the_others_go_on(own: Home) -> None:
    broken = Contender(name="broken", overrides=("model.config.widht=3",), words="misspelt")
    other = Contender(name="other", overrides=("data.label.horizon_events=7",), words="cheats")
    assert own.run(models=[*MODELS, broken, other]) == 8
    page = own.page.read_text("utf-8")
    assert "| tiny: broken at 10 events | 4 |" in page
    assert "did you mean model.config.width?" in page or "width" in page.split("broken at")[1]
    assert "| tiny: other at 10 events | 4 | other: data.label.horizon_events=7 changes" in page
    assert "| wide |" in page


def test_a_fault_in_a_fit_is_noted_and_tried_again(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**CONFIG["training"], "learning_rate": 1e-3}
    own.write_config({**CONFIG, "training": training})
    with monkeypatch.context() as patch:
        patch.setattr(quality_fits, "fit_fold", lambda *_: 1 / 0)
        assert own.run(models=MODELS[:1], seeds=1) == 2
    assert "ZeroDivisionError" in own.page.read_text("utf-8")
    assert own.run(models=MODELS[:1], seeds=1) == 0
    assert "ZeroDivisionError" not in own.page.read_text("utf-8")


def test_a_book_without_files_is_left_out_and_named(own: Home) -> None:
    absent = replace(PLAN, name="absent", files=("nowhere/*.csv",))
    assert own.run(books=[PLAN, absent]) == 0
    assert "| absent | 0 | no data files |" in own.page.read_text("utf-8")
    with pytest.raises(LobBacktestError, match="has the files of none of absent"):
        own.run(books=[absent])


def test_every_cell_says_where_it_comes_from(finished: Home) -> None:
    task = next(t for t in finished.tasks() if t.contender is not None)
    record = finished.bench().store.read(task.cells[0], task.identity(task.cells[0])).record  # type: ignore[union-attr]
    assert record["made"]["versions"]["torch"]
    assert set(record["made"]) >= {"created_at", "command", "git", "machine"}
    assert record["config"]["data"]["label"]["horizon_events"] == 10
    assert record["book"]["path"] == "tiny.parquet"
    assert record["training"]["parameters"] > 0
    assert [alarm["name"] for alarm in record["alarms"]] == [
        "foresight", "late_by_one", "late_by_horizon"
    ]  # fmt: skip


def test_no_fit_in_progress_is_left_behind(finished: Home) -> None:
    assert list((finished.folder / "work" / "fits").iterdir()) == []


def test_the_command_refuses_unknown_names_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["quality", "--books", "gogo"]) == 2
    assert "goog" in capsys.readouterr().err
    assert main(["quality", "--models", "deeplobb"]) == 2
    assert "deeplob" in capsys.readouterr().err


def test_the_command_ends_with_2_where_cells_failed(
    own: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "chosen_books", lambda _: [PLAN])
    monkeypatch.setattr(quality, "chosen_models", lambda _: MODELS)
    monkeypatch.setattr(quality_fits, "fit_fold", lambda *_: 1 / 0)
    words = ["quality", "--seeds", "3", "--data", str(own.folder / "data"), "--page", str(own.page),
             "--configs", str(own.folder / "configs"), "--work", str(own.folder / "work"),
             "--json", str(own.folder / "rows.json")]  # fmt: skip
    assert main(words) == 2
    assert "4 cells could not be made" in capsys.readouterr().err
    assert (own.folder / "rows.json").is_file()
