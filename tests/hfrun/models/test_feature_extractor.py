"""What says how a model reads a book: one file, the same whoever wrote or reads it."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoFeatureExtractor
from transformers.pipelines import PIPELINE_REGISTRY, check_task

from hfrun.data.windows import BookCollator, write_rows
from hfrun.errors import ModelError
from hfrun.models import LobFeatureExtractor
from hfrun.models.preprocessing import Preprocessing, load_preprocessing
from hfrun.models.registry import TASK, register_pipeline
from lob_backtest.book import Book, book_columns
from lob_backtest.features import hand_features
from tests.hfrun.evaluation.pipeline_case import (
    LEVELS,
    WINDOW,
    frame_of,
    preprocessing_of,
    three_sessions,
)

FILE = "preprocessor_config.json"


@pytest.fixture(scope="module")
def book() -> Book:
    return three_sessions()


@pytest.fixture(scope="module")
def preprocessing(book: Book) -> Preprocessing:
    return preprocessing_of(book, inputs="order_flow", skip=True)


def test_the_file_of_a_training_and_that_of_save_pretrained_are_the_same(
    preprocessing: Preprocessing, tmp_path: Path
) -> None:
    preprocessing.save(tmp_path / "trained")
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path / "trained")
    assert type(extractor) is LobFeatureExtractor
    extractor.save_pretrained(tmp_path / "saved")
    saved = (tmp_path / "saved" / FILE).read_bytes()
    assert saved == (tmp_path / "trained" / FILE).read_bytes()
    assert load_preprocessing(tmp_path / "saved").to_dict() == preprocessing.to_dict()


def test_every_fact_is_in_the_file_and_the_source_of_the_book_is_not(
    preprocessing: Preprocessing, tmp_path: Path
) -> None:
    preprocessing.save(tmp_path)
    facts = json.loads((tmp_path / FILE).read_text("utf-8"))
    assert facts["feature_extractor_type"] == "LobFeatureExtractor"
    assert facts["columns"] == book_columns(LEVELS)
    assert (facts["window"], facts["levels"]) == (WINDOW, LEVELS)
    assert facts["normalizer"] == preprocessing.normalizer.to_dict()
    assert preprocessing.hand_scaler is not None
    assert facts["hand_scaler"] == preprocessing.hand_scaler.to_dict()
    assert facts["market"] == {"instrument": "TEST", "tick_size": 0.01, "currency": "USD",
                               "timezone": "UTC", "session_open": "09:30",
                               "session_close": "16:00"}  # fmt: skip


def test_an_extractor_can_be_copied_pickled_and_printed(preprocessing: Preprocessing) -> None:
    extractor = LobFeatureExtractor(**preprocessing.to_dict())
    for other in (copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):
        assert other.to_dict() == extractor.to_dict()
    assert '"window": 20' in repr(extractor)
    assert extractor.columns == book_columns(LEVELS)


def test_its_windows_are_the_collators(
    book: Book, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    extractor = LobFeatureExtractor(**preprocessing.to_dict())
    given = extractor(frame_of(book), decisions="all", return_tensors="np")
    decisions = extractor.decisions(book)
    collator = BookCollator(
        write_rows(book, preprocessing.normalizer, tmp_path / "rows.npy"), window=WINDOW
    )
    wanted = collator.model_input(decisions.rows, np.arange(decisions.n))["features"].numpy()
    assert np.array_equal(given["features"], wanted)
    assert preprocessing.hand_scaler is not None
    raw = hand_features(book, decisions).values.astype(np.float32)
    assert np.array_equal(given["hand_features"], preprocessing.hand_scaler.transform(raw))
    assert extractor(book)["features"].shape == (1, WINDOW, 4 * LEVELS)


def test_a_newer_file_takes_the_place_of_an_older_one(
    preprocessing: Preprocessing, tmp_path: Path
) -> None:
    older = tmp_path / "preprocessing.json"
    facts = preprocessing.to_dict()
    for key in ("market", "columns", "feature_extractor_type"):
        del facts[key]
    older.write_text(json.dumps(facts), "utf-8")
    assert load_preprocessing(tmp_path).market is None
    assert LobFeatureExtractor.from_pretrained(tmp_path).preprocessing.window == WINDOW
    preprocessing.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": book_columns(LEVELS)[::-1]}, "columns are not those of a book of 2 levels"),
        ({"columns": 3}, "columns are not those of a book of 2 levels"),
        ({"market": {"instrument": "X"}}, "missing 5 required"),
        ({"market": "NASDAQ"}, "must be a mapping"),
        ({"window": "20"}, "window='20': no numbers of their kind"),
        ({"normalizer": None}, "not a preprocessing file of this version"),
        ({"decisions": {}}, "needs exactly one of every_ms, every_events"),
    ],
)
def test_a_file_that_was_changed_is_refused(
    change: dict[str, Any], message: str, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps({**preprocessing.to_dict(), **change}), "utf-8")
    for load in (AutoFeatureExtractor.from_pretrained, load_preprocessing):
        with pytest.raises(ModelError, match="not a preprocessing file of this version") as caught:
            load(tmp_path)
        assert message in str(caught.value)


def test_files_without_facts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="preprocessor_config"):
        LobFeatureExtractor.from_pretrained(tmp_path)
    (tmp_path / FILE).write_text("[]", "utf-8")
    with pytest.raises(ModelError, match="no keys and values"):
        LobFeatureExtractor.from_pretrained(tmp_path)
    (tmp_path / FILE).write_text("{", "utf-8")
    with pytest.raises(ModelError, match="not valid JSON"):
        load_preprocessing(tmp_path)


def test_the_task_is_known_once_however_often_it_is_registered() -> None:
    before = dict(PIPELINE_REGISTRY.supported_tasks)
    register_pipeline()
    assert before == PIPELINE_REGISTRY.supported_tasks
    assert check_task(TASK)[0] == TASK
