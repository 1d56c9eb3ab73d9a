"""Whatever happens to the files of a hub: it is told without a crash, and repair loses nothing."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hfrun.errors import HubError
from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.maintenance.check import check
from hfrun.hub.maintenance.repair import repair
from hfrun.hub.names import RepoId
from hfrun.hub.store import repository as repository_module
from hfrun.hub.store.hub_store import HubStore
from tests.hfrun.hub.maintenance.conftest import build, small

_OWN_RULES = ("hub.json", "locks", "quarantine")  # the marker of a hub is not mended
_SCRAPS = [b"", b"{", b"[]", b"null", b"{}", b"[[" * 5000, b'{"a": 1}', b"\xff\xfe", b"0" * 40,
           b'{"repo_id": 3}', b'{"a.txt": {"oid": 1}}', b"9" * 5000]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sample = build(tmp_path_factory.mktemp("whole") / "hub")
    Discussions(sample.model).open_with_commit(
        target="main", changes=[small(sample.model, "x", b"x")], title="A change", message="",
        author="Bob", parent=None,
    )  # fmt: skip
    other = RepoId(kind="spaces", namespace="desk", name="s")
    sample.store.create(other, private=False, author="Alice", sdk="static")
    sample.store.move(other, RepoId(kind="spaces", namespace="desk", name="t"))
    return sample.root


def files(root: Path) -> list[Path]:
    found = (p for p in sorted(root.rglob("*")) if p.is_file())
    return [p for p in found if p.relative_to(root).parts[0] not in _OWN_RULES]


def harm(root: Path, rng: np.random.Generator) -> str:
    """Damage one file, in one of the ways of disks, of broken copies and of hands."""
    path = files(root)[int(rng.integers(len(files(root))))]
    data = path.read_bytes()
    path.chmod(0o644)
    kind = str(rng.choice(["lose", "flip", "cut", "scrap", "rename", "swap", "folder"]))
    if kind == "lose" or (kind in ("flip", "cut") and not data):
        path.unlink()
    elif kind == "flip":
        at = int(rng.integers(len(data)))
        path.write_bytes(
            data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
        )
    elif kind == "cut":
        path.write_bytes(data[: int(rng.integers(len(data)))])
    elif kind == "scrap":
        path.write_bytes(_SCRAPS[int(rng.integers(len(_SCRAPS)))])
    elif kind == "rename":
        path.rename(path.with_name(str(rng.choice(["x", "0" * 40, "0" * 64, "0" * 40 + ".json"]))))
    elif kind == "swap":
        other = files(root)[int(rng.integers(len(files(root))))]
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
        path.mkdir()
    return f"{kind} {path.relative_to(root)}"


def contents(root: Path) -> Counter[bytes]:
    kept = (p for p in root.rglob("*") if p.is_file() and p.relative_to(root).parts[0] != "locks")
    return Counter(path.read_bytes() for path in kept)


def break_and_mend(whole: Path, root: Path, seed: int) -> None:
    repository_module._trees.clear()
    shutil.copytree(whole, root)
    rng = np.random.default_rng(seed)
    done = [harm(root, rng) for _ in range(int(rng.integers(1, 5)))]
    before = contents(root)
    first = check(root)
    assert contents(root) == before, done  # a check changes nothing
    report = repair(root, rewind=bool(seed % 2))
    lost = before - contents(root)
    # Only notes of uploads, which are empty, are ever removed at this age.
    assert set(lost) <= {b""}, (done, lost)
    assert not first.is_sound or report.is_sound, done
    again = repair(root, rewind=bool(seed % 2))
    assert (again.mended, again.findings) == ((), report.findings), done
    if report.is_sound:
        readable(root)


def readable(root: Path) -> None:
    """A hub that is called sound can be listed, and every file of every ref be read."""
    store = HubStore(root)
    for kind in ("models", "datasets", "spaces"):
        for repository in store.repositories(kind):
            heads = [c for refs in ("heads", "tags", "pr") for c in repository.refs(refs).values()]
            for commit in (c for head in heads for c in repository.history(head)):
                for entry in repository.tree(commit).values():
                    assert repository.content(entry).stat().st_size == entry.size
            list(Discussions(repository))


@pytest.mark.parametrize("seed", range(15))
def test_any_damage_is_told_and_mended_without_loss(whole: Path, tmp_path: Path, seed: int) -> None:
    break_and_mend(whole, tmp_path / "hub", seed)


@pytest.mark.slow
def test_hundreds_of_kinds_of_damage(whole: Path, tmp_path: Path) -> None:
    for seed in range(1000, 1300):
        break_and_mend(whole, tmp_path / "hub", seed)
        shutil.rmtree(tmp_path / "hub")


def test_a_marker_that_is_damaged_is_refused_in_words(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "hub")
    for scrap in (b"", b"{", b"[]", b"null", b"{}", b'{"format": 99}'):
        (tmp_path / "hub" / "hub.json").write_bytes(scrap)
        with pytest.raises(HubError, match=r"marker|format"):
            check(tmp_path / "hub")
