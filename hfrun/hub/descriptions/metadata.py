"""The YAML front matter of a card: read for tags and listings, and checked before a commit."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

_MAX_CHARACTERS = 100_000
_TAG_KEYS = ("library_name", "pipeline_tag")

# Fields of a data set's card that clients filter by as "field:value".
_DATASET_KEYS = (
    "annotations_creators",
    "language_creators",
    "language",
    "multilinguality",
    "size_categories",
    "source_datasets",
    "task_categories",
    "task_ids",
    "benchmark",
)

# What PyYAML raises of broken text, and of tags such as "!!bool maybe" or "!!timestamp soon".
_BROKEN = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


# Five times faster where PyYAML was built with libyaml; a listing reads the cards of all.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 50


def card_metadata(card: str) -> dict[str, Any]:
    """The front matter of a README.md as plain JSON values; empty where there is none.

    Raises:
        ValueError: it is not valid YAML, not a mapping, or too long.
    """
    lines = card.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}
    closing = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if closing is None:
        return {}
    text = "\n".join(lines[1:closing])
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"the metadata has more than {_MAX_CHARACTERS} characters")
    try:
        _require_plain(text)
        value = yaml.load(text, Loader=_LOADER) or {}
        # Dates, NaN and lone surrogates are YAML but no JSON: they become text.
        plain = json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
        value = json.loads(plain, parse_constant=str)
    except _BROKEN as error:
        raise ValueError(f"the metadata is not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("the metadata is not a mapping of keys to values")
    return value


def _require_plain(text: str) -> None:
    """YAMLError for what a few lines can make large: aliases unfold, and depth fills the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in a card's metadata")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise yaml.YAMLError(f"got more than {_MAX_DEPTH} lists and mappings in each other")


def texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    """The texts under a key that takes one or a list of them; anything else is left out."""
    value = metadata.get(key)
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str) and item]


def tags(metadata: Mapping[str, Any], *, kind: str = "models") -> list[str]:
    """What a repository can be found by: the card's own tags and those its fields imply.

    Args:
        kind: models, datasets or spaces; a model's language is a tag of its own, a data set's is
            ``language:en``.
    """
    own = metadata.get("tags")
    found = [tag for tag in own if isinstance(tag, str)] if isinstance(own, list) else []
    found += [metadata[key] for key in _TAG_KEYS if isinstance(metadata.get(key), str)]
    found += [f"license:{value}" for value in texts(metadata, "license")]
    if kind == "datasets":
        for key in _DATASET_KEYS:
            found += [f"{key}:{value}" for value in texts(metadata, key)]
    else:
        found += [f"dataset:{value}" for value in texts(metadata, "datasets")]
    if kind == "models":
        found += texts(metadata, "language")
        found += _base_model_tags(metadata)
    return list(dict.fromkeys(found))


def _base_model_tags(metadata: Mapping[str, Any]) -> list[str]:
    """``base_model:X`` and how this model came from it, e.g. ``base_model:adapter:X``."""
    relation = metadata.get("base_model_relation")
    if not isinstance(relation, str):
        relation = "adapter" if metadata.get("library_name") == "peft" else "finetune"
    return [
        tag
        for base in texts(metadata, "base_model")
        for tag in (f"base_model:{base}", f"base_model:{relation}:{base}")
    ]
