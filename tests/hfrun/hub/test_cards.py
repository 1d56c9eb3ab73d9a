"""What is said of a card's metadata, and that no card harms those who list it."""

import base64
import json
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCardData, ModelCard, ModelCardData, SpaceCardData
from huggingface_hub.hf_api import ModelInfo
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.hub.descriptions.card_checks import problems, without_wrong_types
from hfrun.hub.descriptions.metadata import card_metadata, tags
from tests.hfrun.hub.conftest import HubUnderTest


def card(**metadata: Any) -> str:
    return f"---\n{yaml.safe_dump(metadata)}---\n# Card\n"


def messages(hub: HubUnderTest, content: str, repo_type: str = "model") -> tuple[int, list, list]:
    """Status, errors and warnings."""
    body = {"content": content, "repoType": repo_type}
    answer = hub.request("POST", "/api/validate-yaml", body=body)
    said = answer.json()
    return answer.status, *([m["message"] for m in said[k]] for k in ("errors", "warnings"))


def test_a_sound_card_is_accepted_without_a_word(hub: HubUnderTest) -> None:
    metric = {"type": "accuracy", "value": 0.5, "name": "Accuracy"}
    result = {
        "task": {"type": "tabular-classification"},
        "dataset": {"type": "btc", "name": "BTC"},
        "metrics": [metric],
    }
    sound = card(
        license="mit",
        language=["en", "code"],
        tags=["order-book"],
        library_name="transformers",
        pipeline_tag="tabular-classification",
        base_model="alice/deeplob",
        datasets=["alice/books", "imdb"],
        **{"model-index": [{"name": "m", "results": [result]}]},
    )
    assert messages(hub, sound) == (200, [], [])
    assert messages(hub, card(title="App", sdk="gradio", colorFrom="red"), "space")[0] == 200
    assert (
        messages(hub, card(license=["mit", "other"], size_categories="n<1K"), "dataset")[0] == 200
    )


def test_missing_metadata_and_unlisted_tasks_are_warnings(hub: HubUnderTest) -> None:
    missing = ["empty or missing yaml metadata in repo card"]
    assert messages(hub, "# Only text") == (200, [], missing)
    assert messages(hub, "---\n---\n# Empty") == (200, [], missing)
    status, errors, warned = messages(hub, card(pipeline_tag="lob-classification"))
    assert (status, errors) == (200, [])
    assert warned == ['The pipeline tag "lob-classification" is not in the official list']


@pytest.mark.parametrize(
    ("repo_type", "metadata", "message"),
    [
        ("model", {"license": "my-own"}, '"license" must be one of [apache-2.0, mit, '),
        ("model", {"license": ["mit", "MIT"]}, '"license[1]" must be one of [apache-2.0, '),
        ("model", {"tags": "book"}, '"tags" must be an array'),
        ("model", {"tags": [1]}, '"tags[0]" must be a string'),
        ("model", {"language": False}, '"language" must be a string'),  # YAML 1.1 of Norwegian
        ("model", {"language": "english"}, '"language" with value "english" is not valid. It mu'),
        ("model", {"widget": {}}, '"widget" must be an array'),
        ("model", {"base_model": "/tmp/m"}, '"base_model" with value "/tmp/m" is not valid. Use'),
        ("model", {"datasets": ["a b"]}, '"datasets[0]" with value "a b" is not valid. If poss'),
        ("model", {"model-index": {}}, '"model-index" must be an array'),
        ("model", {"model-index": [{"name": "m"}]}, '"model-index[0].results" is required'),
        (
            "model",
            {"model-index": [{"name": "m", "results": [{"task": {"type": "t"}, "metrics": 1}]}]},
            '"model-index[0].results[0].dataset" is required',
        ),
        ("model", {"self": 1}, '"self" is not allowed'),
        ("dataset", {"configs": "train.csv"}, '"configs" must be an array'),
        ("space", {"colorFrom": "teal"}, '"colorFrom" must be one of [red, yellow, green, blue, '),
        ("space", {"sdk": "flask"}, '"sdk" must be one of [gradio, streamlit, docker, static]'),
        ("space", {"pinned": "yes"}, '"pinned" must be a boolean'),
        ("space", {"short_description": "x" * 61}, '"short_description" length must be less th'),
    ],
)  # fmt: skip
def test_each_mistake_is_an_error_in_the_words_people_look_up(
    hub: HubUnderTest, repo_type: str, metadata: dict[str, Any], message: str
) -> None:
    status, errors, _ = messages(hub, card(**metadata), repo_type)
    assert status == 400
    assert errors[0].startswith(message)


