"""The command line: every command, its exit codes, and one message for what a user can mend."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lob_backtest.baselines import BASELINES
from lob_backtest.book import read_book, write_book
from lob_backtest.cli import main
from lob_backtest.commands import inspecting
from lob_backtest.config import load_judge_config
from lob_backtest.contenders import ModelPredictions
from lob_backtest.metrics import classification_metrics
from lob_backtest.open_book import open_book
from lob_backtest.predictions import read_predictions, write_predictions
from lob_backtest.prepare import prepare
from lob_backtest.walk_forward import baseline_predictions, score
from tests.lob_backtest.judged import predicted

CONFIG = {
    "data": {
        "book": "unused",
        "decisions": {"every_events": 4},
        "label": {"horizon_events": 12},
        "window": 5,
    },
    "walk_forward": {"train": 120, "validation": 50, "test": 50},
    "backtest": {
        "costs": {"fee_bps": 0.1},
        "latency_ns": 1_000_000,
        "signal": {"candidates": [0.36, 0.5], "min_trades": 2},
    },
    "gates": {"off": ["train_eval_gap", "grad_norm"]},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a book, a config, and the predictions of a model that often knows."""
    folder = tmp_path_factory.mktemp("cli")
    recipe = ["--days", "2", "--rows-per-day", "700", "--levels", "2", "--signal", "1"]
    assert main(["synthetic", "-o", str(folder / "book.parquet"), *recipe]) == 0
    config = {**CONFIG, "data": {**CONFIG["data"], "book": str(folder / "book.parquet")}}
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    loaded = load_judge_config(folder / "run.yaml")
    prepared = prepare(
        open_book(loaded.data.book), data=loaded.data, walk_forward=loaded.walk_forward
    )
    for name, skill in (("good", 0.95), ("poor", 0.0)):
        model = predicted(prepared, np.random.default_rng(0), skill=skill)
        write_predictions(model.test, folder / f"{name}.parquet")
        write_predictions(model.validation, folder / f"{name}_validation.parquet")
    return folder


