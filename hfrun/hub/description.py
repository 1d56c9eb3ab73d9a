"""How a repository describes itself: its state, and what its card says of it."""

from typing import Any

from hfrun.hub.commit import Commit
from hfrun.hub.metadata import card_metadata, tags
from hfrun.hub.repository import Repository
from hfrun.hub.tree import Entry, lfs_pointer

CARD_MAX_BYTES = 1_000_000  # a longer README is served but not read for its metadata


def description(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What a listing and the info of a repository say, in the clients' words, without its files."""
    settings = repository.settings
    card = card_of(repository, commit)
    described = {
        "id": str(settings.repo_id),
        "author": settings.repo_id.namespace,
        "sha": commit.id,
        "lastModified": commit.date,
        "createdAt": settings.created_at,
        "private": settings.private,
        "gated": settings.gated or False,
        "disabled": False,
        "downloads": 0,  # not counted here; clients expect the key
        "likes": 0,
        "tags": tags(card),
        "cardData": card,
    }
    if settings.repo_id.kind == "models":
        described["modelId"] = str(settings.repo_id)
        described.update({k: card[k] for k in ("pipeline_tag", "library_name") if k in card})
    if settings.sdk is not None:
        described["sdk"] = settings.sdk
    return described


def card_of(repository: Repository, commit: Commit) -> dict[str, Any]:
    """The card's metadata; a broken card describes nothing, and spoils no listing."""
    entry = repository.tree(commit).get("README.md")
    if entry is None or entry.size > CARD_MAX_BYTES:
        return {}
    try:
        return card_metadata(repository.content(entry).read_text("utf-8", "replace"))
    except ValueError:
        return {}


def sibling(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    """One file in the info of a repository; with ``blobs`` its size and ids too."""
    row: dict[str, Any] = {"rfilename": path}
    if blobs:
        row.update(size=entry.size, blobId=entry.oid)
        if entry.lfs:
            pointer_size = len(lfs_pointer(entry.sha256, entry.size))
            row["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return row
