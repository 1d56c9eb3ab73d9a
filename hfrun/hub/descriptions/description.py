"""How a repository describes itself: its state, and what its files say of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hfrun.hub.descriptions.card_checks import without_wrong_types
from hfrun.hub.descriptions.metadata import card_metadata, tags, texts
from hfrun.hub.descriptions.model_files import (
    config_summary,
    library_name,
    read_once,
    transformers_info,
    weights_summary,
)
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.path_history import history_of_paths as history_of_paths
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.storage import storage, used_bytes_if_cheap
from hfrun.hub.store.tree import Entry, Tree, lfs_pointer

CARD_MAX_BYTES = 1_000_000  # a longer README is served but not read for its metadata

# What the hub says of an app that it keeps and does not run.
RUNTIME: Mapping[str, Any] = {
    "stage": "STOPPED",
    "hardware": {"current": None, "requested": None},
    "storage": None,
    "gcTimeout": None,
    "devMode": False,
}


@dataclass(frozen=True, kw_only=True)
class _Described:
    """One commit of a repository; what is costly to know is found when it is asked for."""

    repository: Repository
    commit: Commit

    @property
    def kind(self) -> str:
        return self.repository.settings.repo_id.kind

    @cached_property
    def tree(self) -> Tree:
        return self.repository.tree(self.commit)

    @cached_property
    def card(self) -> dict[str, Any]:
        return card_of(self.repository, self.commit)

    @cached_property
    def config(self) -> dict[str, Any]:
        return config_summary(self.repository, self.tree) if self.kind == "models" else {}

    @cached_property
    def transformers(self) -> dict[str, Any] | None:
        return transformers_info(self.config, self.tree)

    @property
    def library(self) -> str | None:
        own = self.card.get("library_name")
        return own if isinstance(own, str) else library_name(self.config)

    @property
    def task(self) -> str | None:
        own = self.card.get("pipeline_tag")
        return own if isinstance(own, str) else (self.transformers or {}).get("pipeline_tag")

    @property
    def tags(self) -> list[str]:
        """The card's tags, and for models what their files imply."""
        found = tags(self.card, kind=self.kind)
        if self.kind == "models":
            found += [tag for tag in (self.library, self.config.get("model_type")) if tag]
            found += ["safetensors"] if any(p.endswith(".safetensors") for p in self.tree) else []
        elif self.kind == "spaces" and self.repository.settings.sdk is not None:
            found.append(self.repository.settings.sdk)
        return list(dict.fromkeys(found))


_Property = Callable[[_Described], Any]

_OF_ALL: dict[str, _Property] = {
    "author": lambda d: d.repository.settings.repo_id.namespace,
    "cardData": lambda d: d.card,
    "createdAt": lambda d: d.repository.settings.created_at,
    "disabled": lambda d: False,
    "gated": lambda d: d.repository.settings.gated or False,
    "lastModified": lambda d: d.commit.date,
    "likes": lambda d: 0,  # not counted here, as downloads; clients expect the keys
    "private": lambda d: d.repository.settings.private,
    "resourceGroup": lambda d: None,
    "sha": lambda d: d.commit.id,
    "siblings": lambda d: [sibling(p, e, blobs=False) for p, e in sorted(d.tree.items())],
    "tags": lambda d: d.tags,
    "trendingScore": lambda d: 0,
    "usedStorage": lambda d: storage(d.repository).used_bytes,
}
_COUNTED: dict[str, _Property] = {"downloads": lambda d: 0, "downloadsAllTime": lambda d: 0}

# By kind: everything that can be asked for. What this hub does not know is None and left out.
PROPERTIES: Mapping[str, Mapping[str, _Property]] = {
    "models": {
        **_OF_ALL,
        **_COUNTED,
        "baseModels": lambda d: texts(d.card, "base_model") or None,
        "childrenModelCount": lambda d: None,
        "config": lambda d: d.config or None,
        "evalResults": lambda d: None,
        "gguf": lambda d: None,
        "inference": lambda d: None,
        "inferenceProviderMapping": lambda d: [],
        "library_name": lambda d: d.library,
        "mask_token": lambda d: None,
        "model-index": lambda d: d.card.get("model-index"),
        "modelId": lambda d: str(d.repository.settings.repo_id),
        "pipeline_tag": lambda d: d.task,
        "safetensors": lambda d: weights_summary(d.repository, d.tree),
        "spaces": lambda d: None,
        "transformersInfo": lambda d: d.transformers,
        "widgetData": lambda d: d.card.get("widget"),
    },
    "datasets": {
        **_OF_ALL,
        **_COUNTED,
        "citation": lambda d: None,
        "description": lambda d: None,
        "mainSize": lambda d: sum(entry.size for entry in d.tree.values()),
        "paperswithcode_id": lambda d: d.card.get("paperswithcode_id"),
    },
    "spaces": {
        **_OF_ALL,
        "datasets": lambda d: texts(d.card, "datasets"),
        "models": lambda d: texts(d.card, "models"),
        "region": lambda d: None,
        "runtime": lambda d: dict(RUNTIME),
        "sdk": lambda d: d.repository.settings.sdk,
        "subdomain": lambda d: None,
    },
}

_LISTED = (
    *("author", "sha", "lastModified", "createdAt", "private", "gated", "disabled", "tags"),
    *("downloads", "likes", "trendingScore", "modelId", "pipeline_tag", "library_name", "sdk"),
)
_INFO = (
    *("cardData", "config", "safetensors", "transformersInfo", "model-index", "widgetData"),
    *("runtime", "models", "datasets"),
)


def properties(repository: Repository, commit: Commit, names: Iterable[str]) -> dict[str, Any]:
    """The id of a repository and what was asked of it, as far as it is known.

    Args:
        names: keys of ``PROPERTIES`` of this kind; others are left out.
    """
    described = _Described(repository=repository, commit=commit)
    known = PROPERTIES[described.kind]
    found = {name: known[name](described) for name in names if name in known}
    return {"id": str(repository.settings.repo_id)} | {
        name: value for name, value in found.items() if value is not None
    }


def summary(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What a listing says of each repository."""
    return properties(repository, commit, _LISTED)


def description(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What a listing says, with the card's metadata."""
    return properties(repository, commit, (*_LISTED, "cardData"))


def full_description(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What the info of one repository says, without its files."""
    found = properties(repository, commit, (*_LISTED, *_INFO))
    # Nobody asked for it: a long history is not walked for one number.
    used = used_bytes_if_cheap(repository, files=len(repository.tree(commit)))
    return found if used is None else {**found, "usedStorage": used}


def card_of(repository: Repository, commit: Commit) -> dict[str, Any]:
    """The card's metadata; a broken card describes nothing, and spoils no listing.

    Fields of a wrong type are left out: clients build objects from the metadata and would fail.
    """
    entry = repository.tree(commit).get("README.md")
    if entry is None or entry.size > CARD_MAX_BYTES:
        return {}
    kind = repository.settings.repo_id.kind

    def read(file: Path) -> dict[str, Any]:
        return without_wrong_types(card_metadata(file.read_text("utf-8", "replace")), kind=kind)

    return read_once(repository, entry, f"card of {kind}", read, {})


def sibling(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    """One file in the info of a repository; with ``blobs`` its size and ids too."""
    row: dict[str, Any] = {"rfilename": path}
    if blobs:
        row.update(size=entry.size, blobId=entry.oid)
        if entry.lfs:
            pointer_size = len(lfs_pointer(entry.sha256, entry.size))
            row["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return row
