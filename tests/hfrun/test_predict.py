"""`hfrun predict`: the run's own predictions again, and one message for what it cannot predict."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from hfrun.cli import main as hfrun
from hfrun.evaluation.predict import book_inputs, predict_book
from hfrun.models.preprocessing import FILE_NAME
from lob_backtest.book import Book, BookMeta, read_book, write_book
from lob_backtest.predictions import read_predictions
from lob_backtest.synthetic import synthetic_book
from tests.hfrun.conftest import TinyRun


def first_rows(book: Book, n: int) -> Book:
    given = {f.name: getattr(book, f.name) for f in fields(Book)}
    cut = {name: v if isinstance(v, BookMeta) else v[:n] for name, v in given.items()}
    return Book(**cut)


def refused(capsys: pytest.CaptureFixture[str], run: Path, book: Path, output: Path) -> str:
    """The one message of a prediction that is refused and leaves no file."""
    code = hfrun(["predict", str(run), "--book", str(book), "-o", str(output)])
    error = capsys.readouterr().err
    assert (code, error.count("error: ")) == (2, 1), error
    assert "Traceback" not in error
    assert not output.exists()
    return error


def test_the_training_book_gives_the_runs_own_test_predictions_again(
    finished_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "again.parquet"
    book = str(finished_run.book)
    assert hfrun(["predict", str(finished_run.folder), "--book", book, "-o", str(output)]) == 0
    again = read_predictions(output)
    known = read_predictions(finished_run.folder / "folds/002/predictions.parquet")
    assert again.decided_ns.min() > again.train_end_ns[0]
    here = np.isin(again.decided_ns, known.decided_ns)
    assert again.decided_ns[here].tolist() == known.decided_ns.tolist()
    np.testing.assert_allclose(again.probability[here], known.probability, rtol=0, atol=1e-6)
    assert again.label[here].tolist() == known.label.tolist()
    captured = capsys.readouterr()
    assert captured.out == f"{again.n} decisions in {output}\n"
    assert "decisions from before the end of the training" in captured.err


def test_a_book_of_other_levels_is_refused(
    finished_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.parquet"
    write_book(synthetic_book(days=1, rows_per_day=1200, levels=3, signal=1.0, seed=0), book)
    error = refused(capsys, finished_run.folder, book, tmp_path / "out.parquet")
    assert "the book has 3 levels and the model was trained on 2" in error


def test_a_book_from_before_the_end_of_the_training_is_refused(
    finished_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.parquet"
    write_book(first_rows(read_book(finished_run.book), 200), book)
    error = refused(capsys, finished_run.folder, book, tmp_path / "out.parquet")
    assert "all 46 decisions lie before the end of the training" in error
    assert "give a book of a later time" in error


def test_a_model_that_does_not_say_how_it_reads_a_book_is_refused(
    own_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own_run.folder / f"model/{FILE_NAME}"
    without_label = json.loads(file.read_text("utf-8"))
    del without_label["label"]
    file.write_text(json.dumps(without_label), encoding="utf-8")
    error = refused(capsys, own_run.folder, own_run.book, tmp_path / "out.parquet")
    assert f"{FILE_NAME}: not a preprocessing file of this version" in error
    file.unlink()
    error = refused(capsys, own_run.folder, own_run.book, tmp_path / "out.parquet")
    assert f"{FILE_NAME}: no such file" in error


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.safetensors", None, "no model that can be loaded"),
        ("model.safetensors", b"cut", "no model that can be loaded"),
        ("config.json", {"model_type": "mlp"}, "no model that can be loaded"),
        ("config.json", {"model_type": "nothing"}, "no model that can be loaded"),
        ("config.json", {"lstm_hidden": 5}, "no model that can be loaded"),
        ("config.json", {"skip": True, "hand_features": 26}, "lack 1, such as skip.weight"),
        ("config.json", {"window": 30}, "config.json says window=30 and preprocessor_"),
        (FILE_NAME, {"window": "x"}, "window='x': no numbers of their kind"),
        (FILE_NAME, {"window": 19}, "says window=20 and preprocessor_config.json 19"),
        (FILE_NAME, {"levels": 3}, "levels=3 and a normalizer of 2 levels"),
        (FILE_NAME, {"train_end_ns": None}, "train_end_ns=None"),
        (FILE_NAME, {"threshold_ticks": "x"}, "threshold_ticks='x'"),
        (FILE_NAME, {"normalizer": []}, "not a preprocessing file of this version"),
        (FILE_NAME, {"hand_scaler": {"names": []}}, "names, mean and scale"),
        (FILE_NAME, b"[]", "not a preprocessing file of this version"),
    ],
)
def test_a_damaged_or_mixed_model_folder_is_refused(
    own_run: TinyRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: bytes | dict[str, object] | None,
    message: str,
) -> None:
    file = own_run.folder / "model" / name
    if damage is None:
        file.unlink()
    elif isinstance(damage, bytes):
        file.write_bytes(damage)
    else:
        changed = {**json.loads(file.read_text("utf-8")), **damage}
        file.write_text(json.dumps(changed), encoding="utf-8")
    error = refused(capsys, own_run.folder, own_run.book, tmp_path / "out.parquet")
    assert message in error
    assert str(own_run.folder / "model") in error


def test_a_table_may_be_written_to_a_new_folder_but_not_in_place_of_one(
    finished_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["predict", str(finished_run.folder), "--book", str(finished_run.book), "-o"]
    assert hfrun([*typed, str(tmp_path / "new/folder/out.parquet")]) == 0
    assert [path.name for path in (tmp_path / "new/folder").iterdir()] == ["out.parquet"]
    assert hfrun([*typed, str(tmp_path / "new")]) == 2
    assert "is a folder; name the file to write" in capsys.readouterr().err


def test_a_folder_that_is_no_run_and_a_book_that_is_not_there_are_refused(
    finished_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.parquet"
    error = refused(capsys, tmp_path, finished_run.book, output)
    assert "a model folder of a finished run is needed" in error
    error = refused(capsys, finished_run.folder, tmp_path / "nowhere.parquet", output)
    assert "nowhere.parquet: no such file" in error


def test_a_refused_prediction_keeps_the_table_that_was_there(
    finished_run: TinyRun, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    shutil.copyfile(finished_run.folder / "predictions.parquet", output)
    before = output.read_bytes()
    book = str(tmp_path / "nowhere.parquet")
    assert hfrun(["predict", str(finished_run.folder), "--book", book, "-o", str(output)]) == 2
    assert output.read_bytes() == before


def test_the_inputs_of_the_last_decisions_give_their_predictions(
    unstarted_run: TinyRun, tmp_path: Path
) -> None:
    assert unstarted_run.again("model.config.skip=true", command="train") == 0
    folder, output = unstarted_run.folder / "model", tmp_path / "out.parquet"
    assert predict_book(unstarted_run.folder, unstarted_run.book, output) > 5
    given = book_inputs(folder, unstarted_run.book, n=5)
    assert given["hand_features"].shape[0] == given["features"].shape[0] == 5
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        chances = torch.softmax(model(**given).logits.double(), dim=1)
    written = read_predictions(output).probability[-5:]
    np.testing.assert_allclose(chances.numpy(), written, rtol=0, atol=1e-5)
