"""A hub with repositories to look at: good and bad models, a data set, hidden and hostile ones."""

import json
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from hfrun.hub.accounts.tokens import Accounts, create_token
from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.names import RepoId
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Delete, Put, lfs_entry, regular_entry
from tests.hfrun.hub.conftest import Answer, HubUnderTest

HIDDEN = "weights that only some may see"
ODD_NAME = 'a "quoted" <b>name & co.txt'
TURNED_NAME = "invoice\u202egnp.txt"
MANY_COMMITS = 53


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A browser without a browser: it keeps cookies, asks for HTML and follows nothing."""

    hub: HubUnderTest
    cookies: dict[str, str]

    def get(self, address: str, *, method: str = "GET", **headers: str) -> Answer:
        return self._send(method, address, None, headers)

    def text(self, address: str) -> str:
        answer = self.get(address)
        assert answer.status == 200, (address, answer.status)
        return answer.body.decode()

    def post(self, address: str, fields: Mapping[str, str], **headers: str) -> Answer:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", address, urlencode(fields).encode(), {**kind, **headers})

    def submit(self, page: str, address: str, **fields: str) -> Answer:
        """Send a form of a page that was just opened, with its key."""
        return self.post(address, {"form_key": form_key(self.text(page)), **fields})

    def _send(
        self, method: str, address: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        sent = {"Accept": "text/html,application/xhtml+xml"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent.update(headers)
        answer = self.hub.request(method, address, body=body, headers=sent)
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer


def visitor(hub: HubUnderTest, token: str | None = None) -> Visitor:
    """Somebody with a browser, signed in where a token is given."""
    browser = Visitor(hub=hub, cookies={})
    if token is not None:
        answer = browser.submit("/login", "/login", token=token)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
    return browser


def form_key(page: str) -> str:
    """The key of the last form of a page: the first signs out."""
    return str(re.findall(r'name="form_key" value="([0-9a-f]{64})"', page)[-1])


def report(
    verdict: str, *, lift: float, passed: bool | None, **metrics: tuple[float, float, float]
) -> str:
    """A report.json with one gate; metrics are value, low, high."""
    gate = {"name": "f1_lift", "passed": passed, "value": lift, "limit": 0.02, "required": True,
            "reason": f"the lift is {lift}"}  # fmt: skip
    return json.dumps(
        {
            "verdict": verdict,
            "gates": [gate],
            "aggregate": {k: dict(zip(("value", "low", "high"), v, strict=True))
                          for k, v in metrics.items()},
        }
    )  # fmt: skip


def png(width: int, height: int) -> bytes:
    """An image of one colour that says it is this large; its rows are there for small ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(b"\0" + b"\x40\x80\xc0" * width for _ in range(height if height < 99 else 1))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def furnish(root: Path) -> dict[str, str]:
    """Fill a new hub and return its users' tokens."""
    tokens = {
        "alice": create_token(root, "alice"),
        "alice_reads": create_token(root, "alice", role="read"),
        "bob": create_token(root, "bob"),
    }
    create_token(root, "carol")
    Accounts(root).create_organisation("desk", members=["alice"])
    store = HubStore(root)
    _walker(store)
    _others(store)
    hostile(store)
    return tokens


def made(
    store: HubStore, address: str, *, private: bool = False, kind: str = "models"
) -> Repository:
    namespace, name = address.split("/")
    repo_id = RepoId(kind=kind, namespace=namespace, name=name)
    return store.create(repo_id, private=private, author=namespace, sdk=None)


def puts(repository: Repository, files: Mapping[str, str | bytes]) -> list[Put | Delete]:
    changes: list[Put | Delete] = []
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        sha256 = repository.objects.put(data)
        large = path.endswith(".safetensors")
        entry = lfs_entry(sha256, len(data)) if large else regular_entry(data, sha256)
        changes.append(Put(path=path, entry=entry))
    return changes


def commit(
    repository: Repository,
    title: str,
    files: Mapping[str, str | bytes],
    *,
    branch: str = "main",
    deleted: Sequence[str] = (),
    author: str = "alice",
    message: str = "",
) -> str:
    changes = puts(repository, files) + [Delete(path=path, folder=False) for path in deleted]
    return repository.add_commit(
        branch=branch, changes=changes, title=title, message=message, author=author, parent=None
    ).id


def pull_request(
    repository: Repository, title: str, files: Mapping[str, str | bytes], *, text: str = ""
) -> int:
    """A pull request of bob's."""
    discussion, _ = Discussions(repository).open_with_commit(
        target="main", changes=puts(repository, files), title=title, message=text,
        author="bob", parent=None,
    )  # fmt: skip
    return discussion.number


WALKER_CARD = """---
license: mit
tags: [limit-order-book, deeplob]
---
# walker

Judged by a **walk-forward**. [The notes](notes/first.txt)
"""
REPORT_HTML = """<!doctype html><html lang="en"><head><title>report</title>
<style>body { background: #cde } h1 { color: #123 }</style></head>
<body><h1>is the model worth trading?</h1>
<svg width="40" height="20" role="img" aria-label="equity"><path d="M0 20 40 0" stroke="red"/></svg>
<script>document.title = 'RAN'; document.body.innerHTML = ''; alert('report')</script>
<img src="https://elsewhere.example/pixel.png" onerror="alert('image')" alt="">
</body></html>
"""


