"""Bad input: one message, exit code 2, nothing half-written, nothing already written lost."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from hfrun.cli import main as hfrun
from lob_backtest.book import write_book
from lob_backtest.cli import main as lob_backtest
from tests.lob_backtest.books import random_book

ROOT = Path(__file__).resolve().parents[2]


# Together these were let through until the training was over.
NEVER_EVALUATED = {
    "training__eval_strategy": "no",
    "training__save_strategy": "no",
    "training__load_best_model_at_end": False,
}


@pytest.fixture
def book_path(tmp_path: Path) -> Path:
    path = tmp_path / "book.parquet"
    rng = np.random.default_rng(0)
    write_book(random_book(rng, n_rows=400, n_levels=2, n_sessions=1), path)
    return path


@pytest.fixture
def config(tmp_path: Path, book_path: Path) -> Callable[..., Path]:
    """Writes the smoke config on the small book, with some keys changed."""

    def write(**changes: object) -> Path:
        raw = yaml.safe_load((ROOT / "configs/smoke.yaml").read_text(encoding="utf-8"))
        raw["run"]["output_dir"] = str(tmp_path / "run")
        raw["data"] |= {"book": str(book_path), "window": 20}
        raw["training"] |= {"num_train_epochs": 1, "per_device_train_batch_size": 16}
        raw["walk_forward"] = {"train": 40, "validation": 10, "test": 10}
        for name, value in changes.items():
            section, _, key = name.partition("__")
            if key:
                raw[section][key] = value
            else:
                raw[section] = value
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(raw), encoding="utf-8")
        return path

    return write


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    """The one message on standard error of a command that ended with exit code 2."""
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.err.count("error: ") == 1
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize("command", ["train", "walk-forward"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__book": "nowhere.parquet"}, "nowhere.parquet: no such file"),
        ({"data__book": "$UNSET_FOLDER/x"}, "environment variable in it is not set"),
        ({"data__widow": 3}, "data.widow: unknown key; did you mean window?"),
        ({"data__window": 100_000}, "window"),
        ({"data__label": {"horizon_events": 100_000}}, "horizon"),
        ({"data__label": {"horizon_events": 4, "threshold_ticks": 1e9}}, "one class only"),
        ({"training__per_device_train_batch_size": 5000}, "an optimizer step takes 5000 samples"),
        ({"training__learning_rate": "fast"}, "fast"),
        ({"training__optim": "adamwx"}, "adamwx"),
        ({"training__loss": {"class_weights": "balanced", "balanced_sampler": True}}, "multiply"),
        ({"backtest": {"latency_ns": 0}}, "backtest.costs: missing"),
        ({"data__window": 10}, "window=10"),
        ({"model__config": {"dropout": 2}}, "dropout=2"),
        ({"model__pretrained": "/nowhere/model"}, "model.pretrained=/nowhere/model"),
        ({"training__warmup_steps": 1000}, "warmup_steps=1000 of"),
        ({"training__num_train_epochs": 0}, "0 optimizer steps"),
        ({"training__eval_delay": 50}, "before its first evaluation"),
        ({"training__metric_for_best_model": "eval_f1"}, "did you mean eval_f1_"),
        ({"training__loss": {"class_weights": [1, 2]}}, "needs 3 numbers"),
        ({"callbacks__weight_decay_schedule": {"points": {0: 0.1, 1: -0.1}}}, "weight decay of"),
        ({"callbacks__dropout_schedule": {"points": {0: 0.1, 1: 1.5}}}, "dropout of"),
        (
            {"stop_rules": [{"rule": "above", "metric": "train_evl_gap", "limit": 0.2}]},
            "did you mean train_eval_gap?",
        ),
        (NEVER_EVALUATED, "training.eval_strategy=no"),
    ],
)
def test_a_config_that_cannot_work_is_refused_before_anything_is_written(
    config: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
    changes: dict[str, object],
    message: str,
) -> None:
    before = sorted(tmp_path.rglob("*"))
    code = hfrun([command, str(config(**changes))])
    assert message in refused(capsys, code)
    assert sorted(set(tmp_path.rglob("*")) - {tmp_path / "config.yaml"}) == before


@pytest.mark.parametrize(
    "changes", [{"model__config": {"dropout": 2}}, {"training__loss": {"class_weights": [1, 2]}}]
)
def test_a_corrected_config_runs_where_the_wrong_one_was_refused(
    config: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: dict[str, object],
) -> None:
    refused(capsys, hfrun(["train", str(config(**changes))]))
    assert hfrun(["train", str(config())]) == 0, capsys.readouterr().err
    assert (tmp_path / "run" / "report" / "report.json").is_file()


def test_too_few_rows_for_the_folds_are_counted(
    config: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(walk_forward={"train": 4000, "validation": 1000, "test": 1000})
    assert "6000 decisions" in refused(capsys, hfrun(["walk-forward", str(path)]))


def test_a_missing_config_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml: no such config file" in refused(
        capsys, hfrun(["walk-forward", "nowhere.yaml"])
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "empty"), (b"not,an,order,book\n1,2,3,4\n", "")],
)
@pytest.mark.parametrize("form", ["bitstamp", "lobster", "parquet"])
def test_a_file_that_is_no_book_is_refused_and_leaves_no_book(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    form: str,
    content: bytes | None,
    message: str,
) -> None:
    source, output = tmp_path / "input.csv", tmp_path / "out" / "book.parquet"
    if content is not None:
        source.write_bytes(content)
    code = lob_backtest(["import", form, str(source), "-o", str(output)])
    error = refused(capsys, code)
    assert "input.csv" in error
    assert message in error
    assert not output.exists()


def test_a_failing_import_keeps_the_book_that_was_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, book_path: Path
) -> None:
    before = book_path.read_bytes()
    source = tmp_path / "broken.csv"
    source.write_text("broken", encoding="utf-8")
    refused(capsys, lob_backtest(["import", "bitstamp", str(source), "-o", str(book_path)]))
    assert book_path.read_bytes() == before


def test_pushing_to_a_hub_that_is_down_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "model" / "config.json").write_text("{}", encoding="utf-8")
    (run / "config.yaml").write_text("{}", encoding="utf-8")
    (run / "run.json").write_text('{"name": "x"}', encoding="utf-8")
    endpoint = "http://127.0.0.1:9"  # the discard port: nobody answers
    code = hfrun(["push", str(run), "--repo", "me/x", "--endpoint", endpoint])
    assert "hfrun hub serve" in refused(capsys, code)


def test_pushing_what_is_no_run_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = refused(capsys, hfrun(["push", str(tmp_path), "--repo", "me/x"]))
    assert "no run.json in it" in error
