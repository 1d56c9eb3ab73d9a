"""The DeepLOB authors' published weights, read into a folder that the Auto classes load."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hfrun.errors import ModelError
from hfrun.models.configuration_deeplob import DeepLobConfig
from hfrun.models.deeplob import DeepLobForSequenceClassification
from hfrun.models.model_folder import whole_model_folder

# The authors number the classes the other way round: FI-2010 files say 1 up, 2 stationary, 3 down.
PUBLISHED_LABELS = {0: "up", 1: "stationary", 2: "down"}

_BLOCKS = {"conv1": "price_size", "conv2": "sides", "conv3": "levels"}
_BRANCHES = {"inp1": "inception.short", "inp2": "inception.long"}
_CONV = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_LSTM = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def published_names() -> dict[str, str]:
    """Our name of each published tensor, by the name in the authors' file.

    Their Sequentials are flat, convolution, activation, norm, ...: unit u starts at 3 u.
    """
    names: dict[str, str] = {}
    flat = [(theirs, ours, 3) for theirs, ours in _BLOCKS.items()]
    flat += [(theirs, ours, 2) for theirs, ours in _BRANCHES.items()]
    for theirs, ours, units in flat:
        for unit in range(units):
            conv, norm = f"{theirs}.{3 * unit}", f"{theirs}.{3 * unit + 2}"
            names |= _unit_names(conv, norm, f"{ours}.{unit}")
    # the third branch begins with the maximum, which has no weights
    names |= _unit_names("inp3.1", "inp3.3", "inception.pooled")
    names |= {f"lstm.{tensor}": f"lstm.{tensor}" for tensor in _LSTM}
    return names | {f"fc1.{tensor}": f"head.{tensor}" for tensor in _CONV}


def _unit_names(conv: str, norm: str, unit: str) -> dict[str, str]:
    """Names of one unit's convolution and batch norm; ours are its items 0 and 2."""
    convolution = {f"{conv}.{tensor}": f"{unit}.0.{tensor}" for tensor in _CONV}
    return convolution | {f"{norm}.{tensor}": f"{unit}.2.{tensor}" for tensor in _NORM}


def import_deeplob_published(file: Path | str, out: Path | str) -> Path:
    """Write the published weights as a model folder and return it.

    Its logits mean up, stationary, down, in this order, as ``id2label`` of its config says.

    Args:
        file: safetensors file under the authors' own tensor names, for 10 levels.
        out: folder to write; one that exists is replaced only when it holds a model.

    Raises:
        ModelError: the file is missing, is no safetensors file, or holds other tensors (each
            missing, unexpected and misshapen one is named); ``out`` is something else.
    """
    model = DeepLobForSequenceClassification(DeepLobConfig(id2label=dict(PUBLISHED_LABELS)))
    model.load_state_dict(_renamed(_read(Path(file)), model.state_dict()))
    with whole_model_folder(Path(out)) as partial:
        model.save_pretrained(partial)
    return Path(out)


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise ModelError(f"no file {file}; name the safetensors file with the published weights")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} is not a safetensors file ({error}); convert it first") from error


def _renamed(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names, once all are there and of the right shape."""
    names = published_names()
    faults = {
        "missing": sorted(names.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - names.keys()),
        "of another shape": [
            f"{theirs} {tuple(tensors[theirs].shape)} not {tuple(wanted[ours].shape)}"
            for theirs, ours in names.items()
            if theirs in tensors and tensors[theirs].shape != wanted[ours].shape
        ],
        "not finite": [name for name, held in tensors.items() if not torch.isfinite(held).all()],
    }
    found = [f"{len(keys)} {fault}: {', '.join(keys)}" for fault, keys in faults.items() if keys]
    if found:
        raise ModelError(
            f"these are not the published DeepLOB weights ({len(names)} tensors, 10 levels); "
            + "; ".join(found)
        )
    return {ours: tensors[theirs] for theirs, ours in names.items()}
