"""Whatever is sent to the routes of listings, revisions, refs, history and cards: no 500."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hfrun.hub.conftest import HubUnderTest

_TEXTS = st.sampled_from(
    ["main", "v1", "refs/heads/main", "refs/pr/1", "0" * 40, "a" * 7, "", "..", "a/b", "\0", "é",
     "x" * 300, "alice/any", "bob/mine", "model", "f", "f/a.txt", "true", "1", "-1", "10" * 9]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["message", "deletions", "sha", "rewriteHistory", "target", "files", "type", "name",
                 "sha256", "repository", "visibility", "startingPoint", "emptyBranch", "tag",
                 "paths", "expand", "content", "repoType"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)  # fmt: skip
_POSTS = (
    "super-squash/{}", "lfs-files/batch", "lfs-files/duplicate", "duplicate", "branch/{}",
    "tag/{}", "paths-info/{}",
)  # fmt: skip
_GETS = (
    "", "/revision/{}", "/tree/{}", "/tree/{}/{}", "/commits/{}", "/refs", "/lfs-files",
    "/runtime", "/safetensors-metadata/{}",
)  # fmt: skip
_QUERY = st.dictionaries(
    st.sampled_from(
        ["author", "search", "filter", "sort", "direction", "limit", "cursor", "full", "config",
         "cardData", "expand", "expand[]", "gated", "num_parameters", "pipeline_tag", "inference",
         "apps", "models", "linked", "recursive", "blobs", "include_prs"]
    ),
    _TEXTS
    | st.sampled_from(["siblings", "usedStorage", "likes", "createdAt", "min:1K", "WyIiLCIiXQ=="]),
    max_size=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def any_repo(hub: HubUnderTest) -> str:
    """A repository that requests may change, of which there are no others in their way."""
    return hub.api().create_repo("alice/any", exist_ok=True).repo_id


@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(["models", "datasets"]),
    path=st.sampled_from(_POSTS),
    name=_TEXTS,
    body=_JSON,
    raw=st.none() | st.binary(max_size=20),
)
def test_no_body_is_a_server_error(
    hub: HubUnderTest, any_repo: str, kind: str, path: str, name: str, body: Any, raw: bytes | None
) -> None:
    target = f"/api/{kind}/{any_repo}/{path.format(quote(name, safe=''))}"
    data = json.dumps(body).encode() if raw is None else raw
    headers = {"Content-Type": "application/json"}
    answer = hub.request("POST", target, body=data, token=hub.alice, headers=headers)
    assert answer.status < 500, (target, data)
    checked = hub.request("POST", "/api/validate-yaml", body=data)
    assert checked.status < 500


@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(_GETS) | st.none(),
    kind=st.sampled_from(["models", "datasets", "spaces"]),
    one=_TEXTS,
    other=_TEXTS,
    query=_QUERY,
)
def test_no_address_is_a_server_error(
    hub: HubUnderTest, any_repo: str, path: str | None, kind: str, one: str, other: str,
    query: dict[str, str],
) -> None:  # fmt: skip
    target = f"/api/{kind}"
    if path is not None:
        target += f"/{any_repo}{path.format(quote(one, safe=''), quote(other))}"
    answer = hub.request("GET", f"{target}?{urlencode(query)}", token=hub.alice)
    assert answer.status < 500, (target, query)
