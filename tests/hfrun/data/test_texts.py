"""What a config names becomes three parts with numbered labels, or an error that says why not."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.config import TextRunConfig, config_from
from hfrun.data.audit import audit_texts
from hfrun.data.text_split import normalized
from hfrun.data.texts import TextPart, TextSplits, read_splits
from hfrun.errors import DataError
from hfrun.text_config import TextDataConfig, TextSplitConfig
from lob_backtest.errors import ConfigError

SST5_NAMES = ["awful", "bad", "average", "good", "excellent"]


@pytest.fixture
def three(tmp_path: Path) -> dict[str, str]:
    """Three files of bars: the validation has a label that train lacks."""
    content = {
        "train": "pos ||| one\nneg ||| two\npos ||| three\n",
        "validation": "neg ||| four\nodd ||| five\n",
        "test": "neg ||| six\n ||| seven\n",
    }
    for part, text in content.items():
        (tmp_path / f"{part}.txt").write_text(text)
    return {part: str(tmp_path / f"{part}.txt") for part in content}


def test_three_files_are_three_parts_with_names_learnt_from_train(three: dict[str, str]) -> None:
    found = read_splits(TextDataConfig(**three))
    assert found.label_names == ("neg", "pos")
    assert {part: rows.labels.tolist() for part, rows in found.parts().items()} == {
        "train": [1, 0, 1], "validation": [0, -1], "test": [0, -1],
    }  # fmt: skip
    assert found.validation.texts == ("four", "five")
    assert found.validation.raw_labels == ("neg", "odd")
    assert found.test.raw_labels == ("neg", "")
    assert list(found.fingerprints) == [
        {
            "path": path,
            "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
            "rows": rows,
            "part": part,
        }
        for (part, path), rows in zip(three.items(), (3, 2, 2), strict=True)
    ]


def test_a_config_read_from_yaml_is_what_is_read(three: dict[str, str]) -> None:
    raw = {
        "run": {"name": "x", "output_dir": "x"},
        "data": {**three, "labels": ["pos", "neg"]},
        "model": {"pretrained": "x"},
    }
    config = config_from(raw, source="x.yaml")
    assert isinstance(config, TextRunConfig)
    found = read_splits(config.data)
    assert found.label_names == ("pos", "neg")
    assert found.train.labels.tolist() == [0, 1, 0]


def test_paths_take_environment_variables_and_records_keep_them(
    three: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTS", str(tmp_path))
    paths = {part: f"$TEXTS/{part}.txt" for part in three}
    found = read_splits(TextDataConfig(**paths))
    assert [entry["path"] for entry in found.fingerprints] == list(paths.values())
    monkeypatch.delenv("TEXTS")
    with pytest.raises(ConfigError, match=r"data\.train: \$TEXTS/train\.txt: the environment"):
        read_splits(TextDataConfig(**paths))


def test_one_file_is_split_at_random_and_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    lines = [f"words {number // 2},{'ab'[number % 4 // 2]}" for number in range(400)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    found = read_splits(TextDataConfig(source=str(path)))
    assert {part: len(rows) for part, rows in found.parts().items()} == {
        "train": 320, "validation": 40, "test": 40,
    }  # fmt: skip
    assert [np.bincount(part.labels).tolist() for part in found.parts().values()] == [
        [160, 160], [20, 20], [20, 20],
    ]  # fmt: skip
    seen = [set(map(normalized, part.texts)) for part in found.parts().values()]
    assert sum(map(len, seen)) == len(set().union(*seen)) == 200
    assert [(f["part"], f["rows"]) for f in found.fingerprints] == [
        ("train, validation, test", 400)
    ]
    other = read_splits(TextDataConfig(source=str(path), split=TextSplitConfig(seed=1)))
    assert other.test.texts != found.test.texts


def test_keys_that_the_source_does_not_take_are_refused(three: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"data\.test: data\.source is one file"):
        read_splits(TextDataConfig(source=three["train"], test=three["test"]))
    with pytest.raises(ConfigError, match=r"data\.subset: mnli is for a dataset with subsets"):
        read_splits(TextDataConfig(**three, subset="mnli"))


def test_a_path_that_is_not_there_is_not_looked_for_on_a_hub(three: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file"):
        read_splits(TextDataConfig(**{**three, "test": "none.txt"}))
    with pytest.raises(DataError, match=r"some\.csv: there is no such file or folder"):
        read_splits(TextDataConfig(source="some.csv"))
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_splits(TextDataConfig(source="a/path/of/parts"))
    with pytest.raises(DataError, match="there is no such file;"):
        read_splits(TextDataConfig(source="name/alone", format="bars"))


def test_labels_of_which_train_has_none_are_refused(three: dict[str, str]) -> None:
    with pytest.raises(DataError, match="none of its 3 labels is one of the classes good, bad"):
        read_splits(TextDataConfig(**three, labels=["good", "bad"]))


def test_an_empty_validation_is_read_for_the_audit_to_find(
    three: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "validation.txt").write_text("")
    assert len(read_splits(TextDataConfig(**three)).validation) == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": np.array([0, 2])}, "train: got labels 0 to 2; needs -1 to 1"),
        ({"labels": np.array([0, -2])}, "train: got labels -2 to 0; needs -1 to 1"),
        ({"texts": ("a",)}, "got 1 texts, 2 labels and 2 raw labels"),
    ],
)
def test_parts_whose_columns_do_not_fit_cannot_be_made(change: Any, match: str) -> None:
    right = {"texts": ("a", "b"), "labels": np.array([0, 1]), "raw_labels": ("x", "y")}
    part = TextPart(**right)
    parts = {"validation": part, "test": part, "label_names": ("x", "y")}
    with pytest.raises(DataError, match=match):
        TextSplits(train=TextPart(**{**right, **change}), **parts)


def test_sst5_is_read_whole(lob_data_dir: Path) -> None:
    names = {"train": "train", "validation": "dev", "test": "test"}
    files = {
        part: str(lob_data_dir / "data/text/sst5" / f"sst-{name}.txt")
        for part, name in names.items()
    }
    found = read_splits(TextDataConfig(**files, labels=SST5_NAMES))
    counts = {part: np.bincount(rows.labels).tolist() for part, rows in found.parts().items()}
    assert counts == {  # cut -c1 FILE | sort | uniq -c
        "train": [1092, 2218, 1624, 2322, 1288],
        "validation": [139, 289, 229, 279, 165],
        "test": [279, 633, 389, 510, 399],
    }
    assert found.train.texts[0].startswith("The Rock is destined to be the 21st Century 's new ``")
    numbered = read_splits(TextDataConfig(**files))
    assert numbered.label_names == ("0", "1", "2", "3", "4")
    assert all(
        np.array_equal(rows.labels, numbered.parts()[part].labels)
        for part, rows in found.parts().items()
    )


def test_phrasebank_is_split_with_its_classes_alike(lob_data_dir: Path) -> None:
    path = lob_data_dir / "data/text/financial_phrasebank/Sentences_50Agree.utf8.txt"
    found = read_splits(TextDataConfig(source=str(path)))
    assert found.label_names == ("negative", "neutral", "positive")
    counts = np.array([np.bincount(rows.labels) for rows in found.parts().values()])
    assert counts.sum(axis=0).tolist() == [604, 2879, 1363]  # grep -c '@negative$' FILE, ...
    assert counts.sum(axis=1).tolist() == [3877, 484, 485]  # docs/text_data.md says so
    shares = counts / counts.sum(axis=0)
    assert np.abs(shares - np.array([[0.8], [0.1], [0.1]])).max() < 0.005
    report = audit_texts(found, token_counts=None, max_length=128, accept={})
    assert report.stops == ()  # the audit finds no leak in a split of ours


def test_phrasebank_as_it_was_published_is_refused_with_the_line_to_look_at(
    lob_data_dir: Path, tmp_path: Path
) -> None:
    path = lob_data_dir / "data/text/financial_phrasebank/Sentences_50Agree.utf8.txt"
    lines = path.read_text("utf-8").split("\n")
    first = next(number for number, line in enumerate(lines, start=1) if not line.isascii())
    (tmp_path / "latin.txt").write_text("\n".join(lines), encoding="latin-1")
    with pytest.raises(DataError, match=rf"latin\.txt:{first}: got the byte 0x.*iconv -f latin1"):
        read_splits(TextDataConfig(source=str(tmp_path / "latin.txt")))
