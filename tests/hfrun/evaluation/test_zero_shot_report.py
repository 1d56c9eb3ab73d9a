"""Zero-shot predictions, figures and files, from Python and from the command line."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification

from hfrun.commands import zero_shot as command
from hfrun.config import TextRunConfig, config_from
from hfrun.data.text_batches import TextCollator, tokenize
from hfrun.data.texts import TextPart
from hfrun.errors import ModelError
from hfrun.evaluation.metrics import softmax
from hfrun.evaluation.text_figures import KEYS
from hfrun.evaluation.text_predictions import read_text_predictions
from hfrun.evaluation.zero_shot import SCORINGS
from hfrun.evaluation.zero_shot_model import DTYPES, load_language_model
from hfrun.evaluation.zero_shot_report import (
    DEFAULT_SCORING,
    FILES,
    ZeroShot,
    ask,
    words_of_labels,
    write_zero_shot,
    zero_shot_report,
    zero_shot_text,
)
from hfrun.models.llama_weights import build_classifier
from hfrun.text_config import TextModelConfig
from lob_backtest.command_line import run_command
from lob_backtest.metrics import classification_metrics
from tests.hfrun.evaluation.zero_shot_case import TEMPLATE, TEXTS, tiny_model, tiny_tokenizer

NAMES = ("bad", "good")
MODEL, TOKENIZER = tiny_model(), tiny_tokenizer(marks="b")
LABELS = np.array([1, 0, -1, 1, 0, 0, 1])
OTHERS = ("Long and loud .", "No joy for all of us .")


def part_of(rows: list[int]) -> TextPart:
    return TextPart(
        texts=tuple(TEXTS[i] for i in rows),
        labels=LABELS[rows],
        raw_labels=tuple(str(LABELS[i]) for i in rows),
    )


def asked(rows: list[int], *, others: tuple[str, ...] = OTHERS, **changes: Any) -> ZeroShot:
    options = {"label_names": NAMES, "label_words": None, "template": TEMPLATE, "max_length": 64}
    return ask(MODEL, TOKENIZER, part_of(rows), prior_texts=others, **{**options, **changes})


ALL = list(range(len(TEXTS)))


def test_every_scoring_says_the_same_of_a_text_whatever_texts_stand_beside_it() -> None:
    whole = asked(ALL)
    assert list(whole.predictions) == list(SCORINGS)
    for row in ALL:
        alone = asked([row])
        for scoring in SCORINGS:
            np.testing.assert_allclose(
                alone.predictions[scoring].probabilities[0],
                whole.predictions[scoring].probabilities[row],
                atol=1e-5,
            )


def test_only_train_prior_depends_on_the_prior_texts() -> None:
    one, other = asked(ALL), asked(ALL, others=TEXTS)
    for scoring in SCORINGS:
        difference = (
            one.predictions[scoring].probabilities - other.predictions[scoring].probabilities
        )
        assert (np.abs(difference).max() > 1e-3) == (scoring == "train_prior")
    assert "train_prior" not in asked(ALL, others=()).predictions


def test_each_prior_is_what_the_model_says_of_those_texts_on_average() -> None:
    found = asked(ALL)
    for scoring, texts in (("content_free", ("N/A", "[MASK]", "")), ("train_prior", OTHERS)):
        part = TextPart(texts=texts, labels=np.zeros(len(texts), dtype=np.int64), raw_labels=texts)
        options = {"label_words": None, "template": TEMPLATE, "max_length": 64}
        said = ask(MODEL, TOKENIZER, part, label_names=NAMES, **options).predictions["sum"]
        expected = said.probabilities.mean(axis=0)
        np.testing.assert_allclose(found.priors[scoring], expected, atol=1e-6)
        shares = found.predictions["sum"].probabilities / expected
        corrected = shares / shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.predictions[scoring].probabilities, corrected, atol=1e-5)


def test_the_labels_change_figures_and_no_prediction() -> None:
    flipped = part_of(ALL)
    flipped = TextPart(texts=flipped.texts, labels=1 - np.abs(LABELS), raw_labels=("",) * len(ALL))
    options = {"label_names": NAMES, "label_words": None, "template": TEMPLATE, "max_length": 64}
    other = ask(MODEL, TOKENIZER, flipped, prior_texts=OTHERS, **options)
    for scoring, table in asked(ALL).predictions.items():
        assert np.array_equal(table.probabilities, other.predictions[scoring].probabilities)


def test_words_in_another_order_give_the_probabilities_in_that_order() -> None:
    swapped = asked(ALL, label_words=["good", "bad"])
    for scoring, table in asked(ALL).predictions.items():
        np.testing.assert_allclose(
            swapped.predictions[scoring].probabilities[:, ::-1], table.probabilities, atol=1e-12
        )


def test_figures_are_those_of_the_labelled_texts_and_lie_in_their_intervals() -> None:
    found = asked(ALL)
    report = zero_shot_report(found, part="test", seed=3)
    assert (report["n"], report["labelled"]) == (7, 6)
    known = LABELS >= 0
    for scoring, table in found.predictions.items():
        expected = classification_metrics(LABELS[known], table.probabilities[known])
        figures = report["scorings"][scoring]
        assert set(figures) == set(KEYS)
        for key in set(KEYS) & set(expected):
            assert figures[key]["value"] == pytest.approx(expected[key], abs=1e-12)
        low, value, high = (figures["accuracy"][key] for key in ("low", "value", "high"))
        assert 0 < low < value < high < 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_texts_without_known_labels_are_asked_about_and_not_scored() -> None:
    found = asked([2])
    report = zero_shot_report(found, part="test", seed=0)
    assert (report["n"], report["labelled"], report["scorings"]) == (1, 0, {})
    assert "no label is known" in zero_shot_text(report)


def test_the_table_names_what_was_asked_and_each_scoring() -> None:
    text = zero_shot_text(zero_shot_report(asked(ALL), part="validation", seed=0))
    assert text.startswith("Zero-shot, validation: 7 texts, 6 labelled\n")
    assert "'Review: {text} It was' + ' bad', ' good'" in text
    lines = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert lines[-7:] == ["scoring", *SCORINGS, "most"]


def test_a_template_that_is_the_text_alone_is_asked_without_the_empty_text() -> None:
    found = asked(ALL, template="{text}")
    assert found.priors["content_free"].sum() == pytest.approx(1)


def test_label_names_stand_for_words_unless_they_are_numbers() -> None:
    assert words_of_labels(["bad", "good"], None) == ["bad", "good"]
    assert words_of_labels(["0", "1"], ["bad", "good"]) == ["bad", "good"]
    with pytest.raises(ModelError, match="labels are called -1, 0, 1, which says nothing"):
        words_of_labels(["-1", "0", "1"], None)
    with pytest.raises(ModelError, match=r"has 1 words; needs 2, one for each of the labels a, b"):
        words_of_labels(["a", "b"], ["good"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model and a config over its texts."""
    home = tmp_path_factory.mktemp("home of somebody")
    MODEL.save_pretrained(home / "model")
    TOKENIZER.save_pretrained(home / "model")
    rows = {"train": [0, 1, 3, 4], "dev": [5, 6], "test": ALL}
    for name, chosen in rows.items():
        lines = [f"{abs(LABELS[i])} ||| {TEXTS[i]}\n" for i in chosen]
        (home / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    config = {
        "run": {"name": "tiny", "output_dir": str(home / "run")},
        "data": {
            "train": str(home / "train.txt"),
            "validation": str(home / "dev.txt"),
            "test": str(home / "test.txt"),
            "labels": list(NAMES),
            "template": TEMPLATE,
        },
        "model": {"pretrained": str(home / "model")},
        "training": {"num_train_epochs": 1},
    }
    (home / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return home


def run(home: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="hfrun")
    command.add_parser(parser.add_subparsers(required=True))
    return run_command(parser, ["zero-shot", str(home / "config.yaml"), *words])


def test_the_command_gives_what_python_gives(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, "--json", "--prior-texts", "4", "-o", str(tmp_path / "out")) == 0
    printed = json.loads(capsys.readouterr().out)
    labels = np.abs(LABELS)
    part = TextPart(texts=TEXTS, labels=labels, raw_labels=tuple(map(str, labels)))
    options = {"label_names": NAMES, "label_words": None, "template": TEMPLATE, "max_length": 128}
    expected = ask(MODEL, TOKENIZER, part, prior_texts=[TEXTS[i] for i in (0, 1, 3, 4)], **options)
    report = zero_shot_report(expected, part="test", seed=0)
    assert printed == {"model": str(home / "model"), "dtype": "float32", **report}
    written = read_text_predictions(tmp_path / "out" / "predictions.parquet")
    table = expected.predictions[DEFAULT_SCORING]
    assert written.texts == TEXTS
    assert written.label_names == NAMES
    assert np.array_equal(written.labels, labels)
    assert np.array_equal(written.probabilities, table.probabilities)
    kept = json.loads((tmp_path / "out" / "zero_shot_test.json").read_text("utf-8"))
    assert kept == {**printed, "written": DEFAULT_SCORING}


def test_each_part_has_files_of_its_own(home: Path, tmp_path: Path) -> None:
    for part in FILES:
        assert run(home, "--part", part, "--scoring", "sum", "-o", str(tmp_path)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "predictions.parquet",
        "train_predictions.parquet",
        "validation_predictions.parquet",
        "zero_shot_test.json",
        "zero_shot_train.json",
        "zero_shot_validation.json",
    ]


def test_some_texts_are_drawn_with_the_seed_and_no_prior_text_is_asked_about(
    home: Path, tmp_path: Path
) -> None:
    def drawn(folder: str, seed: int) -> tuple[str, ...]:
        words = ("--part", "train", "--texts", "2", f"run.seed={seed}", "--prior-texts", "1")
        assert run(home, *words, "-o", str(tmp_path / folder)) == 0
        return read_text_predictions(tmp_path / folder / "train_predictions.parquet").texts

    first = drawn("a", 0)
    assert len(first) == 2
    assert drawn("b", 0) == first
    assert {drawn(f"c{seed}", seed) for seed in range(1, 5)} != {first}
    assert run(home, "--part", "train", "-o", str(tmp_path / "all")) == 0
    report = json.loads((tmp_path / "all" / "zero_shot_train.json").read_text("utf-8"))
    assert "train_prior" not in report["scorings"]  # every train text is asked about


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.labels=['0', '1']"], "which says nothing to a language model"),
        (["model.label_words=[good]"], "needs 2, one for each of the labels bad, good"),
        (["model.label_words=[good, good]"], "have the same tokens"),
        (
            ["model.pretrained=HOME", "model.tokenizer=HOME/model"],
            "no causal language model that can be loaded",
        ),
        (["--scoring", "train_prior", "--prior-texts", "0"], "needs --prior-texts of at least 1"),
        (["data.max_length=3"], "data.template and the tokenizer"),
    ],
)
def test_what_cannot_be_asked_ends_in_one_message(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(home, *(word.replace("HOME", str(home)) for word in words)) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_an_output_that_is_a_file_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, "-o", str(home / "config.yaml")) == 2
    assert "is a file; -o needs a folder" in capsys.readouterr().err


