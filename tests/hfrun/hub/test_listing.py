"""Finding repositories as the clients ask for them, and what is said of each."""

import json
import struct
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import numpy as np
import pytest
from huggingface_hub import CommitOperationAdd, ModelInfo, hf_api
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from hfrun.hub.descriptions import model_files
from hfrun.hub.descriptions.description import PROPERTIES
from hfrun.hub.descriptions.finding import parameters_between
from hfrun.hub.descriptions.weights import header, parameters
from hfrun.hub.names import RepoId
from hfrun.hub.refusals import BadRequestError as Refused
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.tree import Put, lfs_entry, regular_entry
from tests.hfrun.hub.conftest import HubUnderTest


def stored(
    hub: HubUnderTest, repo: str, kind: str = "models", *, private: bool = False, **changes: Any
) -> None:
    """Make a repository in the folder of the hub, with these settings."""
    namespace, name = repo.split("/")
    repo_id = RepoId(kind=kind, namespace=namespace, name=name)
    sdk = "static" if kind == "spaces" else None
    store = HubStore(hub.root)
    store.create(repo_id, private=private, author=namespace, sdk=sdk).change_settings(**changes)


def add(hub: HubUnderTest, repo: str, kind: str = "models", **files: bytes) -> str:
    """Commit files; a double underscore in a name is a dot, and weights are large files."""
    repository = HubStore(hub.root).find(kind, *repo.split("/"))
    puts = []
    for name, data in files.items():
        sha256 = repository.objects.put(data)
        is_large = "safetensors" in name and "json" not in name
        entry = lfs_entry(sha256, len(data)) if is_large else regular_entry(data, sha256)
        puts.append(Put(path=name.replace("__", "."), entry=entry))
    made = repository.add_commit(
        branch="main", changes=puts, title="t", message="", author="a", parent=None
    )
    return made.id


@pytest.fixture(scope="module")
def shelf(hub: HubUnderTest) -> list[str]:
    """Five models of one user, oldest first, each with its times set apart."""
    names = [f"shelf/{name}" for name in ("a", "b", "c", "d", "e")]
    for i, name in enumerate(names):
        stored(hub, name, created_at=f"2024-01-0{i + 1}T00:00:00.000Z", gated="auto" * (i == 1))
        tags = f"---\ntags: [n{i % 2}, all]\nlicense: mit\npipeline_tag: t{i % 2}\n---\n"
        weights = save({"w": np.zeros((10, 10**i), np.float32)})
        add(hub, name, README__md=tags.encode(), model__safetensors=weights)
    return names


def ids(found: Any) -> list[str]:
    return [row.id for row in found]


def test_everything_that_is_asked_narrows_a_list_down(hub: HubUnderTest, shelf: list[str]) -> None:
    api = hub.anonymous()
    a, b, c, d, e = shelf
    assert sorted(ids(api.list_models(author="Shelf"))) == shelf
    assert sorted(ids(api.list_models(search="SHELF/C"))) == [c]
    assert sorted(ids(api.list_models(author="shelf", filter="n1"))) == [b, d]
    assert sorted(ids(api.list_models(author="shelf", filter=["all", "license:mit", "n0"]))) == [
        a, c, e,
    ]  # fmt: skip
    assert sorted(ids(api.list_models(author="shelf", pipeline_tag="t1"))) == [b, d]
    assert ids(api.list_models(author="shelf", gated=True)) == [b]
    assert sorted(ids(api.list_models(author="shelf", gated=False))) == [a, c, d, e]
    assert sorted(ids(api.list_models(author="shelf", num_parameters="min:100,max:1K"))) == [b, c]
    assert ids(api.list_models(author="shelf", filter="missing")) == []
    assert ids(api.list_models(author="shelf", trained_dataset="imdb")) == []


def test_what_this_hub_does_not_have_is_an_empty_list_or_refused(
    hub: HubUnderTest, shelf: list[str]
) -> None:
    api = hub.anonymous()
    assert ids(api.list_models(author="shelf", inference="warm")) == []
    assert ids(api.list_models(author="shelf", inference_provider="together")) == []
    with pytest.raises(BadRequestError, match="does not know which apps"):
        list(api.list_models(apps="vllm"))
    for query in ("sort=size", "limit=x", "cursor=e30=", "num_parameters=huge", "expand=all"):
        word = query.partition("=")[0]
        answer = hub.request("GET", f"/api/models?{query}")
        assert answer.status == 400
        assert word in answer.json()["error"]


