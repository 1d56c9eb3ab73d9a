"""Configs: every shipped one loads, every mistake is named, and defaults write back."""

from pathlib import Path

import pytest
import yaml

from hfrun.config import effective_yaml, load_config
from lob_backtest.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {path.stem for path in CONFIGS} >= {"demo", "smoke", "goog"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_loads(path: Path) -> None:
    assert load_config(path).run.name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_effective_config_loads_back_to_the_same(path: Path, tmp_path: Path) -> None:
    config = load_config(path, ["run.seed=7"])
    written = tmp_path / "config.yaml"
    written.write_text(effective_yaml(config), encoding="utf-8")
    assert load_config(written) == config


def test_all_mistakes_are_shown_at_once_with_the_nearest_known_key(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "configs/smoke.yaml").read_text(encoding="utf-8"))
    raw["training"]["learning_rat"] = 1e-3
    raw["training"]["seed"] = 3
    raw["model"]["config"]["dropot"] = 0.5
    raw["model"]["config"]["levels"] = 3
    raw["data"]["windw"] = 10
    raw["stop_rules"] = [{"rule": "early_stoping", "metric": "eval_loss"}]
    raw["backtest"] = {"costs": "none"}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    expected = [
        "training.learning_rat: unknown key; did you mean learning_rate?",
        "training.seed: set run.seed instead",
        "model.config.dropot: unknown key; did you mean dropout?",
        "model.config.levels: comes from the data and cannot be set",
        "data.windw: unknown key; did you mean window?",
        "early_stopping",
        "backtest.latency_ns: missing; needs a whole number",
    ]
    assert [text for text in expected if text not in message] == []
    assert "7 problems" in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.sed=1", "run.sed: unknown key; did you mean seed?"),
        ("backtest.latency_ns=-1", "latency_ns=-1 needs to be >= 0"),
        ("training.schedule.floor=2", "floor=2"),
        ("nonsense", "needs section.key=value"),
        ("study.trials=3", "study.trials: unknown key"),
        ("training.stretch=0", "stretch=0 needs to be at least 1"),
        ("training.stretch=x", "training.stretch: got 'x'; needs a whole number"),
        ("training.stretch=true", "training.stretch: got True; needs a whole number"),
        ("data.normalize.inputs=flow", "got 'flow'; needs 'levels' or 'order_flow'"),
    ],
)
def test_a_wrong_override_is_named_as_it_was_typed(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load_config(ROOT / "configs/smoke.yaml", [override])


def test_numbers_without_a_dot_before_the_exponent_are_numbers() -> None:
    config = load_config(ROOT / "configs/smoke.yaml", ["backtest.costs.fee_bps=1e-1"])
    assert config.backtest is not None
    assert config.backtest.costs != "none"
    assert config.backtest.costs.fee_bps == 0.1


def test_a_walk_forward_without_its_section_says_so() -> None:
    with pytest.raises(ConfigError, match="walk_forward: missing"):
        _ = load_config(ROOT / "configs/smoke.yaml").judge


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("train_sampling_strategy=sequential", "set training.stretch .books., training.length_gr"),
        # an evaluation would lack its metrics, or its loss
        ("prediction_loss_only=true", "fixed by hfrun"),
        ("eval_do_concat_batches=false", "fixed by hfrun"),
        ("batch_eval_metrics=true", "fixed by hfrun"),
        ("label_names=[x]", "fixed by hfrun"),
        ("neftune_noise_alpha=5", "fixed by hfrun"),  # of embeddings, which there are none of
    ],
)
def test_an_option_that_would_be_overruled_or_break_a_run_is_refused(
    option: str, instead: str
) -> None:
    name = option.partition("=")[0]
    with pytest.raises(ConfigError, match=f"training.{name}: {instead}"):
        load_config(ROOT / "configs/smoke.yaml", [f"training.{option}"])
