"""model.type and model.config of a run: what each type takes, and what is said of the rest."""

import re
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoConfig

from hfrun.config import ModelConfig, load_config
from hfrun.errors import ModelError
from hfrun.models.registry import BOOK_MODELS
from lob_backtest.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
SMOKE = ROOT / "configs" / "smoke.yaml"
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")

KEYS = {
    "deeplob": {
        "conv_channels", "inception_channels", "lstm_hidden", "leaky_slope", "dropout", "skip",
    },
    "mlp": {"frames", "depth", "width", "norm", "dropout", "skip"},
    "bilstm": {"frames", "depth", "width", "norm", "dropout", "bidirectional", "skip"},
    "linear": {"frames", "dropout", "skip"},
}  # fmt: skip


def written(tmp_path: Path, model: dict[str, Any]) -> Path:
    raw = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({**raw, "model": model}), encoding="utf-8")
    return path


def test_the_config_offers_exactly_the_registered_types() -> None:
    hints = typing.get_type_hints(ModelConfig)
    assert set(typing.get_args(hints["type"])) == set(BOOK_MODELS) == set(KEYS)
    assert {name: kind.config.model_type for name, kind in BOOK_MODELS.items()} == {
        name: name for name in BOOK_MODELS
    }


@pytest.mark.parametrize("name", KEYS)
def test_each_type_takes_its_own_keys(name: str, tmp_path: Path) -> None:
    assert set(BOOK_MODELS[name].config_keys) == KEYS[name]
    default = AutoConfig.for_model(name)
    given = {key: getattr(default, key) for key in KEYS[name]}
    config = load_config(written(tmp_path, {"type": name, "config": given}))
    assert (config.model.type, config.model.config) == (name, given)


def test_a_key_of_another_type_is_unknown_and_the_nearest_is_named(tmp_path: Path) -> None:
    given = {"conv_channels": 4, "widht": 64, "levels": 5, "hand_features": 3}
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, {"type": "mlp", "config": given}))
    expected = [
        "model.config.conv_channels: unknown key; known: frames, depth, width, norm, dropout, skip",
        "model.config.widht: unknown key; did you mean width?",
        "model.config.levels: comes from the data and cannot be set",
        "model.config.hand_features: comes from the data and cannot be set",
    ]
    assert [text for text in expected if text not in str(caught.value)] == []
    assert "4 problems" in str(caught.value)


@pytest.mark.parametrize("wrong", ["mpl", 3, ["mlp"], None])
def test_an_unknown_type_is_refused_with_those_that_there_are(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'deeplob' or 'mlp' or 'bilstm' or 'linear'") as caught:
        load_config(written(tmp_path, {"type": wrong, "config": {"width": 3}}))
    assert "1 problem " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("mlp", {"depth": 0}, r"a multi-layer perceptron cannot have depth=0 \(a whole number of"),
        ("mlp", {"width": 2.5}, r"width=2.5 \(a whole number"),
        ("mlp", {"width": True}, r"width=True \(a whole number"),
        ("mlp", {"norm": "btach"}, r"norm='btach' \(batch or layer or none\)"),
        ("mlp", {"norm": ["batch"]}, r"norm=\['batch'\] \(batch or layer or none\)"),
        ("mlp", {"frames": 21}, r"frames=21 of a window of 20 rows \(at most 20\)"),
        ("mlp", {"dropout": -0.1}, r"dropout=-0.1 \(0 <= dropout < 1\)"),
        ("mlp", {"dropout": False}, r"dropout=False"),
        ("linear", {"frames": 0}, r"a linear model cannot have frames=0 \(a whole number"),
        ("linear", {"frames": 21}, r"frames=21 of a window of 20 rows"),
        ("bilstm", {"frames": 4}, r"a bidirectional LSTM cannot have frames=4 \(odd: "),
        ("bilstm", {"frames": 0}, r"frames=0 \(a whole number of at least 1\)"),
        ("bilstm", {"bidirectional": "yes"}, r"bidirectional='yes' \(true or false\)"),
        ("bilstm", {"norm": None}, r"norm=None \(batch or layer or none\)"),
        ("bilstm", {"window": 0, "levels": 0}, r"levels=0 \(.* window=0 \("),
    ],
)
def test_sizes_that_make_no_network_are_refused(
    name: str, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        AutoConfig.for_model(name, **{"window": 20, **wrong})


def test_everything_that_is_wrong_with_a_config_is_said_at_once() -> None:
    with pytest.raises(ModelError) as caught:
        AutoConfig.for_model("mlp", window=5, frames=9, depth=-1, norm="no", dropout=2, skip=True)
    parts = ["frames=9", "depth=-1", "norm='no'", "dropout=2", "skip=True with hand_features=0"]
    assert [part for part in parts if part not in str(caught.value)] == []


def test_the_page_on_models_names_each_with_its_number_of_parameters() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([\d,]+) \| .* \|$", PAGE, flags=re.M)
    counts = {
        name: f"{kind.model(kind.config(levels=10)).num_parameters():,}"
        for name, kind in BOOK_MODELS.items()
    }
    assert dict(rows) == counts


def test_the_page_on_models_shows_a_config_that_loads(tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    assert len(shown) == 1
    model = yaml.safe_load(shown[0])["model"]
    loaded = load_config(written(tmp_path, model)).model
    assert (loaded.type, loaded.config) == (model["type"], model["config"])
    # it shows the defaults
    default = AutoConfig.for_model(loaded.type)
    assert {key: getattr(default, key) for key in loaded.config} == loaded.config


@pytest.mark.parametrize("name", ["mlp", "bilstm"])
def test_the_page_on_models_lists_the_keys_and_defaults_of_each(name: str) -> None:
    section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    listed: dict[str, str] = {}
    for keys, values in re.findall(r"^\| (`.*?`) \| (.*?) \|", section, flags=re.M):
        listed |= dict(zip(re.findall(r"\w+", keys), re.findall(r"[\w.]+", values), strict=True))
    default = AutoConfig.for_model(name)
    known = {key: getattr(default, key) for key in KEYS[name] - {"skip"}}
    assert {key: yaml.safe_load(value) for key, value in listed.items()} == known
