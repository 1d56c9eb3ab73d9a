"""The authors' published weights give the golden logits; any other file is refused by name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from hfrun.errors import ModelError
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification
from hfrun.models.published import import_deeplob_published, published_names


@pytest.fixture
def published_file(lob_data_dir: Path) -> Path:
    file = lob_data_dir / "reference" / "deeplob_pytorch_published.safetensors"
    if not file.is_file():
        pytest.skip(f"no {file.name} in LOB_DATA_DIR/reference")
    return file


@pytest.fixture
def lookalike() -> dict[str, torch.Tensor]:
    """Tensors under the published names and of the published shapes, with random values."""
    torch.manual_seed(0)
    state = DeepLobForSequenceClassification(DeepLobConfig()).state_dict()
    return {theirs: state[ours].clone() for theirs, ours in published_names().items()}


def test_published_weights_give_the_golden_logits(published_file: Path, tmp_path: Path) -> None:
    folder = import_deeplob_published(published_file, tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert model.num_parameters() == 143_907
    assert model.config.id2label == {0: "up", 1: "stationary", 2: "down"}
    golden = load_file(published_file.with_name("deeplob_golden.safetensors"))
    inputs = sorted(name for name in golden if name.startswith("input."))
    assert inputs == ["input.linspace", "input.ones", "input.uniform_8", "input.zeros"]
    for name in inputs:
        windows = golden[name].squeeze(1)
        one_after_another = windows.reshape(1, -1, windows.shape[2])
        ends = torch.arange(1, len(windows) + 1) * windows.shape[1] - 1
        with torch.no_grad():
            logits = model(windows).logits
            shared = model(one_after_another, ends=ends).logits
        want = golden[name.replace("input.", "logits.")]
        torch.testing.assert_close(logits, want, rtol=0, atol=1e-5, msg=name)
        torch.testing.assert_close(shared, want, rtol=0, atol=1e-5, msg=name)


def test_each_of_our_tensors_has_exactly_one_published_name() -> None:
    ours = DeepLobForSequenceClassification(DeepLobConfig()).state_dict()
    assert sorted(published_names().values()) == sorted(ours)


def test_imported_tensors_are_those_of_the_file(lookalike, tmp_path: Path) -> None:
    save_file(lookalike, tmp_path / "weights.safetensors")
    folder = import_deeplob_published(tmp_path / "weights.safetensors", tmp_path / "model")
    loaded = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    for theirs, ours in published_names().items():
        assert torch.equal(loaded[ours], lookalike[theirs]), ours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "weights.safetensors"]


def test_missing_unexpected_and_misshapen_tensors_are_all_named(lookalike, tmp_path: Path) -> None:
    del lookalike["fc1.bias"]
    lookalike["extra"] = torch.zeros(1)
    lookalike["conv3.0.weight"] = torch.zeros(32, 32, 1, 5)
    save_file(lookalike, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError) as refusal:
        import_deeplob_published(tmp_path / "weights.safetensors", tmp_path / "model")
    for part in (
        "1 missing: fc1.bias",
        "1 unexpected: extra",
        "1 of another shape: conv3.0.weight (32, 32, 1, 5) not (32, 32, 1, 10)",
    ):
        assert part in str(refusal.value)
    assert not (tmp_path / "model").exists()


def test_weights_that_are_not_finite_are_refused(lookalike, tmp_path: Path) -> None:
    lookalike["fc1.bias"][0] = float("nan")
    save_file(lookalike, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"1 not finite: fc1\.bias"):
        import_deeplob_published(tmp_path / "weights.safetensors", tmp_path / "model")


def test_a_missing_file_and_a_file_of_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file .*nothing\.safetensors"):
        import_deeplob_published(tmp_path / "nothing.safetensors", tmp_path / "model")
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(ModelError, match="not a safetensors file"):
        import_deeplob_published(tmp_path / "text", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_folder_that_holds_something_else_is_left_alone(lookalike, tmp_path: Path) -> None:
    save_file(lookalike, tmp_path / "weights.safetensors")
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists and is no model folder"):
        import_deeplob_published(tmp_path / "weights.safetensors", tmp_path / "diary")
    assert (tmp_path / "diary" / "notes.txt").read_text() == "mine"
