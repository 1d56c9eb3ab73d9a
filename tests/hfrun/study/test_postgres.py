"""Workers over a real PostgreSQL: the same trials, once each, and a killed worker's taken up."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfrun.errors import HfrunError
from hfrun.study.opened import open_study
from hfrun.study.worker import work
from tests.hfrun.study.fake_runs import FakeRuns
from tests.hfrun.study.postgres_server import postgres_server, server_programs
from tests.hfrun.study.study_case import begun_runs, killable_worker, opened_in, study_in

BUDGET = {"trials": 2, "exploit": 1, "finalists": 1}

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.skipif(
    server_programs() is None, reason="no PostgreSQL server here (Debian: postgresql)"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres_server() as found:
        yield found


def test_a_study_in_a_database_is_that_of_a_journal(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeRuns().in_place(monkeypatch)
    found = []
    for name, storage in (("journal", None), ("database", address)):
        opened = opened_in(tmp_path / name, storage=storage, budget=BUDGET)
        work(opened)
        found.append(opened.data().as_dict())
        assert not (tmp_path / "database" / "study" / "journal.log").exists()
    assert found[0] == found[1]


def test_a_killed_workers_trial_is_taken_up_by_another(address: str, tmp_path: Path) -> None:
    raw = study_in(tmp_path, budget={"trials": 4}, storage=address)
    raw["run"]["name"] = "killed"
    workers = [killable_worker(raw, tmp_path, seconds=0.3) for _ in range(2)]
    while not any(line.endswith(f" {workers[0].pid}") for line in begun_runs(tmp_path)):
        time.sleep(0.01)
    os.kill(workers[0].pid, signal.SIGKILL)
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0]
    begun = Counter(line.split()[0] for line in begun_runs(tmp_path))
    assert sorted(begun.values()) == [1, 1, 1, 2]
    ended = (tmp_path / "ended.txt").read_text().splitlines()
    assert sorted(line.split()[0] for line in ended) == [f"{n:03d}" for n in range(4)]


def test_studies_that_begin_at_once_share_an_empty_database(address: str, tmp_path: Path) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    empty = f"{address.rpartition('/')[0]}/empty"
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(3)

    def begin(name: str) -> None:
        raw = study_in(tmp_path / "out", budget={"trials": 2}, storage=empty)
        raw["run"] = {"name": name, "output_dir": str(tmp_path / name[:1])}
        together.wait()
        open_study(raw, source="study.yaml")

    names = ["a'; --", 'b "ü%s', "c" * 100]
    workers = [fork.Process(target=begin, args=(name,)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(HfrunError, match=r"127\.0\.0\.1:1/none cannot be reached") as caught:
        opened_in(tmp_path, storage="postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)
