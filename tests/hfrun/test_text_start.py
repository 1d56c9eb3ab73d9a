"""What a run over texts begins with: what is refused beforehand, frozen, or taken from words."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hfrun.data.texts import read_splits
from hfrun.text_trainer import start_head_bias, text_classifier, tokenize_splits
from hfrun.trainers import opened_trainer
from tests.hfrun.text_run_case import TextHome

WORDS = ("data.template='{text} It was'", "model.label_words=[awful, fine]")
NEAR = "near_duplicates_across_splits: 500"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> TextHome:
    return TextHome.make(tmp_path_factory.mktemp("texts of somebody"))


def with_line(home: TextHome, path: Path, line: str) -> Path:
    """The train texts with another first one."""
    lines = (home.home / "train.txt").read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([line, *lines[1:]]) + "\n", encoding="utf-8")
    return path


def refusal(home: TextHome, folder: Path, capsys: pytest.CaptureFixture[str], *given: str) -> str:
    """What a refused run says; its folder is not made."""
    assert home.train(f"run.output_dir={folder}", *given) == 2
    assert not folder.exists()
    return capsys.readouterr().err


def test_a_text_longer_than_the_model_was_made_for_is_refused_before_the_run(
    home: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = with_line(home, tmp_path / "train.txt", "0 ||| dull" + " film1" * 69)
    accept = f"data.audit.accept={{{NEAR}, overlong_texts: 1}}"
    given = (f"data.train={train}", "data.max_length=70", accept)
    said = refusal(home, tmp_path / "run", capsys, *given)
    assert "1 text of train has up to 70 tokens and the model was made for at most 64" in said
    with pytest.raises(Exception, match="made for at most 64"), opened_trainer(home.load(*given)):
        pass
    short = ("data.max_length=64", "training.max_steps=1", f"run.output_dir={tmp_path / 'run'}")
    assert home.train(*given, *short) == 0


def test_a_text_without_a_token_is_refused_before_the_run_unless_a_template_gives_it_some(
    home: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = with_line(home, tmp_path / "train.txt", "0 ||| ")
    given = (f"data.train={train}", f"data.audit.accept={{{NEAR}, empty_texts: 1}}")
    said = refusal(home, tmp_path / "run", capsys, *given)
    assert "1 text of train has no token" in said
    template = ("data.template='{text} It was'", "training.max_steps=1")
    assert home.train(f"run.output_dir={tmp_path / 'run'}", *given, *template) == 0


@pytest.mark.parametrize("rate", ["0.0", "-1.0"])
def test_a_heads_rate_without_one_to_measure_it_by_is_refused(
    home: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    given = (f"training.learning_rate={rate}", "training.head_learning_rate=0.01")
    assert "needs a learning rate above 0" in refusal(home, tmp_path / "run", capsys, *given)


def test_a_stop_rule_over_a_figure_that_no_evaluation_has_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = TextHome.make(tmp_path)
    rules = "stop_rules: [{rule: above, metric: eval_los, limit: 1}]\n"
    home.config.write_text(home.config.read_text(encoding="utf-8") + rules, encoding="utf-8")
    said = refusal(home, tmp_path / "refused", capsys)
    assert "eval_los" in said
    assert "did you mean eval_loss" in said


def test_adapters_leave_frozen_layers_as_they_are(
    home: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    folder, lora = tmp_path / "run", "model.lora={rank: 2}"
    assert home.train(f"run.output_dir={folder}", "model.freeze={layers: 1}", lora) == 0
    before = load_file(home.language_model / "model.safetensors")
    after = load_file(folder / "model/model.safetensors")
    moved = {name.split(".")[2] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"1"}
    said = refusal(home, tmp_path / "none", capsys, "model.freeze={layers: 2}", lora)
    assert "model.freeze.layers=2 leaves model.lora no layer" in said


def test_what_is_tried_before_a_training_begins_where_the_training_does(home: TextHome) -> None:
    config = home.load(*WORDS)
    data = tokenize_splits(config, read_splits(config.data))
    model = text_classifier(config, data)
    start_head_bias(model, data, seed=config.run.seed)
    assert model.head.bias.abs().max() > 0.01
    with opened_trainer(config) as trainer:
        assert torch.equal(trainer.model.head.bias, model.head.bias)
        assert torch.equal(trainer.model.head.weight, model.head.weight)


def write_marking_tokenizer(home: TextHome, folder: Path) -> None:
    """As the language model's, with a mark after every text."""
    tokenizer = AutoTokenizer.from_pretrained(home.language_model)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.eos_token_id)]
    )
    tokenizer.save_pretrained(folder)


def write_joining_tokenizer(home: TextHome, folder: Path) -> None:
    """As the language model's, with each word's space in its token."""
    known = AutoTokenizer.from_pretrained(home.language_model).get_vocab()
    pieces = {word if word[0] == "<" else f"\u2581{word}": number for word, number in known.items()}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def test_label_words_are_refused_where_no_word_is_asked_for(
    home: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mean = refusal(home, tmp_path / "run", capsys, *WORDS, "model.config.pooling=mean")
    assert "model.label_words asks what comes after a text's last token" in mean
    write_marking_tokenizer(home, tmp_path / "marking")
    ended = refusal(home, tmp_path / "run", capsys, *WORDS, f"model.tokenizer={tmp_path}/marking")
    assert "the tokenizer ends every text with '</s>'" in ended
    write_joining_tokenizer(home, tmp_path / "joining")
    joining = (*WORDS, f"model.tokenizer={tmp_path}/joining", "training.max_steps=1")
    assert home.train(f"run.output_dir={tmp_path / 'run'}", *joining) == 0
    spaced = refusal(home, tmp_path / "spaced", capsys, *joining, "data.template='{text} It was '")
    assert "the last token of data.template belongs to the words" in spaced


def test_a_trained_head_is_not_thrown_away_for_label_words(
    home: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert home.train(f"run.output_dir={folder}", *WORDS, "training.max_steps=2") == 0
    trained = load_file(folder / "model/model.safetensors")["head.weight"]
    on = f"model.pretrained={folder / 'model'}"
    said = refusal(home, tmp_path / "again", capsys, *WORDS, on)
    assert "it is a classifier, whose head is trained: leave model.label_words out" in said
    config = home.load(WORDS[0], on)
    goes_on = text_classifier(config, tokenize_splits(config, read_splits(config.data)))
    assert torch.equal(goes_on.head.weight, trained)


def test_a_bias_makes_the_mean_answer_the_shares_of_train(home: TextHome) -> None:
    config = home.load(*WORDS)
    data = tokenize_splits(config, read_splits(config.data))
    model = text_classifier(config, data)
    start_head_bias(model, data, seed=0)
    labels = data.splits.train.labels
    batch = [torch.tensor([ids]) for ids in data.tokens["train"].ids]
    with torch.inference_mode():
        said = torch.cat([model.eval()(ids).logits for ids in batch]).softmax(-1).mean(0)
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(said.numpy(), shares, atol=0.05)
    assert json.loads(json.dumps(model.config.to_dict()))["template"] == config.data.template
