"""The grid: its cells in order, and the config that each trial gets."""

import copy
import doctest

import pytest

from hfrun.config import config_from
from hfrun.study import grid
from hfrun.study.grid import cell_label, cells_of, check_cells, trial_config
from hfrun.training.values import ValueSchedule
from lob_backtest.errors import ConfigError

RAW = {
    "run": {"name": "sweep", "output_dir": "runs/sweep", "seed": 7},
    "data": {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"},
    "model": {"tokenizer": "folder"},
    "training": {"num_train_epochs": 1, "learning_rate": 1e-3},
    "hub": {"repo": "some/where", "push": True},
    "study": {"grid": {"dropout": [0.1]}},
}


def config_of(values, seed: int = 3):
    raw = trial_config(RAW, values, seed=seed, name="trial", folder="runs/sweep/trials/000")
    return config_from(raw, source="trial")


def test_cells_in_the_order_of_the_grid() -> None:
    assert cells_of({"a.b": [1, 2], "c.d": ["x", "y"]}) == [
        {"a.b": 1, "c.d": "x"}, {"a.b": 1, "c.d": "y"},
        {"a.b": 2, "c.d": "x"}, {"a.b": 2, "c.d": "y"},
    ]  # fmt: skip


def test_a_number_that_yaml_reads_as_text_is_a_number() -> None:
    cells = cells_of({"weight_decay": ["1e-4", 0], "model.type": ["llama"]})
    assert [cell["weight_decay"] for cell in cells] == [1e-4, 0]
    assert config_of(cells[0]).callbacks.weight_decay_schedule == ValueSchedule(points={0: 1e-4})
    with pytest.raises(ConfigError, match="is there twice"):
        cells_of({"weight_decay": ["1e-4", 0.0001]})


def test_numbers_and_schedules_reach_their_callbacks() -> None:
    config = config_of({"dropout": 0.6, "weight_decay": {"points": {0: 0.1, 2: 0.0}}})
    assert config.callbacks.dropout_schedule == ValueSchedule(points={0: 0.6})
    assert config.callbacks.weight_decay_schedule == ValueSchedule(points={0: 0.1, 2: 0.0})


def test_other_keys_are_of_the_config_whole_sections_too() -> None:
    config = config_of(
        {"training.learning_rate": 5e-4, "training.schedule": {"name": "one_cycle"},
         "training.loss.label_smoothing": 0.1}
    )  # fmt: skip
    assert config.training.arguments["learning_rate"] == 5e-4
    assert config.training.schedule.name == "one_cycle"
    assert config.training.loss.label_smoothing == 0.1


def test_a_trial_has_its_own_seed_name_and_folder_no_study_and_no_push() -> None:
    before = copy.deepcopy(RAW)
    config = config_of({"dropout": 0.6}, seed=11)
    assert (config.run.seed, config.run.name) == (11, "trial")
    assert config.run.output_dir == "runs/sweep/trials/000"
    assert config.study is None
    assert config.hub.push is False
    assert before == RAW  # what was read is left as it was


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dropuot": 0.1}, "study.grid.dropuot: needs section.key of the config"),
        ({"training.": 0.1}, "study.grid.training.: needs section.key"),
        ({"run.seed": 1}, "study.grid.run.seed: set by the study for every trial; list seeds in "),
        ({"run.output_dir": "x"}, "study.grid.run.output_dir: set by the study"),
        ({"hub.push": True}, "study.grid.hub.push: set by the study"),
        ({"dropout": "0.1"}, "study.grid.dropout: got '0.1'; needs a number, or a schedule"),
        ({"weight_decay": True}, "study.grid.weight_decay: got True; needs a number"),
        ({"training.learning_rate.x": 1}, "learning_rate holds 0.001, which has no keys"),
    ],
)
def test_keys_and_values_that_cannot_be_swept_are_refused(values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(values)


def test_a_value_twice_is_refused_however_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"study.grid.a.b: .* is there twice"):
        cells_of({"a.b": [{"x": 1, "y": 2}, 3, {"y": 2, "x": 1}]})


def test_a_value_that_no_run_accepts_is_refused_before_the_first_and_named() -> None:
    cells = cells_of({"dropout": [0.1], "training.learning_rate": [1e-3, "fast"]})
    with pytest.raises(ConfigError) as error:
        check_cells(RAW, cells, "sweep.yaml")
    assert "sweep.yaml, with dropout 0.1, learning_rate fast" in str(error.value)
    assert "training.learning_rate: got 'fast'; needs a number" in str(error.value)


def test_a_schedule_is_told_by_its_points() -> None:
    values = {"dropout": {"points": {0: 0.8, 3: 0.3}, "unit": "step", "between": "linear"}}
    assert cell_label(values) == "dropout 0.8 to 0.3 (step 3, linear)"


def test_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(grid)
    assert (results.failed, results.attempted > 0) == (0, True)
