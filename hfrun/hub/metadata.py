"""The YAML front matter of a card: read for tags and listings, and checked before a commit."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

_MAX_CHARACTERS = 100_000
_TAG_KEYS = ("library_name", "pipeline_tag")


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can unfold into gigabytes of JSON."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in a card's metadata")
        return super().compose_node(parent, index)


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
        value = yaml.load(text, Loader=_PlainLoader) or {}
        # Dates, NaN and lone surrogates are YAML but no JSON: they become text.
        plain = json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
        value = json.loads(plain, parse_constant=str)
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        raise ValueError(f"the metadata is not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("the metadata is not a mapping of keys to values")
    return value


def tags(metadata: Mapping[str, Any]) -> list[str]:
    """What a repository can be found by: the card's own tags and those its fields imply."""
    own = metadata.get("tags")
    found = [tag for tag in own if isinstance(tag, str)] if isinstance(own, list) else []
    found += [metadata[key] for key in _TAG_KEYS if isinstance(metadata.get(key), str)]
    for prefix, key in (("license", "license"), ("dataset", "datasets")):
        values = metadata.get(key)
        listed = values if isinstance(values, list) else [values]
        found += [f"{prefix}:{value}" for value in listed if isinstance(value, str)]
    return list(dict.fromkeys(found))