def test_lists_are_sorted_by_time_and_by_what_nobody_counts(
    hub: HubUnderTest, shelf: list[str]
) -> None:
    api = hub.anonymous()
    newest_first = shelf[::-1]
    for sort in ("created_at", "likes", "downloads", "trending_score"):
        assert ids(api.list_models(author="shelf", sort=sort)) == newest_first  # type: ignore[arg-type]
    raw = hub.request("GET", "/api/models?author=shelf&sort=createdAt&direction=1").json()
    assert [row["id"] for row in raw] == shelf
    assert ids(api.list_models(author="shelf", sort="created_at", limit=2)) == newest_first[:2]
    times = [m.last_modified for m in api.list_models(author="shelf", sort="last_modified")]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("direction", ["-1", "1"])
def test_pages_hold_while_repositories_come_and_go(hub: HubUnderTest, direction: str) -> None:
    owner = f"flow{direction.strip('-')}{'n' * ('-' in direction)}"
    names = [f"{owner}/m{i}" for i in range(6)]
    for i, name in enumerate(names):
        stored(hub, name, created_at=f"2024-01-0{i + 2}T00:00:00.000Z")
    target = f"/api/models?author={owner}&sort=createdAt&direction={direction}&limit=2"
    seen: list[str] = []
    step = 0
    while target:
        answer = hub.request("GET", target)
        seen += [row["id"] for row in answer.json()]
        link = answer.headers["Link"]
        target = link.partition(">")[0].removeprefix(f"<{hub.endpoint}") if link else ""
        # One more at either end, and one gone that was seen.
        for day in ("01", "28"):
            stored(hub, f"{owner}/new-{day}-{step}", created_at=f"2024-01-{day}T00:00:00.000Z")
        if step == 0:
            gone = RepoId(kind="models", namespace=owner, name=seen[0].split("/")[1])
            HubStore(hub.root).delete(gone)
        step += 1
        assert step < 20  # what comes at the far end is listed too, and there is an end to it
    before = names if direction == "1" else names[::-1]
    assert [name for name in seen if "new" not in name] == before
    assert len(seen) == len(set(seen))


def test_rows_say_no_more_than_was_asked(hub: HubUnderTest, shelf: list[str]) -> None:
    def row(**asked: Any) -> dict[str, Any]:
        query = urlencode({"author": "shelf", "search": "shelf/a", **asked}, doseq=True)
        (found,) = hub.request("GET", f"/api/models?{query}").json()
        return dict(found)

    usual = row()
    assert not usual.keys() & {"cardData", "siblings", "config", "safetensors", "usedStorage"}
    assert usual["downloads"] == usual["likes"] == 0
    assert row(cardData="true")["cardData"]["license"] == "mit"
    assert [s["rfilename"] for s in row(full="True")["siblings"]] == [
        ".gitattributes", "README.md", "model.safetensors",
    ]  # fmt: skip
    assert row(expand=["sha", "gguf"]).keys() == {"id", "sha"}
    expanded = next(iter(hub.anonymous().list_models(search="shelf/b", expand=["safetensors"])))
    assert expanded.safetensors == {"parameters": {"F32": 100}, "total": 100}


def test_every_property_that_clients_name_is_known(hub: HubUnderTest, shelf: list[str]) -> None:
    for kind, literal in (
        ("models", hf_api.ExpandModelProperty_T),
        ("datasets", hf_api.ExpandDatasetProperty_T),
        ("spaces", hf_api.ExpandSpaceProperty_T),
    ):
        assert set(get_args(literal)) <= PROPERTIES[kind].keys()
    every = list(get_args(hf_api.ExpandModelProperty_T))
    found = hub.anonymous().model_info(shelf[2], expand=every)
    assert (found.author, found.likes, found.used_storage) == (
        "shelf", 0, sum(s["size"] for s in _blobs(hub, shelf[2])),
    )  # fmt: skip


def _blobs(hub: HubUnderTest, repo: str) -> list[dict[str, Any]]:
    return list(hub.request("GET", f"/api/models/{repo}?blobs=true").json()["siblings"])