def test_a_config_over_a_book_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = {"run": {"name": "b", "output_dir": "b"}, "data": {"book": "b.parquet"}}
    book["data"] |= {"label": {"kind": "mid_move", "horizon_events": 10}}
    book["data"] |= {"decisions": {"every_events": 4}}
    book["training"] = {"num_train_epochs": 1}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(book), encoding="utf-8")
    assert run(tmp_path) == 2
    assert "zero-shot reads texts" in capsys.readouterr().err


def test_the_choices_of_the_command_are_those_of_the_modules() -> None:
    assert tuple(command._SCORINGS) == SCORINGS
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    for dtype in DTYPES:
        assert parser.parse_args(["zero-shot", "c.yaml", "--dtype", dtype]).dtype == dtype
    for part in FILES:
        assert parser.parse_args(["zero-shot", "c.yaml", "--part", part]).part == part
    assert parser.parse_args(["zero-shot", "c.yaml"]).scoring == DEFAULT_SCORING


def test_a_classifier_made_of_a_language_model_is_refused(home: Path, tmp_path: Path) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(home / "model", num_labels=2)
    classifier.save_pretrained(tmp_path / "classifier")
    with pytest.raises(ModelError, match=r"2 of its weights are missing or belong to something"):
        load_language_model(TextModelConfig(pretrained=str(tmp_path / "classifier")))


