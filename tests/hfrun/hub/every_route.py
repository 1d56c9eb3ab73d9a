"""A request for every address and method that the hub has, so that a new one is tried by itself."""

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.routing import Route

from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.names import RepoId
from hfrun.hub.server import create_app
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.tree import Put, lfs_entry, regular_entry
from tests.hfrun.hub.conftest import Answer, HubUnderTest

SINGULAR = {"models": "model", "datasets": "dataset", "spaces": "space"}
# Unchanged by any encoding of a page: what files hold, and what cards and titles say.
CONTENT = b"LARGEqm83Vk"
SECRET = b"SMALLhw52Np"
MARKER = "Xq7Zt4inside"
CARD = f"---\ntags: [tag-{MARKER}]\nlicense: other\n---\n# Card {MARKER}\n"

_ALWAYS = {
    "revision": "main",
    "path": "secret.txt",
    "branch": "twig",
    "number": "1",
    "event": "0",
    "status": "pending",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "address": "no-such-page",
}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request: its route as the hub writes it, and what goes over the wire."""

    route: str
    method: str
    target: str
    body: bytes | None
    content_type: str

    def to(
        self, hub: HubUnderTest, token: str | None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send it as the holder of this token, or as nobody."""
        given = {"Content-Type": self.content_type, **(headers or {})}
        return hub.request(self.method, self.target, body=self.body, token=token, headers=given)


def make(root: Path, repo_id: str, kind: str, *, private: bool = False) -> None:
    """A repository with a card, a small and a large file, a tag and a pull request."""
    namespace, name = repo_id.split("/")
    store = HubStore(root)
    repository = store.create(
        RepoId(kind=kind, namespace=namespace, name=name),
        private=private,
        author=namespace,
        sdk="static" if kind == "spaces" else None,
    )
    small = {"secret.txt": SECRET, "README.md": CARD.encode()}
    changes = [Put(path=p, entry=regular_entry(d, store.objects.put(d))) for p, d in small.items()]
    sha256 = store.objects.put(CONTENT)
    repository.remember_upload(sha256)
    changes.append(Put(path="w.bin", entry=lfs_entry(sha256, len(CONTENT))))
    commit = repository.add_commit(
        branch="main",
        changes=changes,
        title=f"Add {MARKER}",
        message="",
        author=namespace,
        parent=None,
    )
    repository.add_ref("tags", "v1", commit.id)
    Discussions(repository).open_with_commit(
        target="main",
        changes=[replace(changes[0], path="more.txt")],
        title=f"More {MARKER}",
        message="",
        author=namespace,
        parent=None,
    )


def every_request(root: Path, *, namespace: str, name: str, kind: str) -> Iterator[Sent]:
    """A request for each route and method of a hub, about one repository where it names one.

    Routes without a kind in them belong to models, and are left out for the others; so are those
    of another kind.
    """
    for route in _routes(root):
        prefixed = "{kind:kind}" in route.path
        about = next((k for k in SINGULAR if f"/{k}/" in f"{route.path}/"), "models")
        if not prefixed and "{name}" in route.path and about != kind:
            continue
        values = defaultdict(lambda: "1", _ALWAYS, kind=kind, namespace=namespace, name=name)
        target = re.sub(r":\w+\}", "}", route.path).format_map(values)
        for method in sorted(route.methods or ()):
            body, content_type = _body(route.path, method, namespace, name, kind)
            yield Sent(
                route=route.path, method=method, target=target, body=body, content_type=content_type
            )


@cache
def _routes(root: Path) -> tuple[Route, ...]:
    routes = tuple(route for route in create_app(root).routes if isinstance(route, Route))
    assert len(routes) == len(create_app(root).routes)  # no mounts, whose routes this would miss
    return routes


def _body(
    route: str, method: str, namespace: str, name: str, kind: str
) -> tuple[bytes | None, str]:
    """Something that the route would take from who may."""
    if method in ("GET", "HEAD"):
        return None, "text/plain"
    if "/commit/" in route:
        return _commit(), "application/x-ndjson"
    if "/paths-info/" in route:
        return urlencode({"paths": "secret.txt"}).encode(), "application/x-www-form-urlencoded"
    if not route.startswith("/api/") and "/objects/" not in route:
        return urlencode({"token": "x"}).encode(), "application/x-www-form-urlencoded"
    if method == "PUT" and "/objects/" in route:
        return CONTENT, "application/octet-stream"
    if route.endswith("/settings"):
        return json.dumps({"visibility": "public", "gated": False}).encode(), "application/json"
    return json.dumps(_fields(namespace, name, kind)).encode(), "application/json"


def _fields(namespace: str, name: str, kind: str) -> dict[str, Any]:
    """The fields of all JSON bodies at once: each route takes its own."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return {
        "files": [{"path": "secret.txt", "size": len(CONTENT), "sample": "", "sha256": sha256}],
        "operation": "upload",
        "objects": [{"oid": sha256, "size": len(CONTENT)}],
        "oid": sha256,
        "size": len(CONTENT),
        "content": "# A card",
        "tag": "v9",
        "title": "a title",
        "description": "a description",
        "comment": "a comment",
        "status": "closed",
        "user": "carol",
        "message": "a message",
        "pullRequest": True,
        "deletions": {"sha": [sha256], "rewriteHistory": True},
        "name": name,
        "organization": namespace,
        "type": SINGULAR[kind],
        "sdk": "static",
        "fromRepo": f"{namespace}/{name}",
        "toRepo": f"{namespace}/{name}-elsewhere",
        "repository": f"{namespace}/{name}-elsewhere",
        "target": {"type": SINGULAR[kind], "name": f"{namespace}/{name}"},
    }


def _commit() -> bytes:
    encoded = base64.b64encode(CONTENT).decode()
    lines = [
        {"key": "header", "value": {"summary": "a title"}},
        {"key": "file", "value": {"path": "new.txt", "content": encoded, "encoding": "base64"}},
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
