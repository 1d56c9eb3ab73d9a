"""Whether a card's metadata would be accepted: wrong types and unknown words, field by field.

The texts are the public Hub's own where they are known: people look them up.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hfrun.hub.descriptions.card_words import COLORS, LICENSES, SDKS, TASKS

_LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")
_REPO_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_SHORT_DESCRIPTION = 60
_MAX_OF_FIELD = 10  # a list of thousands of wrong values needs no thousands of lines

# Names of the arguments with which clients build their card from the metadata.
_RESERVED = frozenset({"self", "ignore_metadata_errors"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with one field.

    Attributes:
        key: the field at the top of the metadata.
        is_error: an error refuses the card; a warning is only said.
        is_of_type: the value is of another type than clients expect, and could break them.
    """

    key: str
    message: str
    is_error: bool = True
    is_of_type: bool = False


_Check = Callable[[Any, str], Iterator[str]]


def problems(metadata: Mapping[str, Any], *, kind: str) -> list[Problem]:
    """Everything that is wrong with the metadata of a card; a field that is null counts as absent.

    Args:
        metadata: from ``card_metadata``.
        kind: models, datasets or spaces.
    """
    if not metadata:
        text = "empty or missing yaml metadata in repo card"
        return [Problem(key="", message=text, is_error=False)]
    types = {**_TYPES, **_TYPES_OF[kind]}
    found = []
    for key, value in metadata.items():
        if value is None and key not in _RESERVED:
            continue
        wrong = list(islice(types[key](value, key), _MAX_OF_FIELD)) if key in types else []
        if key in _RESERVED:
            wrong.append(f'"{key}" is not allowed')
        if wrong:
            found += [Problem(key=key, message=text, is_of_type=True) for text in wrong]
        elif key in types and key in _WORDS:
            unknown = _one_or_many(_WORDS[key])(value, key)
            found += [Problem(key=key, message=t) for t in islice(unknown, _MAX_OF_FIELD)]
        found += islice(_unofficial(key, value), _MAX_OF_FIELD)
    return found


def without_wrong_types(metadata: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """The metadata without the fields whose types clients would trip over."""
    wrong = {p.key for p in problems(metadata, kind=kind) if p.is_of_type}
    return {key: value for key, value in metadata.items() if key not in wrong}


def _text(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f'"{path}" must be a string'


def _number(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield f'"{path}" must be a number'


def _boolean(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f'"{path}" must be a boolean'


def _object(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f'"{path}" must be of type object'


def _array_of(check: _Check) -> _Check:
    def check_array(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f'"{path}" must be an array'
            return
        for i, item in enumerate(value):
            yield from check(item, f"{path}[{i}]")

    return check_array


def _one_or_many(check: _Check) -> _Check:
    many = _array_of(check)
    return lambda value, path: (many if isinstance(value, list) else check)(value, path)


def _anything(value: Any, path: str) -> Iterator[str]:
    return iter(())


def _fields(**checks: tuple[bool, _Check]) -> _Check:
    """An object with fields that must be there or may."""

    def check_object(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f'"{path}" must be of type object'
            return
        for name, (required, check) in checks.items():
            if value.get(name) is not None:
                yield from check(value[name], f"{path}.{name}")
            elif required:
                yield f'"{path}.{name}" is required'

    return check_object


_NAMED = _fields(type=(True, _text), name=(False, _text))
_DATASET = _fields(
    type=(True, _text),
    name=(True, _text),
    config=(False, _text),
    split=(False, _text),
    revision=(False, _text),
)
_METRIC = _fields(
    type=(True, _text), value=(True, _anything), name=(False, _text), config=(False, _text)
)
_RESULT = _fields(
    task=(True, _NAMED),
    dataset=(True, _DATASET),
    metrics=(True, _array_of(_METRIC)),
    source=(False, _fields(url=(True, _text), name=(False, _text))),
)
_MODEL_INDEX = _array_of(_fields(name=(True, _text), results=(True, _array_of(_RESULT))))

_TEXTS = _one_or_many(_text)
_TYPES: Mapping[str, _Check] = {
    "language": _TEXTS,
    "license": _TEXTS,
    "license_name": _text,
    "license_link": _text,
    "tags": _array_of(_text),
}
_TYPES_OF: Mapping[str, Mapping[str, _Check]] = {
    "models": {
        "base_model": _TEXTS,
        "base_model_relation": _text,
        "datasets": _TEXTS,
        "library_name": _text,
        "metrics": _array_of(_anything),
        "model-index": _MODEL_INDEX,
        "model_name": _text,
        "pipeline_tag": _text,
        "thumbnail": _text,
        "widget": _array_of(_anything),
    },
    "datasets": {
        "configs": _array_of(_object),
        "dataset_info": _one_or_many(_object),
        "pretty_name": _text,
        "size_categories": _TEXTS,
        "task_categories": _TEXTS,
        "task_ids": _TEXTS,
    },
    "spaces": {
        "app_file": _text,
        "app_port": _number,
        "colorFrom": _text,
        "colorTo": _text,
        "datasets": _array_of(_text),
        "emoji": _text,
        "models": _array_of(_text),
        "pinned": _boolean,
        "sdk": _text,
        "short_description": _text,
        "title": _text,
    },
}


def _one_of(words: Sequence[str], *also: str) -> _Check:
    listed = ", ".join((*words, *also))
    return lambda value, path: iter(
        () if value in words else (f'"{path}" must be one of [{listed}]',)
    )


def _language(value: str, path: str) -> Iterator[str]:
    if not _LANGUAGE.fullmatch(value):
        yield (
            f'"{path}" with value "{value[:100]}" is not valid. It must be an ISO 639-1, 639-2 or '
            '639-3 code (two/three letters), or a special value like "code", "multilingual"'
        )


def _id_of(what: str, advice: str) -> _Check:
    def check_id(value: str, path: str) -> Iterator[str]:
        if not _REPO_ID.fullmatch(value) or ".." in value:
            where = f"https://hf.co/{what}s"
            said = f'"{path}" with value "{value[:200]}" is not valid.'
            yield f"{said} {advice} a {what} id from {where}."

    return check_id


def _short(value: str, path: str) -> Iterator[str]:
    if len(value) > _SHORT_DESCRIPTION:
        limit = f"less than or equal to {_SHORT_DESCRIPTION} characters long"
        yield f'"{path}" length must be {limit}'


_WORDS: Mapping[str, _Check] = {
    "base_model": _id_of("model", "Use"),
    "colorFrom": _one_of(COLORS),
    "colorTo": _one_of(COLORS),
    "datasets": _id_of("dataset", "If possible, use"),
    "language": _language,
    "license": _one_of(LICENSES, "array"),
    "sdk": _one_of(SDKS),
    "short_description": _short,
}


def _unofficial(key: str, value: Any) -> Iterator[Problem]:
    """Tasks that no list has are taken, since pipelines can be registered for any."""
    noun = {"pipeline_tag": "pipeline tag", "task_categories": "task_categories"}.get(key)
    for item in value if isinstance(value, list) else [value]:
        if noun is not None and isinstance(item, str) and item not in TASKS:
            text = f'The {noun} "{item[:100]}" is not in the official list'
            yield Problem(key=key, message=text, is_error=False)