def test_the_info_of_a_model_tells_what_its_files_say(hub: HubUnderTest, repo: str) -> None:
    config = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    weights = save({"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.float16)})
    add(
        hub, repo,
        config__json=json.dumps(config).encode(),
        tokenizer_config__json=b'{"pad_token": "<pad>", "x": 1}',
        model__safetensors=weights,
    )  # fmt: skip
    info: ModelInfo = hub.api().model_info(repo, files_metadata=True)
    assert info.config == {**config, "tokenizer_config": {"pad_token": "<pad>"}}
    assert info.safetensors == {"parameters": {"F32": 6, "F16": 5}, "total": 11}
    assert info.transformers_info == {
        "auto_model": "AutoModelForSequenceClassification",
        "custom_class": None,
        "pipeline_tag": "text-classification",
        "processor": "AutoTokenizer",
    }
    assert (info.library_name, info.pipeline_tag) == ("transformers", "text-classification")
    assert info.tags == ["transformers", "bert", "safetensors"]
    assert {s.rfilename: s.size for s in info.siblings}["model.safetensors"] == len(weights)
    assert hub.api().get_safetensors_metadata(repo).parameter_count == info.safetensors.parameters
    listed = next(iter(hub.api().list_models(search=repo, fetch_config=True)))
    assert listed.config == info.config


def test_a_classifier_without_a_tokenizer_is_no_classifier_of_texts(
    hub: HubUnderTest, repo: str
) -> None:
    add(hub, repo, config__json=b'{"architectures": ["DeepLobForSequenceClassification"]}')
    info = hub.api().model_info(repo)
    assert info.transformers_info.auto_model == "AutoModelForSequenceClassification"
    assert (info.pipeline_tag, info.library_name) == (None, "transformers")


def test_sharded_weights_are_summed_and_their_headers_given_at_once(
    hub: HubUnderTest, repo: str
) -> None:
    index = {
        "metadata": {"total_size": 44},
        "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"},
    }
    files = {
        "m-1__safetensors": save({"a": np.zeros((2, 3), np.float32)}),
        "m-2__safetensors": save({"b": np.zeros(5, np.float32)}),
        "model__safetensors__index__json": json.dumps(index).encode(),
    }
    add(hub, repo, **files)
    assert hub.api().model_info(repo).safetensors == {"parameters": {"F32": 11}, "total": 11}
    found = hub.api().get_sharded_safetensors_metadata(repo)
    assert (found.parameter_count, found.metadata) == ({"F32": 11}, {"total_size": 44})
    assert found.weight_map == index["weight_map"]
    with pytest.raises(HfHubHTTPError, match="404"):
        hub.api().get_sharded_safetensors_metadata(repo, filename="missing.json")


_SHAPES = st.lists(st.integers(-2, 10**30) | st.text(max_size=1) | st.none(), max_size=4)
_TENSORS = st.dictionaries(
    st.text(max_size=3),
    st.none() | st.fixed_dictionaries({}, optional={"dtype": st.just("F32"), "shape": _SHAPES}),
    max_size=3,
)


@settings(deadline=None, max_examples=80)
@given(
    data=st.binary(max_size=40)
    | _TENSORS.map(
        lambda t: (text := json.dumps(t).encode(), struct.pack("<Q", len(text)) + text)[1]
    )
)
def test_any_header_of_weights_is_counted_or_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.write_bytes(data)
    try:
        counts = parameters(header(file), file_bytes=len(data))
    except ValueError:
        return
    assert sum(counts.values()) <= 2 * len(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 20, struct.pack("<Q", 10**6) + b"{}", struct.pack("<Q", 2) + b"[]",
     struct.pack("<Q", 7) + b'{"a":1}'],
)  # fmt: skip
def test_broken_weights_and_configs_describe_nothing_and_spoil_nothing(
    hub: HubUnderTest, repo: str, data: bytes
) -> None:
    add(
        hub, repo, model__safetensors=data, config__json=b"[" * 5000,
        tokenizer_config__json=b'{"pad_token": "\\ud800", "eos_token": 1e999}',
    )  # fmt: skip
    info = hub.api().model_info(repo)
    assert info.safetensors is None
    assert info.config == {"tokenizer_config": {"pad_token": "?", "eos_token": "Infinity"}}