def score_arguments(place: Path, name: str, out: Path, *more: str) -> list[str]:
    return [
        "score", str(place / f"{name}.parquet"), "--validation",
        str(place / f"{name}_validation.parquet"), "--book", str(place / "book.parquet"),
        "--config", str(place / "run.yaml"), "-o", str(out), "--baselines", "majority,last_move",
        *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def reports(place) -> dict[str, Path]:
    """Reports of the two models; written by the command."""
    codes = {name: main(score_arguments(place, name, place / name)) for name in ("good", "poor")}
    assert codes == {"good": 0, "poor": 3}
    return {name: place / name for name in codes}


def refused(arguments: list[str], capsys) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.out == ""
    (message,) = [part for part in captured.err.split("error: ") if part and "fit in" not in part]
    return message.strip()


def test_help_answers_without_the_heavy_packages():
    show = "import sys, lob_backtest.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded & {"numpy", "pandas", "pyarrow", "sklearn", "vectorbt", "matplotlib"} == set()
    with pytest.raises(SystemExit, match="0"):
        main(["score", "--help"])


def test_synthetic_books_come_from_their_seed_alone(place, tmp_path, capsys):
    for name in ("a", "b"):
        main(["synthetic", "-o", str(tmp_path / name), "--days", "1", "--rows-per-day", "500",
              "--json"])  # fmt: skip
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    told = json.loads(capsys.readouterr().out.split("}\n")[0] + "}")
    assert (told["rows"], told["seed"], told["signal"]) == (500, 0, 1.0)


def test_import_writes_the_book_and_tells_what_was_left_out(place, tmp_path, capsys):
    out = tmp_path / "copy.parquet"
    source = str(place / "book.parquet")
    assert main(["import", "parquet", source, "-o", str(out), "--levels", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source_format"], told["rows"], told["levels"]) == ("parquet", 1400, 1)
    assert read_book(out).n_levels == 1
    assert main(["import", "parquet", source, "-o", str(out)]) == 0
    assert "book rows" in capsys.readouterr().out


def test_inspect_tells_rows_and_sessions(place, capsys):
    assert main(["inspect", str(place / "book.parquet"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["rows"], len(figures["sessions"])) == (1400, 2)
    assert main(["inspect", str(place / "book.parquet")]) == 0
    assert "1,400" in capsys.readouterr().out


def test_label_draws_the_folds_and_counts_the_classes(place, capsys):
    arguments = ["label", str(place / "book.parquet"), "--config", str(place / "run.yaml")]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    config = load_judge_config(place / "run.yaml")
    prepared = prepare(
        open_book(config.data.book), data=config.data, walk_forward=config.walk_forward
    )
    assert [fold["test"] for fold in told["folds"]] == [f.test.size for f in prepared.folds]
    labels = prepared.labels(prepared.folds[0])[prepared.folds[0].train]
    shares = [float((labels == c).mean()) for c in range(3)]
    assert told["folds"][0]["train_shares"] == pytest.approx(shares)
    assert main(arguments) == 0
    assert "* train   v validation   x test" in capsys.readouterr().out


def test_baseline_writes_what_python_gives(place, tmp_path, capsys):
    arguments = ["baseline", "--config", str(place / "run.yaml"), "-o", str(tmp_path), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)["baselines"]
    assert list(told) == list(BASELINES)
    config = load_judge_config(place / "run.yaml")
    expected = baseline_predictions(open_book(config.data.book), config)
    for name, model in expected.items():
        written = read_predictions(tmp_path / name / "predictions.parquet")
        assert np.array_equal(written.probability, model.test.probability)
        chosen = read_predictions(tmp_path / name / "validation_predictions.parquet")
        assert np.array_equal(chosen.probability, model.validation.probability)
        known = written.is_labelled
        plain = classification_metrics(written.label[known], written.probability[known])
        assert told[name]["brier"] == pytest.approx(plain["brier"])


def test_score_writes_the_report_that_python_gives(place, reports):
    written = json.loads((reports["good"] / "report.json").read_text())
    config = load_judge_config(place / "run.yaml")
    book = open_book(config.data.book)
    baselines = baseline_predictions(book, config)
    expected = score(
        book,
        ModelPredictions(
            test=read_predictions(place / "good.parquet"),
            validation=read_predictions(place / "good_validation.parquet"),
        ),
        {name: baselines[name] for name in ("majority", "last_move")},
        backtest=config.backtest,
        gates=config.gates,
        prepared=prepare(book, data=config.data, walk_forward=config.walk_forward),
    )
    provenance = written.pop("provenance")
    expected.pop("provenance")
    assert written == expected
    assert provenance["command"].startswith("lob-backtest score ")
    assert [item["what"] for item in provenance["inputs"]] == ["predictions", "validation"]
    assert all(len(item["sha256"]) == 64 for item in (*provenance["inputs"], *provenance["data"]))


def test_score_prints_the_verdict_and_where_the_report_is(place, tmp_path, capsys):
    code = main(score_arguments(place, "poor", tmp_path))
    out = capsys.readouterr().out
    assert code == 3
    assert "Verdict: FAIL" in out
    assert f"Report: {tmp_path / 'report.html'}" in out
    assert main(score_arguments(place, "poor", tmp_path, "--json")) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"


def test_overrides_may_stand_before_and_after_the_options(place, tmp_path):
    arguments = score_arguments(place, "good", tmp_path, "backtest.latency_ns=5000000")
    arguments.insert(2, "gates.off=[train_eval_gap,grad_norm,backtest]")
    assert main(arguments) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backtest"]["latency_ns"] == 5_000_000
    assert report["rules"]["off"] == ["train_eval_gap", "grad_norm", "backtest"]


def test_training_figures_come_from_a_file(place, tmp_path):
    (tmp_path / "training.json").write_text(
        json.dumps({"train_accuracy": 0.6, "grad_norm_p95": 2.0})
    )
    training = str(tmp_path / "training.json")
    arguments = score_arguments(place, "good", tmp_path, "--training", training, "gates.off=[]")
    assert main(arguments) == 0
    gates = json.loads((tmp_path / "report.json").read_text())["gates"]
    assert {gate["name"]: gate["passed"] for gate in gates}["train_eval_gap"] is True


def test_gate_gives_the_reports_verdict_as_its_exit_code(reports, capsys):
    for name, code in (("good", 0), ("poor", 3)):
        written = json.loads((reports[name] / "report.json").read_text())
        assert main(["gate", str(reports[name]), "--json"]) == code
        told = json.loads(capsys.readouterr().out)
        assert told == {key: written[key] for key in ("verdict", "gates", "alarms")}


def test_gate_judges_again_by_other_limits(reports, capsys):
    assert main(["gate", str(reports["good"]), "gates.f1_lift=0.9"]) == 3
    assert "FAIL  f1_lift" in capsys.readouterr().out
    assert main(["gate", str(reports["good"]), "gates.off=[]"]) == 3
    assert "--training FILE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["data.windw=5"], "data.windw: unknown key; did you mean window?"),
        (["gates.off=[gradnorm]"], "did you mean grad_norm"),
        (["gates.baseline=boosting"], "gates.baseline.boosting: unknown key"),
        (["walk_forward.train=5000"], "need 5100 decisions, got"),
        (["data.label.horizon_events=4"], "test decisions have another label than the book"),
        (["--baselines", "majorty"], "majorty is none of the baselines majority, last_move"),
        (["--training", "none.json"], "none.json: no such file"),
        (["--validation", "none.parquet"], "none.parquet: no such file"),
        (["--book", "none.parquet"], "none.parquet: no such file"),
        (["--config", "none.yaml"], "none.yaml: no such config file"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(place, tmp_path, capsys, change, message):
    out = tmp_path / "out"
    assert message in refused(score_arguments(place, "good", out, *change), capsys)
    assert not out.exists()


def test_missing_validation_is_told_before_the_work(place, tmp_path, capsys):
    arguments = ["score", str(place / "good.parquet"), "--config", str(place / "run.yaml"), "-o",
                 str(tmp_path / "out")]  # fmt: skip
    message = refused(arguments, capsys)
    assert "give --validation FILE, or a fixed backtest.signal.threshold" in message


def test_a_failed_score_leaves_the_old_report(place, reports, capsys):
    before = {path.name: path.read_bytes() for path in reports["good"].iterdir()}
    refused(score_arguments(place, "good", reports["good"], "data.label.horizon_events=4"), capsys)
    assert {path.name: path.read_bytes() for path in reports["good"].iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "none.parquet"], "none.parquet: no such file"),
        (["gate", "none"], "none: no such file; make a report with: lob-backtest score"),
        (["import", "lobser", "x", "-o", "b"], "did you mean lobster"),
        (["synthetic", "-o", "b", "--days", "0"], "days"),
    ],
)
def test_other_commands_refuse_bad_input_too(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(arguments, capsys)
    assert list(tmp_path.iterdir()) == []


def test_gate_refuses_what_is_no_gate_override(reports, capsys):
    message = refused(["gate", str(reports["good"]), "data.window=5"], capsys)
    assert "needs gates.key=value" in message
    assert "did you mean off?" in refused(["gate", str(reports["good"]), "gates.of=1"], capsys)


def test_an_unknown_argument_is_named_alone(place, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(score_arguments(place, "good", tmp_path, "data.window=5", "--fast"))
    assert capsys.readouterr().err.endswith("unrecognized arguments: --fast\n")


def test_a_folder_that_cannot_be_written_is_one_message(place, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "book.parquet")
    message = refused(["import", "parquet", str(place / "book.parquet"), "-o", out], capsys)
    assert str(tmp_path / "file") in message


def test_an_interrupt_ends_with_130(place, monkeypatch, capsys):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(inspecting, "read_book", interrupted)
    assert main(["inspect", str(place / "book.parquet")]) == 130
    assert capsys.readouterr().err.startswith("interrupted")


def test_a_full_disk_is_one_message_and_other_faults_are_not_hidden(place, monkeypatch, capsys):
    def fails_with(number):
        def failing(path):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(inspecting, "read_book", failing)
        return main(["inspect", str(place / "book.parquet")])

    assert fails_with(errno.ENOSPC) == 2
    error = capsys.readouterr().err
    assert (
        error == f"error: [Errno {errno.ENOSPC}] No space left on device; free space on the disk\n"
    )
    with pytest.raises(OSError, match="Input/output error"):
        fails_with(errno.EIO)


def test_a_reader_that_goes_away_is_no_error(place):
    command = [sys.executable, "-m", "lob_backtest.cli", "inspect", str(place / "book.parquet")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 141


def test_a_book_that_is_not_the_models_is_refused(place, tmp_path, capsys):
    book = read_book(place / "book.parquet")
    write_book(book.rows(0, 900), tmp_path / "short.parquet")
    arguments = score_arguments(place, "good", tmp_path / "out")
    arguments[arguments.index("--book") + 1] = str(tmp_path / "short.parquet")
    assert "decisions outside the book's time" in refused(arguments, capsys)


def test_two_books_of_one_instrument_are_refused(place, tmp_path, capsys):
    arguments = score_arguments(place, "good", tmp_path / "out", "--book",
                                str(place / "book.parquet"))  # fmt: skip
    assert "got books of SYNTHETIC, SYNTHETIC; needs one an instrument" in refused(
        arguments, capsys
    )
