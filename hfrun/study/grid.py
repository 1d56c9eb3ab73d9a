"""A grid of values, and the config of each trial: the run's own with these values and this seed.

    grid {dropout: [0.3, 0.6], weight_decay: [0, 0.01]}  ─►  4 cells  ─►  times the seeds: trials

``dropout`` and ``weight_decay`` are set through their callbacks, a number for the whole run or a
schedule within it; any other key is ``section.key`` of the config.
"""

import copy
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.config import config_from
from hfrun.study.parameter import as_meant
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import shown

_CALLBACKS = {
    "dropout": ("callbacks", "dropout_schedule"),
    "weight_decay": ("callbacks", "weight_decay_schedule"),
}
# Last words of keys that say nothing alone.
_BARE = ("name", "type", "kind")
# What a study sets for every trial by itself.
_OURS = ("run", "study", "hub")


def cells_of(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the grid's values, the last key changing fastest.

    Raises:
        ConfigError: a value that a key has twice.
    """
    grid = {key: [as_meant(value) for value in values] for key, values in grid.items()}
    for key, values in grid.items():
        told = [_canonical(value) for value in values]
        twice = [value for value, text in zip(values, told, strict=True) if told.count(text) > 1]
        if twice:
            raise ConfigError(f"study.grid.{key}: {shown(twice[0])} is there twice; leave one")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def trial_config(
    raw: Mapping[str, Any], values: Mapping[str, Any], *, seed: int, name: str, folder: str
) -> dict[str, Any]:
    """The config of one trial, from the study's own with a trial's values put in.

    It has no study section, pushes nothing to a hub, and differs from that of another trial in
    its values, its seed, its name and its folder alone.

    Raises:
        ConfigError: a key that cannot be swept, or a value that is no number or schedule.
    """
    config = copy.deepcopy(dict(raw))
    config.pop("study", None)
    if isinstance(config.get("hub"), dict):
        config["hub"]["push"] = False
    for key, value in values.items():
        _put(config, _path_of(key), _value_of(key, value), key)
    ours = {"name": name, "output_dir": folder, "seed": seed, "parent": None, "diary": False}
    config["run"] = {**(config.get("run") or {}), **ours}
    return config


def check_cells(raw: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], source: str) -> None:
    """Refuse a grid that holds a value no run would accept, before the first of them begins."""
    for values in cells:
        told = f"{source}, with {cell_label(values)}"
        config_from(trial_config(raw, values, seed=0, name="trial", folder="trial"), source=told)


def cell_label(values: Mapping[str, Any]) -> str:
    """A cell in words.

    >>> cell_label({"dropout": 0.3, "training.schedule": {"name": "linear"}})
    'dropout 0.3, schedule linear'
    """
    return ", ".join(f"{key_label(key)} {value_label(value)}" for key, value in values.items())


def key_label(key: str) -> str:
    """The last word of a key, and the one before it where the last alone says nothing.

    >>> key_label("training.learning_rate"), key_label("training.schedule.name")
    ('learning_rate', 'schedule name')
    """
    words = key.split(".")
    return " ".join(words[-2:]) if words[-1] in _BARE else words[-1]


def value_label(value: Any) -> str:
    """A value as a table shows it; a schedule of values by its points.

    >>> value_label({"points": {0: 0.8, 3: 0.3}, "between": "linear"}), value_label(1e-4)
    ('0.8 to 0.3 (epoch 3, linear)', '0.0001')
    """
    if isinstance(value, Mapping) and isinstance(value.get("points"), Mapping):
        return _schedule_label(value)
    if isinstance(value, Mapping):
        if list(value) == ["name"]:
            return value_label(value["name"])
        return "{" + ", ".join(f"{k}: {value_label(v)}" for k, v in value.items()) + "}"
    if isinstance(value, float):
        return format(value, "g")
    return str(value)


def _schedule_label(schedule: Mapping[str, Any]) -> str:
    points, unit = schedule["points"], schedule.get("unit", "epoch")
    held = " to ".join(value_label(points[place]) for place in points)
    places = ", ".join(str(place) for place in list(points)[1:])
    between = schedule.get("between", "hold")
    return f"{held} ({unit} {places}, {between})" if places else held


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """What a config holds under a key of a grid."""
    found: Any = config
    for name in _path_of(key):
        found = found[name]
    return found


def _path_of(key: str) -> tuple[str, ...]:
    path = _CALLBACKS.get(key, tuple(str(key).split(".")))
    if len(path) < 2 or not all(path):
        raise ConfigError(
            f"study.grid.{key}: needs section.key of the config, e.g. training.learning_rate, or "
            f"one of {', '.join(_CALLBACKS)}"
        )
    if path[0] in _OURS:
        instead = "list seeds in study.seeds" if key == "run.seed" else "leave it out"
        raise ConfigError(f"study.grid.{key}: set by the study for every trial; {instead}")
    return path


def _value_of(key: str, value: Any) -> Any:
    if key not in _CALLBACKS or isinstance(value, Mapping):
        return copy.deepcopy(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f"study.grid.{key}: got {shown(value)}; needs a number, or a schedule such as "
            "{points: {0: 0.1, 3: 0.3}}"
        )
    return {"points": {0: value}}


def _put(config: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    target = config
    for name in path[:-1]:
        if target.get(name) is None:
            target[name] = {}
        target = target[name]
        if not isinstance(target, dict):
            raise ConfigError(f"study.grid.{key}: {name} holds {shown(target)}, which has no keys")
    target[path[-1]] = value


def _canonical(value: Any) -> str:
    """A text that equal values share, however their keys are ordered."""
    return json.dumps(value, sort_keys=True, default=str)