def test_files_are_read_once_for_all_listings(
    hub: HubUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HubStore(tmp_path)
    repo_id = RepoId(kind="models", namespace="a", name="m")
    repository = store.create(repo_id, private=False, author="a", sdk=None)
    data = b"---\nlicense: mit\n---\nread once"
    entry = regular_entry(data, store.objects.put(data))
    read: list[Path] = []

    def slow(file: Path) -> str:
        read.append(file)
        return "value"

    for _ in range(3):
        assert model_files.read_once(repository, entry, "test", slow, "") == "value"
    assert len(read) == 1


def test_private_repositories_are_counted_for_nobody_else(hub: HubUnderTest) -> None:
    stored(hub, "alice/hidden-shelf", private=True)
    add(hub, "alice/hidden-shelf", README__md=b"---\ntags: [hidden-tag]\n---\n")
    for api in (hub.anonymous(), hub.api(hub.bob)):
        assert ids(api.list_models(search="hidden-shelf")) == []
        assert "hidden-tag" not in json.dumps(api.get_model_tags())
    assert ids(hub.api().list_models(search="hidden-shelf")) == ["alice/hidden-shelf"]
    own = hub.request("GET", "/api/models-tags-by-type", token=hub.alice).json()
    assert {"type": "other", "id": "hidden-tag", "label": "hidden-tag"} in own["other"]


def test_data_sets_are_found_by_the_fields_of_their_cards(hub: HubUnderTest) -> None:
    card = b"---\nlanguage: en\ntask_categories: [tabular-classification]\nlicense: mit\n---\n"
    stored(hub, "shelf/data", kind="datasets")
    add(hub, "shelf/data", kind="datasets", README__md=card, train__csv=b"a,b\n1,2\n")
    api = hub.anonymous()
    assert ids(api.list_datasets(language="en", author="shelf")) == ["shelf/data"]
    assert ids(api.list_datasets(task_categories=["tabular-classification"])) == ["shelf/data"]
    assert ids(api.list_datasets(language="de", author="shelf")) == []
    assert ids(api.list_datasets(dataset_name="dat", search="shelf")) == ["shelf/data"]
    found = api.dataset_info("shelf/data", expand=["mainSize", "tags"])
    assert found.main_size == sum(
        s.size for s in api.dataset_info("shelf/data", files_metadata=True).siblings
    )
    assert {"type": "license", "id": "license:mit", "label": "mit"} in api.get_dataset_tags()[
        "license"
    ]


def test_spaces_are_found_by_what_they_use_and_do_not_run(
    hub: HubUnderTest, shelf: list[str]
) -> None:
    stored(hub, "shelf/app", kind="spaces")
    card = b"---\ntitle: App\nsdk: static\nmodels: [shelf/a]\ntags: [metric]\n---\n"
    add(hub, "shelf/app", kind="spaces", README__md=card)
    api = hub.anonymous()
    assert ids(api.list_spaces(models="shelf/a")) == ["shelf/app"]
    assert ids(api.list_spaces(datasets="shelf/data")) == []
    assert "shelf/app" in ids(api.list_spaces(linked=True))
    assert ids(api.list_spaces(filter="metric", author="shelf")) == ["shelf/app"]
    info = api.space_info("shelf/app")
    assert (info.sdk, info.models, info.runtime.stage) == ("static", ["shelf/a"], "STOPPED")
    assert api.get_space_runtime("shelf/app").stage == "STOPPED"
    assert hub.request("GET", "/api/models/shelf/a/runtime").status == 404


def test_existence_is_told_in_the_clients_own_way(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    assert api.repo_exists(repo)
    assert not api.repo_exists(f"{repo}-not")
    assert not api.repo_exists(repo, repo_type="dataset")
    assert api.revision_exists(repo, "main")
    assert not api.revision_exists(repo, "missing")
    assert api.file_exists(repo, ".gitattributes")
    assert not api.file_exists(repo, "missing.txt")


def test_ones_own_repositories_are_listed_with_the_bytes_of_all_their_revisions(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    for content in (b"1" * 1000, b"2" * 500):
        api.create_commit(repo, [CommitOperationAdd("a.txt", content)], commit_message="a")
    (initial,) = (s["size"] for s in _blobs(hub, repo) if s["rfilename"] == ".gitattributes")
    rows = {(row.type, row.id): row for row in api.list_user_repos()}
    mine = rows["model", repo]
    assert (mine.storage, mine.visibility) == (initial + 1500, "public")
    assert isinstance(mine.updated_at, datetime)
    assert {row.id.split("/")[0] for row in rows.values()} == {"alice"}
    assert ids(api.list_user_repos(namespace="bob")) == []
    with pytest.raises(HfHubHTTPError, match="401"):
        list(hub.anonymous().list_user_repos())


@settings(deadline=None, max_examples=80)
@given(text=st.text("minax:,.0123456789KMBT -", max_size=20))
def test_any_bounds_are_numbers_or_refused(text: str) -> None:
    try:
        least, most = parameters_between(text)
    except Refused:
        return
    assert least >= 0
    assert most >= 0


def test_a_damaged_repository_is_left_out_of_lists_that_need_what_it_lost(
    hub: HubUnderTest,
) -> None:
    for name in ("broken/m", "broken/n"):
        stored(hub, name)
    repository = HubStore(hub.root).find("models", "broken", "m")
    (tree,) = (repository.folder / "trees").iterdir()
    content = tree.read_bytes()
    tree.unlink()
    api = hub.anonymous()
    assert ids(api.list_models(author="broken")) == ["broken/n"]
    assert ids(api.list_models(author="broken", full=True)) == ["broken/n"]
    tree.write_bytes(content)
    assert sorted(ids(api.list_models(author="broken"))) == ["broken/m", "broken/n"]