def _walker(store: HubStore) -> None:
    repository = made(store, "alice/walker")
    commit(
        repository,
        "Push the run walker",
        {
            "README.md": WALKER_CARD,
            "config.json": '{"model_type": "deeplob", "architectures": ["X"]}',
            "model.safetensors": b"\0" * 1500,
            "report/report.json": report(
                "fail",
                lift=-0.1,
                passed=False,
                accuracy=(0.35, 0.27, 0.44),
                f1_weighted=(0.28, 0.2, 0.36),
                brier=(0.66, 0.64, 0.67),
                sharpe=(-1.5, -3, 0.5),
            ),
            "report/report.html": REPORT_HTML,
        },
        message="The whole message.",
    )
    tagged = commit(repository, "Add notes", {"notes/first.txt": "one\ntwo\nthree\n"})
    repository.add_ref("tags", "v1.0", tagged)
    commit(
        repository,
        "Mend the notes",
        {"notes/first.txt": "one\n2\nthree\n", "notes/second.txt": "new\n"},
        deleted=["config.json"],
    )
    commit(repository, "Put the config back", {"config.json": '{"model_type": "deeplob"}'})
    repository.add_ref("heads", "run/1", tagged)
    commit(repository, "On a branch", {"branch.txt": "x"}, branch="run/1")
    for title in ("Better notes", "Notes to close"):
        pull_request(repository, title, {f"{title}.txt": "text\n"}, text="They were **short**.")
    pull_request(repository, "Too late", {"notes/first.txt": "other\n"})
    commit(repository, "Change what a pull request changed", {"notes/first.txt": "1\n2\n3\n"})


def _others(store: HubStore) -> None:
    better = made(store, "desk/better")
    passing = report("pass", lift=0.05, passed=True, accuracy=(0.71, 0.66, 0.75),
                     f1_weighted=(0.69, 0.64, 0.73), brier=(0.4, 0.3, 0.5))  # fmt: skip
    commit(better, "Push", {"README.md": "---\ntags: [limit-order-book]\n---\n# better\n",
                            "report/report.json": passing})  # fmt: skip
    long = made(store, "alice/long-history")
    for number in range(MANY_COMMITS - 1):
        commit(long, f"Change {number}", {"f.txt": str(number)})
    data = made(store, "alice/ticks", kind="datasets")
    commit(data, "Upload", {"README.md": "# ticks\n", "train.csv": "time,price\n1,100\n2,101\n"})
    secret = made(store, "alice/secret", private=True)
    commit(secret, "Keep it", {"README.md": "# secret card", "hidden.txt": HIDDEN})
    gated = made(store, "bob/gated")
    commit(gated, "Push", {"README.md": "# gated card", "config.json": "{}", "hidden.txt": HIDDEN,
                           "report/report.json": passing, "report/report.html": HIDDEN},
           author="bob")  # fmt: skip
    gated.change_settings(gated="manual")


HOSTILE_CARD = """---
title: [unclosed
tags: {a: *b
---
<base href="https://elsewhere.example/">
<meta http-equiv="refresh" content="0; url=https://elsewhere.example/refresh">
<style>body { display: none } .bar { background: url(https://elsewhere.example/css) }</style>
<script>alert(1)</script>

# Hostile <script>alert(2)</script> card

<img src=x onerror="alert(3)"> <img src="https://elsewhere.example/pixel.png" width="99999">
![small](small.png) ![huge](huge.png) <img src="small.png" width="50000" height="40">
<img src="data:image/svg+xml,<svg onload=alert(4)>"> ![js](javascript:alert(5))

[click](javascript:alert(6)) [data](data:text/html,<script>alert(7)</script>)
<a href="JaVaScRiPt:alert(8)">upper</a> <a href="&#106;avascript:alert(8)">entity</a>
<a href="https://elsewhere.example/" onclick="alert(9)" style="position:fixed">outside</a>

<svg onload="alert(10)"><script>alert(11)</script></svg>
<iframe src="https://elsewhere.example/" srcdoc="<script>alert(12)</script>"></iframe>
<object data="https://elsewhere.example/o"></object><embed src="https://elsewhere.example/e">
<form action="https://elsewhere.example/post" method="post">
<input name="token" autofocus onfocus="alert(13)"><button>Sign in again</button></form>
<link rel="stylesheet" href="https://elsewhere.example/l.css">
<div style="position:fixed;inset:0;background:red;z-index:9999">overlay</div>
<details open ontoggle="alert(15)"><summary>more</summary>x</details>

LONG

`CODE`

| a | b |
|---|---|
| WIDE | WIDE |

</div></article></main></body></html>

after all the closing tags
"""


def hostile(store: HubStore) -> None:
    """A repository that tries what it can."""
    repository = made(store, "alice/hostile")
    card = HOSTILE_CARD.replace("LONG", "x" * 5000).replace("CODE", "y" * 3000)
    commit(
        repository,
        "<img src=x onerror=alert(20)> \u202e title",
        {
            "README.md": card.replace("WIDE", "z" * 600),
            "small.png": png(8, 8),
            "huge.png": png(60_000, 60_000),
            f"odd/{ODD_NAME}": "<script>alert(21)</script>",
            TURNED_NAME: "text",
            "x" * 180 + ".txt": "long name",
            "report/report.html": REPORT_HTML,
            "report/report.json": "{" * 100_000,
        },
        message="</pre><script>alert(22)</script>",
    )
    repository.add_ref("heads", "a/<b>\"'&c", repository.head("main"))
    Discussions(repository).open(
        title="<script>alert(23)</script> \u202e", text=HOSTILE_CARD, author="bob"
    )
