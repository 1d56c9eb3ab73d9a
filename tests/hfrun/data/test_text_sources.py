"""Texts of ``datasets``: saved folders, folders of files, and ids on a hub."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from hfrun.data.text_sources import chosen_splits
from hfrun.data.texts import read_splits
from hfrun.errors import DataError
from hfrun.text_config import TextDataConfig


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test is found in, or left in, the cache of the one who runs it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def dataset(rows: list[tuple[str, Any]], names: list[str] | None = None) -> datasets.Dataset:
    made = datasets.Dataset.from_dict(
        {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    )
    return made.cast_column("label", datasets.ClassLabel(names=names)) if names else made


TRAIN = [(f"train {number}", number % 2) for number in range(40)]


def saved(folder: Path, **splits: datasets.Dataset) -> str:
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    return str(folder)


def test_a_saved_dataset_keeps_its_splits_and_the_names_of_its_classes(tmp_path: Path) -> None:
    names = ["neg", "pos"]
    source = saved(
        tmp_path / "d",
        train=dataset(TRAIN, names),
        dev=dataset([("one", 1), ("two", 0)], names),
        test=dataset([("three", -1)], names),
    )
    found = read_splits(TextDataConfig(source=source))
    assert found.label_names == ("neg", "pos")
    assert found.train.texts == tuple(text for text, _ in TRAIN)
    assert found.train.labels.tolist() == [label for _, label in TRAIN]
    assert (found.validation.texts, found.validation.raw_labels) == (("one", "two"), ("pos", "neg"))
    assert found.test.labels.tolist() == [-1]
    assert [(f["part"], f["split"], f["rows"]) for f in found.fingerprints] == [
        ("train", "train", 40), ("validation", "dev", 2), ("test", "test", 1),
    ]  # fmt: skip
    assert len({f["sha256"] for f in found.fingerprints}) == 3


def test_the_fingerprint_is_of_the_texts_and_not_of_how_they_are_kept(tmp_path: Path) -> None:
    one = dataset([("a", "x"), ("b", "y")])
    (tmp_path / "f").mkdir()
    one.to_json(str(tmp_path / "f" / "train.jsonl"))
    other = datasets.Dataset.from_dict({"label": ["x", "y"], "n": [1, 2], "text": ["a", "b"]})
    folders = [saved(tmp_path / "a", train=one), saved(tmp_path / "b", train=other)]
    digests = [
        read_splits(TextDataConfig(source=folder)).fingerprints[0]["sha256"]
        for folder in [*folders, str(tmp_path / "f")]
    ]
    changed = saved(tmp_path / "c", train=dataset([("ab", "x"), ("", "y")]))
    assert len(set(digests)) == 1
    assert read_splits(TextDataConfig(source=changed)).fingerprints[0]["sha256"] != digests[0]


def test_splits_that_are_missing_are_drawn_from_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = saved(tmp_path / "d", train=dataset(TRAIN), test=dataset([("last", 1)]))
    found = read_splits(TextDataConfig(source=source))
    assert (len(found.train), len(found.validation), found.test.texts) == (36, 4, ("last",))
    assert set(found.train.texts) | set(found.validation.texts) == {text for text, _ in TRAIN}
    assert [(f["part"], f["rows"]) for f in found.fingerprints] == [
        ("train, validation", 40), ("test", 1),
    ]  # fmt: skip
    assert "no split for validation: drawn from train" in capsys.readouterr().err


def test_a_dataset_without_splits_is_split(tmp_path: Path) -> None:
    dataset(TRAIN).save_to_disk(str(tmp_path / "d"))
    found = read_splits(TextDataConfig(source=str(tmp_path / "d")))
    assert {part: len(rows) for part, rows in found.parts().items()} == {
        "train": 32, "validation": 4, "test": 4,
    }  # fmt: skip


def test_saved_datasets_may_stand_for_the_files_of_the_parts(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("1 ||| last\n")
    for name in ("one", "two"):
        dataset(TRAIN[:4]).save_to_disk(str(tmp_path / name))
    places = {"train": "one", "validation": "two", "test": "test.txt"}
    paths = {part: str(tmp_path / name) for part, name in places.items()}
    found = read_splits(TextDataConfig(**paths))
    assert [len(part) for part in found.parts().values()] == [4, 4, 1]
    several = saved(tmp_path / "d", a=dataset(TRAIN), b=dataset(TRAIN))
    with pytest.raises(DataError, match=r"got the splits a, b for data\.train; give the folder"):
        read_splits(TextDataConfig(**{**paths, "train": several}))


def test_a_folder_of_files_is_read_without_losing_words_that_pandas_drops(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "train.csv").write_text('text,label\nNone,0\nnull,1\n"a, b",1\nNA,0\n')
    (folder / "validation.csv").write_text("text,label\nnan,1\n")
    (folder / "test.csv").write_text("text,label\nx,0\n")
    found = read_splits(TextDataConfig(source=str(folder)))
    assert found.train.texts == ("None", "null", "a, b", "NA")
    assert found.validation.texts == ("nan",)
    assert found.train.labels.tolist() == [0, 1, 1, 0]


def test_a_subset_of_a_folder_is_named_by_the_config(tmp_path: Path) -> None:
    configs = "".join(f"- config_name: {n}\n  data_files: {n}.jsonl\n" for n in ("a", "b"))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    for name in ("a", "b"):
        lines = [json.dumps({"text": f"{name} {text}", "label": n}) for text, n in TRAIN]
        (tmp_path / "d" / f"{name}.jsonl").write_text("\n".join(lines))
    source = str(tmp_path / "d")
    found = read_splits(TextDataConfig(source=source, subset="b"))
    assert {text[0] for text in found.train.texts} == {"b"}
    with pytest.raises(DataError, match=r"Please pick one .*'a', 'b'.* data\.subset names one"):
        read_splits(TextDataConfig(source=source))
    with pytest.raises(DataError, match=r"'zz' not found"):
        read_splits(TextDataConfig(source=source, subset="zz"))


def test_folders_that_hold_no_dataset_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match="doesn't contain any data files; needs a folder"):
        read_splits(TextDataConfig(source=str(tmp_path / "d")))
    (tmp_path / "d" / "train.jsonl").write_text('{"text": "a", "label": 1}\n{"text"\n')
    with pytest.raises(DataError, match=r"cannot be loaded as a dataset: "):
        read_splits(TextDataConfig(source=str(tmp_path / "d")))
    (tmp_path / "f.txt").write_text("1 ||| a\n")
    with pytest.raises(DataError, match=r"is a file; data\.format=dataset needs a folder"):
        read_splits(TextDataConfig(source=str(tmp_path / "f.txt"), format="dataset"))
    source = saved(tmp_path / "s", train=dataset(TRAIN))
    with pytest.raises(DataError, match=r"got data\.subset=x, but save_to_disk wrote this folder"):
        read_splits(TextDataConfig(source=source, subset="x"))
    with pytest.raises(DataError, match=r"split train: has no column 'words', but 'text', 'label'"):
        read_splits(TextDataConfig(source=source, text_column="words"))


def test_an_id_without_a_network_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"nobody/texts: .*HF_ENDPOINT.*give a file or a folder"):
        read_splits(TextDataConfig(source="nobody/texts"))


NONE = {"train": None, "validation": None, "test": None}


def test_parts_take_the_splits_that_are_named_and_then_the_usual_names() -> None:
    def chosen(*splits: str, **named: str) -> dict[str, str]:
        return chosen_splits(dict.fromkeys(splits), {**NONE, **named}, where="x")

    assert chosen("train", "test") == {"train": "train", "test": "test"}
    assert chosen("train", "dev", "extra") == {"train": "train", "validation": "dev"}
    assert chosen("train", "validation", "test", test="validation") == {
        "train": "train", "test": "validation",
    }  # fmt: skip
    assert chosen("all") == {"train": "all"}
    assert chosen("a", "b", train="b") == {"train": "b"}
    with pytest.raises(DataError, match=r"x: has the splits 'a', 'b', and none is called train"):
        chosen("a", "b")
    with pytest.raises(DataError, match=r"x: has no split 'c', but 'a', 'b'; set data\.train"):
        chosen("a", "b", train="c")
    with pytest.raises(DataError, match=r"got one split for several parts"):
        chosen("a", "b", train="a", test="a")


PUSH_AND_READ = """
import json
import datasets
from hfrun.data.texts import read_splits
from hfrun.text_config import TextDataConfig

rows = {"text": [f"train {n}" for n in range(40)], "label": [n % 2 for n in range(40)]}
names = datasets.ClassLabel(names=["neg", "pos"])
train = datasets.Dataset.from_dict(rows).cast_column("label", names)
splits = {"train": train, "validation": train.select([0, 1]), "test": train.select([2, 3])}
datasets.DatasetDict(splits).push_to_hub("alice/texts", private=True)
found = read_splits(TextDataConfig(source="alice/texts"))
parts = {part: [list(p.texts), p.labels.tolist()] for part, p in found.parts().items()}
print(json.dumps([found.label_names, parts]))
"""


def test_an_id_is_read_from_the_hub_that_the_environment_names(
    user_hub: Any, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": user_hub.endpoint,
        "HF_TOKEN": user_hub.alice,
        "HF_HOME": str(tmp_path / "hf_home"),
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", PUSH_AND_READ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names, found = json.loads(done.stdout.splitlines()[-1])
    assert names == ["neg", "pos"]
    assert found["train"] == [[text for text, _ in TRAIN], [label for _, label in TRAIN]]
    assert found["validation"] == [["train 0", "train 1"], [0, 1]]
    assert found["test"] == [["train 2", "train 3"], [0, 1]]
