"""gates.baseline: hub:NAMESPACE/NAME@TAG: a candidate against the model it would replace."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from huggingface_hub import HfApi, snapshot_download
from safetensors.torch import load_file, save_file

from hfrun.errors import WalkForwardError
from hfrun.hub.client import push_folder
from hfrun.incumbent import Incumbent, _check_question
from hfrun.publishing import Published, publish_run
from lob_backtest.book import read_book, write_book
from lob_backtest.config import BacktestConfig, DecisionsConfig, LabelConfig
from lob_backtest.predictions import read_predictions
from lob_backtest.strict_yaml import as_dict
from lob_backtest.synthetic import synthetic_book
from tests.hfrun.conftest import CONFIG, TinyRun, UserHub

DAYS = 2  # the model in use learnt on the first; candidates are judged on the second


@pytest.fixture(scope="module")
def in_use(finished_run: TinyRun, user_hub: UserHub) -> Published:
    """The finished run's model, pushed; it knows the first day alone."""
    return publish_run(
        finished_run.folder, repo="alice/in-use", endpoint=user_hub.endpoint, token=user_hub.alice
    )


@pytest.fixture
def candidate(tmp_path: Path, user_hub: UserHub, monkeypatch: pytest.MonkeyPatch) -> TinyRun:
    """A run over two days whose evaluation lies in the second."""
    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    tiny = TinyRun(home=tmp_path)
    write_book(
        synthetic_book(days=DAYS, rows_per_day=1200, levels=2, signal=1.0, seed=0), tiny.book
    )
    raw = {
        **CONFIG,
        "run": {"name": "candidate", "output_dir": str(tiny.folder)},
        "walk_forward": {"train": 320, "validation": 60, "test": 80},
        "hub": {"endpoint": user_hub.endpoint},
    }
    raw["data"] = {"book": str(tiny.book), **CONFIG["data"]}
    tiny.config.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return tiny


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    error = capsys.readouterr().err
    assert (code, error.count("error: ")) == (2, 1), error
    assert "Traceback" not in error
    return error


def test_the_model_in_use_is_a_baseline_at_the_candidates_own_decisions(
    candidate: TinyRun, in_use: Published, finished_run: TinyRun, user_hub: UserHub
) -> None:
    name = f"hub:alice/in-use@{in_use.tag}"
    assert candidate.again(f"gates.baseline={name}", f"gates.backtest_baseline={name}") == 3
    report = json.loads((candidate.folder / "report/report.json").read_text("utf-8"))
    assert name in report["aggregate"]["baselines"]
    lift = next(gate for gate in report["gates"] if gate["name"] == "f1_lift")
    assert name in lift["reason"]
    backtest = next(gate for gate in report["gates"] if gate["name"] == "backtest")
    assert name in backtest["reason"]
    run = json.loads((candidate.folder / "run.json").read_text("utf-8"))
    assert run["incumbent"] == {
        "name": name,
        "repo": "alice/in-use",
        "revision": in_use.tag,
        "endpoint": user_hub.endpoint,
        "commit": in_use.commit,
    }
    assert report["provenance"]["incumbent"] == run["incumbent"]
    # Asked by `hfrun predict`, the pushed model says the same at these decisions.
    from hfrun.evaluation.predict import predict_book

    predict_book(finished_run.folder, candidate.book, candidate.home / "asked.parquet")
    asked = read_predictions(candidate.home / "asked.parquet")
    answers = candidate.folder / "in_use" / in_use.commit / "predictions.parquet"
    compared = read_predictions(answers)
    here = np.isin(asked.decided_ns, compared.decided_ns)
    assert asked.decided_ns[here].tolist() == compared.decided_ns.tolist()
    np.testing.assert_allclose(asked.probability[here], compared.probability, rtol=0, atol=1e-6)
    # The tag may move, the run does not: judged again it asks the hub what the tag means now.
    before = (
        (candidate.folder / "in_use" / in_use.commit / "predictions.parquet").stat().st_mtime_ns
    )
    assert candidate.again(f"gates.baseline={name}") == 3
    assert before == answers.stat().st_mtime_ns  # it was not asked twice


def test_a_model_that_has_seen_the_evaluation_is_refused_before_training(
    candidate: TinyRun, in_use: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"hub:alice/in-use@{in_use.tag}"
    code = candidate.again(f"gates.baseline={name}", "walk_forward.train=100")
    error = refused(capsys, code)
    assert "it has seen the answers" in error
    assert not (candidate.folder / "folds").exists()


SHORT_WINDOW = [
    "data.window=5",
    "model.type=linear",
    "model.config={frames: 5}",
    "walk_forward.train=262",
]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.label.horizon_events=11"], "compare models of one question"),
        (["data.label.flat_share=0.4"], "compare models of one question"),
        (["data.label.threshold_ticks=1"], "compare models of one question"),
        (["data.decisions.every_events=3"], "compare models of one rule"),
        # The second day's first decisions know five rows of it, and the model in use needs 20.
        (SHORT_WINDOW, "set data.window to at least 20"),
    ],
)
def test_a_model_that_cannot_be_compared_is_refused(
    candidate: TinyRun,
    in_use: Published,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    message: str,
) -> None:
    code = candidate.again(f"gates.baseline=hub:alice/in-use@{in_use.tag}", *overrides)
    assert message in refused(capsys, code)