@pytest.mark.parametrize(
    "yaml_text",
    ["a: [1", "- list", "a: &x [1]\nb: *x", "a: !!bool maybe", "a: !!timestamp soon", "? [a]\n: 1",
     "a: 2024-02-31", "a: !!python/object:os.system {}",
     "a: " + "9" * 5000, "a: !!int ''", "a: " + "[" * 1200],
)  # fmt: skip
def test_broken_front_matter_is_one_error(hub: HubUnderTest, yaml_text: str) -> None:
    status, errors, warned = messages(hub, f"---\n{yaml_text}\n---\n")
    assert (status, len(errors), warned) == (400, 1, [])


def test_the_clients_own_validation_shows_the_errors_as_text(
    hub: HubUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    bad = ModelCard(card(license="asdf", pipeline_tag="new"))
    with pytest.raises(ValueError, match=r'^- Error: "license" must be one of \[apache-2.0.*'):
        bad.validate()
    bad.data.license = "mit"
    bad.validate()


def test_thousands_of_mistakes_get_a_short_answer(hub: HubUnderTest) -> None:
    text = card(license=["x"] * 3_000)
    answer = hub.request("POST", "/api/validate-yaml", body={"content": text})
    assert answer.status == 400
    assert len(answer.body) < 50_000


def test_tags_are_the_cards_own_and_what_its_fields_imply() -> None:
    model = {
        "tags": ["book", 5],
        "library_name": "peft",
        "license": "mit",
        "language": ["en", "de"],
        "datasets": "imdb",
        "base_model": "alice/m",
    }
    assert tags(model) == [
        "book", "peft", "license:mit", "dataset:imdb", "en", "de", "base_model:alice/m",
        "base_model:adapter:alice/m",
    ]  # fmt: skip
    data = {"language": "en", "task_categories": ["tabular-classification"], "license": ["mit"]}
    assert tags(data, kind="datasets") == [
        "license:mit", "language:en", "task_categories:tabular-classification",
    ]  # fmt: skip


_KEYS = st.sampled_from(
    ["tags", "license", "model-index", "eval_results", "model_name", "datasets", "base_model",
     "self", "ignore_metadata_errors", "train-eval-index", "widget", "configs", "title", "x"]
)  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text("ab\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "results", "task", "dataset", "type", "metrics", "source"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=80)
@given(metadata=st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_what_is_left_of_any_metadata_can_be_built_into_the_clients_objects(
    metadata: dict[str, Any],
) -> None:
    classes = {"models": ModelCardData, "datasets": DatasetCardData, "spaces": SpaceCardData}
    for kind, build in classes.items():
        left = without_wrong_types(metadata, kind=kind)
        build(**left, ignore_metadata_errors=True)
        for problem in problems(metadata, kind=kind):
            assert problem.key in metadata or problem.key == ""
    tags(metadata)
    tags(metadata, kind="datasets")


@pytest.mark.parametrize("deep", ["[" * 60 + "]" * 60, "\n" + "- " * 60 + "a", "[" * 90_000])
def test_front_matter_that_is_nested_without_end_is_a_value_error(deep: str) -> None:
    with pytest.raises(ValueError, match="in each other"):
        card_metadata(f"---\na: {deep}\n---\n")


def test_front_matter_with_an_alias_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="aliases"):
        card_metadata("---\na: &x [1]\nb: [*x, *x]\n---\n")


@settings(deadline=None, max_examples=100)
@given(text=st.text("abz:- \n[]{}!&*#?|>'\"%@`\t,.0123456789~=\\\ud800é", max_size=60))
def test_any_front_matter_gives_plain_json_or_a_value_error(text: str) -> None:
    try:
        found = card_metadata(f"---\n{text}\n---\n")
    except ValueError:
        return
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_hostile_card_that_was_committed_anyway_breaks_no_listing(
    hub: HubUnderTest, repo: str
) -> None:
    hostile = card(
        tags=5,
        self="x",
        ignore_metadata_errors=True,
        license="mine",
        **{"model-index": [{"name": "m", "results": [{"task": {"type": "t"}, "source": "s"}]}]},
    )
    body = (
        b'{"key": "header", "value": {"summary": "hostile"}}\n'
        + json.dumps(
            {"key": "file", "value": {"path": "README.md", "content": _base64(hostile)}}
        ).encode()
    )
    answer = hub.request("POST", f"/api/models/{repo}/commit/main", body=body, token=hub.alice)
    assert answer.status == 200
    listed = {m.id: m for m in hub.api().list_models(full=True, author="alice")}
    found: ModelInfo = listed[repo]
    assert found.card_data is not None
    assert (found.card_data.license, found.tags) == ("mine", ["license:mine"])
    assert hub.api().model_info(repo).card_data.to_dict() == {"license": "mine"}


def _base64(text: str) -> str:

    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "body",
    [{}, {"content": 5}, {"content": "", "repoType": "kernel"}, {"content": "", "repoType": []}],
)
def test_a_body_without_a_card_is_refused(hub: HubUnderTest, body: dict[str, Any]) -> None:
    assert hub.request("POST", "/api/validate-yaml", body=body).status == 400
