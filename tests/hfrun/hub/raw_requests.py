"""Requests that no client would send, over every address that a hub has."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from starlette.routing import Route

HOSTILE = [
    "..", "%2e%2e", "..%2f..", "%2e%2e%2f%2e%2e%2foutside%2fsecret.txt", "....//", "%00", "a%00b",
    "%0d%0aSet-Cookie:%20x=1", "%ff", "%c0%ae%c0%ae", "%", "%zz", "~", "-", ".", "%20", "a%2fb",
    "CON", "x" * 300, "%F0%9F%A4%A1", "%ed%a0%80", "refs%2fheads%2fmain", "refs%2fpr%2f1", "{}",
    "%2fetc%2fpasswd", "\\..\\..", "%5c..%5c..", "main%2f..%2f..", "null", "0", "-1", "1e9",
]  # fmt: skip

PLAUSIBLE = {
    "kind": ["models", "datasets", "spaces"],
    "namespace": ["alice", "bob", "ALICE", "desk", "api", "models"],
    "name": ["open", "hidden", "gated", "Open", "moved", "missing", "open.git"],
    "revision": ["main", "refs%2Fpr%2F1", "v1", "nope", "0" * 40, "0123456"],
    "branch": ["main", "b1", "b%2F2"],
    "tag": ["v1", "v2"],
    "path": [
        "README.md", "a.txt", "folder", "folder/b.txt", "w.bin", "../../../outside/secret.txt",
        "%2e%2e/%2e%2e/%2e%2e/outside/secret.txt", "link", "report/report.html",
    ],
    "sha256": ["0" * 64, "f" * 64, "verify", "batch"],
    "number": ["1", "2", "999"],
    "status": ["pending", "accepted", "rejected"],
}  # fmt: skip

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["main", "alice", "open", "hidden", "alice/hidden", "../x", "a.txt", "\ud800", "x" * 5000,
         "0" * 64, "0" * 40, "sha256", "header", "file", "lfsFile", "deletedFolder", "open",
         "merged", "upload", "manual", "private", "model", "dataset",
         "space", "static", "---\na: [\n---\n"]
    ),
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["path", "oid", "size", "content", "a"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ["name", "organization", "type", "private", "visibility", "sdk", "gated", "fromRepo", "toRepo",
     "files", "objects", "operation", "transfers", "tag", "message", "startingPoint", "title",
     "description", "pullRequest", "comment", "status", "content", "repoType", "oid", "size",
     "deletions", "user", "userId", "rejectionReason", "paths", "sample", "gitIgnore", "parts",
     "discussionsDisabled", "token", "key"]
)  # fmt: skip
_FITTING: dict[str, list[Any]] = {
    "name": ["open", "new", "alice/new", "other"],
    "organization": ["alice", "desk", "bob"],
    "type": ["model", "dataset", "space"],
    "private": [True, False],
    "visibility": ["public", "private"],
    "sdk": ["static", "gradio"],
    "gated": ["auto", "manual", False],
    "fromRepo": ["alice/open"],
    "toRepo": ["alice/opened", "bob/open", "alice/open"],
    "files": [[{"path": "a.txt", "size": 3, "sample": "YQ=="}], []],
    "objects": [[{"oid": "0" * 64, "size": 3}], []],
    "operation": ["upload", "download"],
    "tag": ["v1", "v2", "a b"],
    "title": ["A title", "x" * 300],
    "description": ["words", ""],
    "pullRequest": [True, False],
    "comment": ["a comment"],
    "status": ["open", "closed", "draft", "accepted", "rejected", "pending"],
    "content": ["---\nlicense: mit\n---\n", "words"],
    "oid": ["0" * 64],
    "size": [3, 0, -1, 10**30],
    "user": ["bob", "carol", "nobody"],
    "startingPoint": ["main", "v1", "nope"],
    "paths": [["a.txt", "folder"], ["../x"]],
    "message": ["a message"],
    "deletions": [{"sha": ["0" * 64], "rewriteHistory": True}],
}
_OBJECTS = st.one_of(
    st.dictionaries(_KEYS, _VALUES, max_size=5),
    st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in _FITTING.items()}),
)
_LINES = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(
                ["header", "file", "lfsFile", "deletedFile", "deletedFolder", "copy", 3]
            ),
            "value": st.one_of(
                _VALUES,
                st.fixed_dictionaries(
                    {
                        "summary": _SCALARS,
                        "path": st.sampled_from(["a.txt", "../a", "folder", ".git/config", "b\0"]),
                        "content": st.sampled_from(["", "YQ==", "!!", "Y"]),
                        "oid": st.sampled_from(["0" * 64, "f" * 64]),
                        "size": _SCALARS,
                    }
                ),
            ),
        }
    ),
    max_size=4,
)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


_COMMITS = st.lists(
    st.sampled_from(
        [
            {"key": "file", "value": {"path": "a.txt", "content": "YQ==", "encoding": "base64"}},
            {"key": "file", "value": {"path": "folder/b.txt", "content": "Yg=="}},
            {"key": "file", "value": {"path": "a.txt/b", "content": "Yg=="}},
            {"key": "deletedFile", "value": {"path": "a.txt"}},
            {"key": "deletedFolder", "value": {"path": "folder/"}},
            {
                "key": "lfsFile",
                "value": {"path": "w", "algo": "sha256", "oid": "0" * 64, "size": 3},
            },
        ]
    ),
    max_size=3,
).map(lambda changes: [{"key": "header", "value": {"summary": "s", "description": ""}}, *changes])


BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=200),
    _OBJECTS.map(_json),
    _VALUES.map(_json),
    st.one_of(_LINES, _COMMITS).map(lambda lines: b"\n".join(map(_json, lines))),
    st.sampled_from([b"[" * 5000, b'{"a":' * 5000, b"NaN", b"1e999", b"\xff\xfe", b"{" * 10]),
    st.lists(st.tuples(_KEYS, st.text(max_size=6)), max_size=4).map(
        lambda pairs: "&".join(f"{key}={value}" for key, value in pairs).encode("utf-8", "replace")
    ),
)

HEADERS = st.dictionaries(
    st.sampled_from(
        ["Range", "If-Range", "If-None-Match", "Accept", "Cookie", "Origin", "Host", "Content-Type",
         "X-Forwarded-Proto", "Referer", "Sec-Fetch-Site", "If-Modified-Since"]
    ),
    st.one_of(
        st.sampled_from(
            ["bytes=0-", "bytes=-1", "bytes=5-2", "bytes=0-0,2-3", "bytes=a-b",
             "bytes=" + "9" * 400, "text/html", "application/json", "hub_session=a.9999999999.b",
             "hub_session=", "*", "hub_session=" + "a" * 3000, "evil.example",
             "https://evil.example", "application/x-www-form-urlencoded", "cross-site", "PUT",
             '"x"', "W/", "Thu, 99 Foo 2024"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    ),
    max_size=3,
)  # fmt: skip

_QUERY_KEYS = [
    "limit", "cursor", "search", "q", "author", "filter", "sort", "direction", "recursive",
    "expand", "expand[]", "blobs", "create_pr", "diff", "p", "page", "type", "status", "full",
    "config", "size", "expires", "signature", "gated", "include_prs", "kind", "tag",
    "revision", "next", "download",
]  # fmt: skip
_QUERY_VALUES = ["1", "0", "-1", "true", "9" * 30, "lastModified", "%00", "%ff", "a%0d%0ab", "..",
                 "createdAt", "accuracy", "//evil.example", "'\"><script>", ""]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it goes over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def patterns_of(routes: list[Any]) -> list[tuple[str, str]]:
    """Method and address pattern of every route of an app."""
    return sorted(
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
    )


@st.composite
def requests(draw: st.DrawFn, patterns: list[tuple[str, str]]) -> Asked:
    """Mostly a method and address that exist, its parts plausible or hostile, and any body."""
    method, pattern = draw(st.sampled_from(patterns))
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]))
    hostile = draw(st.integers(0, 2)) == 0
    target = "/".join(_filled(draw, part, hostile) for part in pattern.split("/")) or "/"
    if draw(st.integers(0, 19)) == 0:
        target += draw(st.sampled_from(["/", "//", "/..", "/%2e%2e/%2e%2e/hub.json", "?", ";x"]))
    pairs = draw(
        st.lists(
            st.tuples(st.sampled_from(_QUERY_KEYS), st.sampled_from(_QUERY_VALUES)), max_size=3
        )
    )
    if pairs:
        target += "?" + "&".join(f"{key}={value}" for key, value in pairs)
    safe = "".join(c if "!" <= c <= "~" else "%20" for c in target)
    headers = draw(HEADERS) if draw(st.booleans()) else {}
    return Asked(method=method, target=safe, headers=headers, body=draw(BODIES))


def _filled(draw: st.DrawFn, part: str, hostile: bool) -> str:
    """One part of an address with something in the place of what stands in braces."""
    while "{" in part:
        before, _, rest = part.partition("{")
        field, _, after = rest.partition("}")
        known = PLAUSIBLE.get(field.partition(":")[0], ["1"])
        value = draw(st.sampled_from(known + HOSTILE if hostile else known))
        part = before + value.replace("{", "%7B") + after
    return part
