"""Predicting a file of texts with a finished run: the numbers that were judged."""

import json
from pathlib import Path

import numpy as np
import pytest

from hfrun.cli import main as hfrun
from hfrun.evaluation.text_predictions import read_text_predictions
from tests.hfrun.text_run_case import TextHome


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TextHome:
    made = TextHome.make(tmp_path_factory.mktemp("texts"))
    assert made.train("training.max_steps=4", "data.template='It was {text} and'") == 0
    return made


def test_a_file_is_predicted_as_the_run_predicted_its_test_part(
    finished: TextHome, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    test = str(finished.home / "test.txt")
    assert hfrun(["predict", str(finished.folder), "--texts", test, "-o", str(out)]) == 0
    got, want = (
        read_text_predictions(path) for path in (out, finished.folder / "predictions.parquet")
    )
    assert got.texts == want.texts
    assert got.label_names == want.label_names == ("bad", "good")
    np.testing.assert_array_equal(got.labels, want.labels)
    np.testing.assert_allclose(got.probabilities, want.probabilities, rtol=0, atol=1e-6)


def test_lines_without_labels_are_predicted_and_their_labels_unknown(
    finished: TextHome, tmp_path: Path
) -> None:
    plain, out = tmp_path / "plain.txt", tmp_path / "out.parquet"
    whole = read_text_predictions(finished.folder / "predictions.parquet")
    plain.write_text("\n\n".join(whole.texts[:3]) + "\n", encoding="utf-8")
    arguments = ["--texts", str(plain), "--plain", "-o", str(out)]
    assert hfrun(["predict", str(finished.folder), *arguments]) == 0
    got = read_text_predictions(out)
    assert got.labels.tolist() == [-1, -1, -1]
    np.testing.assert_allclose(got.probabilities, whole.probabilities[:3], rtol=0, atol=1e-6)


def test_a_csv_with_json_labels_of_names_is_read_as_any_part(
    finished: TextHome, tmp_path: Path
) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.parquet"
    texts = ["the film1 was dull", "the film2 was fine", "the film3 was odd"]
    lines = zip(texts, ["bad", "good", "odd"], strict=True)
    rows.write_text("".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in lines))
    assert hfrun(["predict", str(finished.folder), "--texts", str(rows), "-o", str(out)]) == 0
    assert read_text_predictions(out).labels.tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--texts", "nowhere.txt"], "nowhere.txt"),
        (["--book", "b.parquet"], "is a run over texts; give --texts"),
        ([], "needs --book or --texts"),
        (["--texts", "a.txt", "--book", "b.parquet"], "needs --book or --texts, not both"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(
    finished: TextHome,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    given = ["predict", str(finished.folder), *arguments, "-o", str(tmp_path / "out.parquet")]
    assert hfrun(given) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
