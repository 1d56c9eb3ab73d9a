"""What a trained model costs to keep and to run: its weights, their file, the time of an answer."""

import json
import struct
import time
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch

from hfrun.study.trials import TrialResult

_REPETITIONS, _WARM_UP = 30, 5
_TOKENS = 32  # of the text that is answered: about a sentence


def costs_of(result: TrialResult, names: Sequence[str]) -> dict[str, float | None]:
    """The costs of these names of a finished trial (``hfrun.study_config.COSTS``).

    ``latency_ms`` is the median time of one answer on this machine, so it takes a moment; the
    others are read.
    """
    measures = {
        "parameters": lambda: float(parameters_of(Path(result.folder) / "model")),
        "model_megabytes": lambda: _weight_bytes(Path(result.folder) / "model") / 1e6,
        "latency_ms": lambda: latency_ms(Path(result.folder) / "model"),
        "peak_memory_megabytes": lambda: result.peak_memory_megabytes,
        "seconds": lambda: result.seconds,
    }
    return {name: measures[name]() for name in names}


def parameters_of(model: Path) -> int:
    """How many weights a saved model has, by the headers of its files alone.

    Buffers, such as the running statistics of a batch norm, count too.
    """
    return sum(
        prod(entry["shape"])
        for path in model.glob("*.safetensors")
        for name, entry in _header(path).items()
        if name != "__metadata__"
    )


def latency_ms(model: Path) -> float:
    """Median time of an answer to one input, in milliseconds, on the machine's own device."""
    from transformers import AutoModelForSequenceClassification

    import hfrun.models  # noqa: F401 - registers ours with the Auto classes

    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    loaded = AutoModelForSequenceClassification.from_pretrained(model).to(device).eval()
    inputs = {name: value.to(device) for name, value in _one_input(loaded).items()}
    seconds = []
    with torch.inference_mode():
        for _ in range(_WARM_UP + _REPETITIONS):
            started = time.perf_counter()
            loaded(**inputs).logits.cpu()  # waits for the device
            seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds[_WARM_UP:])


def _one_input(model: Any) -> Mapping[str, torch.Tensor]:
    config = model.config
    if hasattr(config, "vocab_size"):
        tokens = torch.ones(1, _TOKENS, dtype=torch.long)
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    inputs = {"features": torch.zeros(1, config.window, 4 * config.levels)}
    if config.hand_features:
        inputs["hand_features"] = torch.zeros(1, config.hand_features)
    return inputs


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
    return header


def _weight_bytes(model: Path) -> int:
    return sum(path.stat().st_size for path in model.glob("*.safetensors"))
