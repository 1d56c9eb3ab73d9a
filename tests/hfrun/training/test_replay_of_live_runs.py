"""A run judged again by its own rules ends where it ended, and the rest of a longer one is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfrun.record import read_record
from hfrun.replay.replay import replay
from hfrun.replay.rules import rules_from
from hfrun.training.stop_rules import stop_rules_from
from hfrun.training.trainer import MeasuredTrainer
from lob_backtest.files import write_json, write_text

RISING = {"rule": "early_stopping", "metric": "train_loss", "mode": "max", "patience": 2}


@pytest.mark.parametrize("unit", ["steps", pytest.param("epoch", marks=pytest.mark.slow)])
def test_a_replayed_run_is_stopped_as_it_was_and_a_longer_one_where_it_would_have_been(
    make_trainer: Callable[..., MeasuredTrainer], tmp_path: Path, unit: str
) -> None:
    arguments: dict[str, Any] = {"num_train_epochs": 4, "eval_strategy": unit, "eval_steps": 3}
    found = {}
    for name, declared in [("stopped", [RISING]), ("whole", [])]:
        rules = stop_rules_from(declared)
        trainer = make_trainer(out=name, arguments=arguments, stop_rules=rules, gap_samples=0)
        trainer.train()
        write_json(tmp_path / name / "run.json", {"name": name, "kind": "train"})
        write_text(tmp_path / name / "config.yaml", "training: {}\n")
        (found[name],) = replay(read_record(tmp_path / name), rules_from([RISING]))
        if name == "stopped":
            live = trainer.run_summary()["stopped_by"]
    assert live is not None
    for one in found.values():
        assert one.fired is not None
        assert one.fired.to_dict() == live
    assert found["stopped"].stop_epoch == found["whole"].stop_epoch
    assert found["stopped"].epochs_saved == 0
    assert found["whole"].epochs_saved == 4 - found["whole"].stop_epoch