def test_weights_are_needed() -> None:
    with pytest.raises(ModelError, match=r"model\.pretrained: missing; zero-shot asks a language"):
        load_language_model(TextModelConfig(tokenizer="somewhere"))


def test_bfloat16_says_nearly_the_same(home: Path) -> None:
    model = load_language_model(TextModelConfig(pretrained=str(home / "model")), dtype="bfloat16")
    options = {"label_names": NAMES, "label_words": None, "template": TEMPLATE, "max_length": 64}
    halved = ask(model, TOKENIZER, part_of(ALL), **options).predictions["sum"].probabilities
    exact = asked(ALL).predictions["sum"].probabilities
    assert 0 < np.abs(halved - exact).max() < 0.05


def test_a_scoring_that_was_not_asked_for_is_not_written(tmp_path: Path) -> None:
    found = asked(ALL, others=())
    report = zero_shot_report(found, part="test", seed=0)
    with pytest.raises(ModelError, match="'train_prior' is not there; choose one of sum"):
        write_zero_shot(found, report, tmp_path, scoring="train_prior")
    assert list(tmp_path.iterdir()) == []


def test_the_config_of_a_run_is_all_that_it_needs(home: Path) -> None:
    raw = yaml.safe_load((home / "config.yaml").read_text("utf-8"))
    config = config_from(raw, source="config.yaml")
    assert isinstance(config, TextRunConfig)
    assert config.model.label_words is None


def test_a_classifier_that_starts_from_the_words_gives_the_zero_shot_answer(home: Path) -> None:
    section = TextModelConfig(pretrained=str(home / "model"), label_words=[" bad", " good"])
    classifier = build_classifier(section, TOKENIZER, label_names=NAMES, template=TEMPLATE).eval()
    read = tokenize(TEXTS, TOKENIZER, template=TEMPLATE, max_length=64)
    batch = TextCollator()([{"input_ids": ids} for ids in read.ids])
    with torch.inference_mode():
        given = softmax(classifier(**batch).logits)
    expected = asked(ALL).predictions["sum"].probabilities
    np.testing.assert_allclose(given, expected, atol=1e-5)