OTHER_MARKETS = [{"instrument": "OTHER"}, {"tick_size": 0.5}]


@pytest.mark.parametrize("meta", OTHER_MARKETS)
def test_a_model_of_another_market_is_refused(
    candidate: TinyRun, in_use: Published, capsys: pytest.CaptureFixture[str], meta: dict[str, str]
) -> None:
    book = read_book(candidate.book)
    write_book(replace(book, meta=replace(book.meta, **meta)), candidate.book)
    code = candidate.again(f"gates.baseline=hub:alice/in-use@{in_use.tag}")
    assert "compare models of one market" in refused(capsys, code)
    assert not (candidate.folder / "folds").exists()


def test_a_model_that_gives_no_numbers_is_refused_before_training(
    candidate: TinyRun,
    in_use: Published,
    user_hub: UserHub,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    broken = Path(
        snapshot_download("alice/in-use", endpoint=user_hub.endpoint, local_dir=tmp_path / "broken")
    )
    weights = load_file(broken / "model.safetensors")
    weights["head.bias"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    shutil.rmtree(broken / ".cache")
    push_folder(
        broken, repo="alice/broken", endpoint=user_hub.endpoint, token=user_hub.alice, message="NaN"
    )
    code = candidate.again("gates.baseline=hub:alice/broken@main")
    error = refused(capsys, code)
    assert "hub:alice/broken@main: its answer to a window of zeros is no number" in error
    assert not (candidate.folder / "folds").exists()


def test_a_strategy_of_the_hub_needs_to_be_the_baseline_too(
    candidate: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    code = candidate.again("gates.backtest_baseline=hub:alice/in-use@v1")
    assert "give gates.baseline hub:alice/in-use@v1 too" in refused(capsys, code)
    assert not candidate.folder.exists()


def test_executable_labels_are_compared_after_the_same_costs_alone(tmp_path: Path) -> None:
    label = LabelConfig(kind="executable", horizon_events=10)
    backtest = BacktestConfig(costs={"fee_bps": 1.0}, latency_ns=5)
    prepared = SimpleNamespace(
        data=SimpleNamespace(label=label, decisions=DecisionsConfig(every_events=4))
    )
    preprocessing = SimpleNamespace(label=label, decisions=DecisionsConfig(every_events=4))
    incumbent = Incumbent(
        name="hub:a/b@v1", repo="a/b", revision="v1", endpoint="", commit="0", folder=tmp_path
    )

    def check() -> None:
        _check_question(incumbent, preprocessing, prepared, backtest)  # type: ignore[arg-type]

    with pytest.raises(WalkForwardError, match="is not known to be of"):
        check()  # its records say nothing
    judged = {"scored": [{"backtest": as_dict(backtest)}]}
    (tmp_path / "run.json").write_text(json.dumps(judged), encoding="utf-8")
    check()
    judged["scored"].append({"backtest": {**as_dict(backtest), "latency_ns": 6}})
    (tmp_path / "run.json").write_text(json.dumps(judged), encoding="utf-8")
    with pytest.raises(WalkForwardError, match="compare models of one question"):
        check()


def test_other_names_are_refused_each_in_one_message(
    candidate: TinyRun,
    in_use: Published,
    user_hub: UserHub,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name, message in (
        ("hub:alice/in-use", "needed is hub:NAMESPACE/NAME@TAG"),
        ("hub:alice/in-use@no-such-tag", "no model alice/in-use at no-such-tag"),
        ("hub:alice/missing@v1", "no model alice/missing at v1"),
        ("hub:alice/empty@main", "no such file; a model folder of a finished run is needed"),
    ):
        if "empty" in name:
            HfApi(endpoint=user_hub.endpoint, token=user_hub.alice).create_repo("alice/empty")
        assert message in refused(capsys, candidate.again(f"gates.baseline={name}"))
        shutil.rmtree(candidate.folder, ignore_errors=True)
    name = f"hub:alice/in-use@{in_use.tag}"
    code = candidate.again(f"gates.baseline={name}", "hub.endpoint=http://127.0.0.1:9")
    assert "start the hub with hfrun hub serve" in refused(capsys, code)
