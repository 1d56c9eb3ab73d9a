"""The parts of the pages by themselves: words, addresses, differences, folders, lines to paste."""

import doctest
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.hub.names import RepoId
from hfrun.hub.pages import addresses, differences, files, words
from hfrun.hub.pages.addresses import Addresses
from hfrun.hub.pages.differences import MAX_PAIRS_OF_LINES, MAX_SHOWN_LINES, difference
from hfrun.hub.pages.facts import facts
from hfrun.hub.pages.files import crumbs, folder_items
from hfrun.hub.pages.loading import OWN_MODEL_TYPES, environment_lines, loading_lines
from hfrun.hub.pages.rendering import STYLE_SHEET
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry, folders, regular_entry
from tests.hfrun.hub.pages.furnished import commit, made

SOME = regular_entry(b"x", "0" * 64)
_NAME = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/"), min_size=1)
_LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


@pytest.mark.parametrize("module", [words, addresses, differences, files], ids=str)
def test_examples_of_the_docstrings_hold(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@given(text=st.text(max_size=40))
def test_shown_text_has_no_character_that_hides_or_turns_it(text: str) -> None:
    shown = words.visible(text)
    hidden = [c for c in text if not (c.isprintable() or c in "\n\t" or ord(c) in (0x200C, 0x200D))]
    assert not {*shown} & {c for c in hidden if c in "\u202a\u202b\u202d\u202e\u2066\u2067\u200b\0"}
    if not hidden:
        assert shown == text


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [(0.5, ".3f", "0.500"), (-0.0, "+.2%", "−0.00%"), (1e300, ",.2f", "1.000e+300"),
     (None, ".3g", "–"), (-1234.5, ",.2f", "−1,234.50")],
)  # fmt: skip
def test_figures_are_written_briefly_whatever_they_are(
    value: float | None, form: str, shown: str
) -> None:
    assert words.figure(value, form) == shown
    assert words.measure("precision@k").title == "precision@k"


@given(revision=_NAME, path=st.lists(_NAME, min_size=1, max_size=3))
def test_an_address_holds_revision_and_path_whatever_they_are(
    revision: str, path: list[str]
) -> None:
    to = Addresses(repo_id=RepoId(kind="spaces", namespace="a", name="b"))
    address = urlsplit(to.blob(revision, "/".join(path)))
    assert (address.query, address.fragment) == ("", "")
    segments = [unquote(segment) for segment in address.path.split("/")]
    assert segments == ["", "spaces", "a", "b", "blob", revision, *path]


# Differences


def applied(old: list[str], shown: list[differences.Line]) -> list[str]:
    """The new text from the old one and the lines that are shown; what is not shown is kept."""
    new: list[str] = []
    at = 0
    for line in shown:
        if line.sign == "@":
            while len(new) < int(line.text.removeprefix("line ")) - 1:
                new.append(old[at])
                at += 1
        elif line.sign == "+":
            new.append(line.text)
        else:
            assert old[at] == line.text
            if line.sign == " ":
                new.append(line.text)
            at += 1
    return new + old[at:]


@given(old=_LINES, new=_LINES)
def test_the_shown_lines_lead_from_the_old_text_to_the_new_one(
    old: list[str], new: list[str]
) -> None:
    found = difference(old, new)
    assert applied(old, list(found.lines)) == new
    assert (found.note is not None) == (old == new)


def test_differences_are_bounded_in_lines_and_work() -> None:
    many = [str(i) for i in range(2000)]
    added = difference([], many)
    assert len(added.lines) == MAX_SHOWN_LINES
    assert added.note == f"Only the first {MAX_SHOWN_LINES} lines are shown."
    assert len(many) ** 2 > MAX_PAIRS_OF_LINES
    assert difference(many, many[::-1]).note == "Too many lines to be compared here."
    one = difference(many, [*many[:1000], "other", *many[1001:]])
    assert [line.sign for line in one.lines] == ["@", *"   ", "-", "+", *"   "]
    long = difference([], ["x" * 10_000])
    assert len(long.lines[-1].text) < 400


