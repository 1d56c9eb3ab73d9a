"""Strict YAML: every key is a field of a frozen dataclass, and all errors are shown at once.

An unknown key is an error that names the nearest known one, and so is a key that is given twice.
Overrides are ``section.key=value``.
"""

import dataclasses
import difflib
import math
import re
import reprlib
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from lob_backtest.errors import ConfigError, LobBacktestError

Section = TypeVar("Section")
# Explicit tags (!!timestamp 1) and depths that nobody writes raise whatever they meet first.
_NO_YAML = (yaml.YAMLError, AttributeError, LookupError, OverflowError, RecursionError, TypeError)
_LARGEST = 2**63  # whole numbers end up in 64 bits
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 200


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``on`` and ``off`` are words and ``16:00`` is text, as in YAML 1.2.

    A key that is given twice is refused: plain YAML silently takes the last one.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key, Hashable):
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{shown(key)} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_BOOL = "tag:yaml.org,2002:bool"
_SEXAGESIMAL = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?$")


def _as_in_yaml_1_2() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PyYAML's rules for plain words, without those that only YAML 1.1 has."""
    true_or_false = re.compile(r"(true|True|TRUE|false|False|FALSE)$")
    kept = {
        first: [(tag, pattern) for tag, pattern in rules if tag != _BOOL]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for first in "tTfF":
        kept.setdefault(first, []).append((_BOOL, true_or_false))
    text = [("tag:yaml.org,2002:str", _SEXAGESIMAL)]
    return {first: [*(text if first in "-+0123456789" else []), *kept[first]] for first in kept}


_Loader.yaml_implicit_resolvers = _as_in_yaml_1_2()


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: no YAML, a key twice, or a value that is none of its kind (a thirteenth month).
    """
    try:
        return yaml.load(text, _Loader)
    except _NO_YAML as error:
        raise ValueError(str(error)) from error


def shown(value: object) -> str:
    """A value as a message quotes it, however large it is."""
    return _SHOWN.repr(value)


def load_yaml(path: Path | str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a YAML mapping and put the ``section.key=value`` overrides into it."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such config file; the ones that ship are in configs/")
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also bytes that are no UTF-8
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: got {type(raw).__name__}; a config is a mapping of sections")
    for override in overrides:
        _override(raw, override)
    return raw


def build(cls: type[Section], raw: object, where: str, errors: list[str]) -> Section | None:
    """Turn a mapping into the dataclass ``cls``, adding every problem to ``errors``."""
    if not isinstance(raw, Mapping):
        errors.append(f"{where or 'config'}: got {shown(raw)}; needs keys and values")
        return None
    before = len(errors)
    hints = typing.get_type_hints(cls)
    known = [item for item in dataclasses.fields(cls) if item.init]  # type: ignore[arg-type]
    errors += unknown_keys(raw, [item.name for item in known], where)
    values: dict[str, Any] = {}
    for item in known:
        name = f"{where}.{item.name}" if where else item.name
        if item.name in raw:
            values[item.name] = convert(hints[item.name], raw[item.name], name, errors)
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            errors.append(f"{name}: missing; needs {_describe(hints[item.name])}")
    if len(errors) > before:
        return None
    try:
        return cls(**values)
    except LobBacktestError as error:
        errors.append(f"{where}: {error}")
        return None


def unknown_keys(raw: Mapping[Any, Any], known: Sequence[str], where: str) -> list[str]:
    """One message for each key that is not known, with the nearest one that is."""
    messages = []
    for key in raw:
        if key in known:
            continue
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        messages.append(f"{where + '.' if where else ''}{key}: unknown key; {hint}")
    return messages


def finish(config: Section | None, errors: Sequence[str], source: str) -> Section:
    """Return the config, or raise one ConfigError that lists every problem."""
    if errors or config is None:
        lines = "\n".join(f"  - {message}" for message in errors)
        count = f"{len(errors)} problem{'s' if len(errors) != 1 else ''}"
        raise ConfigError(f"{source}: {count} in the config:\n{lines}")
    return config


def as_dict(config: object) -> dict[str, Any]:
    """A config as plain nested values, for YAML and JSON."""
    return dataclasses.asdict(config)  # type: ignore[call-overload,no-any-return]


def _override(raw: dict[str, Any], text: str) -> None:
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"override {text!r}: needs section.key=value, e.g. run.seed=1")
    target = raw
    for key in keys[:-1]:
        existing = target.get(key)
        if existing is None:
            existing = target[key] = {}
        if not isinstance(existing, dict):
            raise ConfigError(
                f"override {text!r}: {key} holds {shown(existing)}, which has no keys"
            )
        target = existing
    try:
        target[keys[-1]] = parse_yaml(value)
    except ValueError as error:
        raise ConfigError(f"override {text!r}: the value is not valid YAML") from error


def convert(wanted: Any, value: Any, name: str, errors: list[str]) -> Any:
    """The value as the type ``wanted``, or None with a message added to ``errors``."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(arguments, value, name, errors)
    if origin is list and isinstance(value, list):
        items = enumerate(value)
        return [convert(arguments[0], item, f"{name}[{i}]", errors) for i, item in items]
    if origin in (dict, Mapping) and isinstance(value, dict):
        return value
    if dataclasses.is_dataclass(wanted):
        return build(wanted, value, name, errors)  # type: ignore[arg-type]
    if origin is Literal and value in arguments:
        return value
    scalar, fits = _scalar(wanted, value)
    if fits:
        return scalar
    errors.append(f"{name}: got {shown(value)}; needs {_describe(wanted)}")
    return None


def _convert_union(options: tuple[Any, ...], value: Any, name: str, errors: list[str]) -> Any:
    if value is None and type(None) in options:
        return None
    attempts: list[list[str]] = []
    for option in options:
        found: list[str] = []
        converted = convert(option, value, name, found)
        if not found:
            return converted
        attempts.append(found)
    if isinstance(value, Mapping):  # the messages of the section that it was meant to be
        nested = [a for o, a in zip(options, attempts, strict=True) if dataclasses.is_dataclass(o)]
        if nested:
            errors += nested[0]
            return None
    needed = " or ".join(_describe(option) for option in options)
    errors.append(f"{name}: got {shown(value)}; needs {needed}")
    return None


def _scalar(wanted: Any, value: Any) -> tuple[Any, bool]:
    if wanted is Any:
        return value, True
    if wanted is bool or isinstance(value, bool):
        return value, wanted is bool and isinstance(value, bool)
    if wanted is int:
        return _whole_number(value)
    if wanted is float:
        number = _number(value)
        return number, number is not None
    if wanted is str:
        return value, isinstance(value, str)
    return None, False


def _whole_number(value: Any) -> tuple[int | None, bool]:
    if not isinstance(value, int):  # an int is itself: as a float it may be another
        number = _number(value)
        if number is None or number != int(number):
            return None, False
        value = int(number)
    return (value, True) if -_LARGEST <= value < _LARGEST else (None, False)


def _number(value: Any) -> float | None:
    # YAML 1.1 reads 1e-4 (no dot) as text; a number is what its writer meant.
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _describe(wanted: Any) -> str:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        return " or ".join(repr(option) for option in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_describe(option) for option in arguments)
    if origin is list:
        return f"a list of {_describe(arguments[0])}"
    if dataclasses.is_dataclass(wanted):
        names = ", ".join(item.name for item in dataclasses.fields(wanted))
        return f"a section with {names}"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return words.get(wanted, "nothing" if wanted is type(None) else str(wanted))
