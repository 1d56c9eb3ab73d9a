"""The shipped metric modules load by path without a hub, combine, and equal the judge's figures."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from evaluate.loading import get_imports
from evaluate.loading import init_dynamic_modules as dynamic_modules

from hfrun.evaluation import metric_modules
from hfrun.evaluation.metric_modules import NAMES, path
from lob_backtest.errors import MetricError
from lob_backtest.metrics import calibration_metrics, classification_metrics
from tests.hfrun.evaluation.calibration_cases import drawn

OF_CLASSES = ("accuracy", "f1_macro", "f1_weighted", "majority_accuracy", "mcc")
Load = Callable[[str], Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """``evaluate.load`` of a shipped module, with caches of the test's own and no network."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("evaluate.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", tmp_path / "metrics")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    return lambda name: evaluate.load(path(name))


def figures_of(labels: Any, probabilities: Any) -> dict[str, float]:
    return classification_metrics(labels, probabilities) | calibration_metrics(
        labels, probabilities
    )


def test_every_module_in_the_folder_is_named_and_no_other() -> None:
    folder = Path(metric_modules.__file__).parent
    assert {each.stem for each in folder.glob("*.py")} == {*NAMES, "__init__", "base"}
    assert all(Path(path(name)).is_file() for name in NAMES)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(MetricError, match="no metric module 'f1'; known: accuracy, adaptive_ece"):
        path("f1")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_module_needs_can_be_read_from_its_lines(name: str) -> None:
    # evaluate reads imports line by line, and one that it misreads it asks to have installed
    needed = {kind: found for kind, found, *_ in get_imports(path(name))}
    assert set(needed) == {"library"}
    assert {found for _, found, *_ in get_imports(path(name))} <= {
        "hfrun", "lob_backtest", "numpy", "typing",
    }  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_each_module_equals_the_judges_figure(load: Load, classes: int) -> None:
    labels, probabilities = drawn(4, 150, classes=classes, sureness=1.7)
    expected = figures_of(labels, probabilities)
    for name in NAMES:
        found = load(name).compute(predictions=probabilities, references=labels)
        wanted = expected if name == "lob_classification" else {name: expected[name]}
        assert found == pytest.approx(wanted, abs=1e-12), name


def test_logits_are_taken_where_they_are_said_to_be(load: Load) -> None:
    labels, probabilities = drawn(4, 150)
    logits = np.log(probabilities) + 3.0
    module = load("lob_classification")
    found = module.compute(predictions=logits, references=labels, logits=True)
    assert found == pytest.approx(figures_of(labels, probabilities), abs=1e-9)
    with pytest.raises(MetricError, match=r"150 of 150 rows .* logits=True for logits"):
        load("ece").compute(predictions=logits, references=labels)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_figures_of_what_is_said_take_the_classes_alone(load: Load, name: str) -> None:
    labels, probabilities = drawn(5, 120)
    said = probabilities.argmax(axis=1)
    expected = figures_of(labels, probabilities)[name]
    assert load(name).compute(predictions=said, references=labels)[name] == pytest.approx(expected)


def test_modules_combine_and_take_their_samples_in_batches_or_one_by_one(load: Load) -> None:
    labels, probabilities = drawn(6, 40, classes=3)
    names = ("f1_weighted", "mcc", "ece", "brier")
    expected = {name: figures_of(labels, probabilities)[name] for name in names}
    both = evaluate.combine([path(name) for name in names])
    assert both.compute(predictions=probabilities, references=labels) == pytest.approx(expected)
    for rows in (slice(0, 25), slice(25, 40)):
        both.add_batch(predictions=probabilities[rows], references=labels[rows])
    assert both.compute() == pytest.approx(expected)
    for row in range(40):
        both.add(prediction=probabilities[row].tolist(), reference=int(labels[row]))
    assert both.compute() == pytest.approx(expected)


def test_a_module_describes_itself_and_what_it_takes(load: Load) -> None:
    module = load("mcc")
    assert module.name == "mcc"
    assert "Matthews correlation" in module.description
    assert "an integer for each sample" in module.inputs_description
    assert "an integer for each sample" not in load("ece").inputs_description


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([[0.5, 0.5], [1.0, 0.0]], [0, -1], "1 of 2 labels are not 0 or 1"),
        ([[0.5, 0.5], [1.0]], [0, 1], "rows of different lengths"),
        ([[0.5, 0.5], [1.2, -0.2]], [0, 1], r"1 of 2 rows .* first row 1 \[1.2, -0.2\]"),
        ([0, -1], [0, 1], "got a class -1; needs classes from 0 on"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    load: Load, predictions: Any, references: list[int], message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        load("accuracy").compute(predictions=predictions, references=references)


def test_modules_are_copied_to_the_cache_that_was_asked_for(load: Load, tmp_path: Path) -> None:
    load("ece")
    assert list((tmp_path / "modules").rglob("ece.py"))
    assert Path(dynamic_modules()).is_relative_to(tmp_path)