# Folders


@given(paths=st.sets(st.lists(_NAME, min_size=1, max_size=3).map("/".join), max_size=12))
def test_every_file_is_reached_through_its_folders_and_once(paths: set[str]) -> None:
    tree = dict.fromkeys(paths - folders(paths), SOME)
    reached: list[str] = []

    def walk(folder: str) -> int:
        items = folder_items(tree, folder, {})
        reached.extend(item.path for item in items if item.entry is not None)
        for item in items:
            assert item.n_bytes == (walk(item.path) if item.entry is None else 1)
        return sum(item.n_bytes for item in items)

    assert walk("") == len(tree)
    assert sorted(reached) == sorted(tree)


def test_the_way_to_a_file_names_every_folder_once() -> None:
    assert crumbs("a/b/c.txt") == [("a", "a"), ("b", "a/b"), ("c.txt", "a/b/c.txt")]
    assert crumbs("") == []


# Lines to paste


@pytest.fixture
def model(tmp_path: Path) -> Repository:
    return made(HubStore(tmp_path / "hub"), "alice/m")


def tree_with(repository: Repository, config: bytes) -> dict[str, Entry]:
    return {"config.json": regular_entry(config, repository.objects.put(config))}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (b'{"model_type": "deeplob"}', ["import hfrun.models", "AutoModelForSequenceClass"]),
        (b'{"architectures": ["BertForSequenceClassification"]}', ["AutoModelForSequenceClass"]),
        (b'{"architectures": ["BertModel"]}', ["import AutoModel\n"]),
        (b'{"architectures": {"a": 1}, "model_type": 3}', ["import AutoModel\n"]),
        (b'{"model_type": ["deeplob"]}', ["import AutoModel\n"]),
        (b"[]", ["import AutoModel\n"]),
        (b"{" * 100_000, ["import AutoModel\n"]),
    ],
)
def test_lines_to_load_a_model_fit_its_config(
    model: Repository, config: bytes, expected: list[str]
) -> None:
    lines = loading_lines(model, tree_with(model, config), revision="main")
    assert all(part in lines for part in expected)
    assert ("import hfrun.models" in lines) == ("import hfrun.models" in expected)
    compile(lines, "pasted", "exec")


@pytest.mark.parametrize("revision", ["main", "run/1", "it's", 'a"b', "v1.0"])
def test_lines_to_paste_are_python_for_any_revision(model: Repository, revision: str) -> None:
    tree = {"README.md": SOME}
    compile(loading_lines(model, tree, revision=revision), "pasted", "exec")


def test_our_own_models_are_those_that_are_registered() -> None:
    from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig
    from hfrun.models.registry import BOOK_MODELS

    registered = {kind.config.model_type for kind in BOOK_MODELS.values()}
    assert registered | {LlamaClassifierConfig.model_type} == OWN_MODEL_TYPES


def test_an_address_that_a_shell_would_run_is_quoted() -> None:
    assert environment_lines("http://h:1").startswith("export HF_ENDPOINT=http://h:1\n")
    assert "'http://h;rm'" in environment_lines("http://h;rm")


# The whole


def test_lost_objects_leave_what_is_said_without_them(tmp_path: Path) -> None:
    repository = made(HubStore(tmp_path / "hub"), "alice/lost")
    texts = {"README.md": "# lost", "report/report.json": "{}", "a.txt": "1"}
    found = repository.commit(commit(repository, "Push", texts))
    for entry in repository.tree(found).values():
        repository.content(entry).unlink()
    said = facts(repository, found, with_report=True)
    assert (said.tags, said.verdict) == ((), None)
    assert loading_lines(repository, repository.tree(found), revision="main")


def test_the_style_sheet_asks_for_nothing() -> None:
    text = STYLE_SHEET.decode()
    assert "url(" not in text
    assert "@import" not in text
    assert text.count("{") == text.count("}")
