"""The page's code by id and revision, in a user's own process: of the hub, then of the cache."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lob_backtest.book import write_book
from tests.hfrun.evaluation.pipeline_case import (
    chances,
    pipe_of,
    preprocessing_of,
    run_with,
    three_sessions,
)
from tests.hfrun.hub.conftest import HubUnderTest

ASK = Path(__file__).with_name("ask_pipeline.py")
PAGE = Path(__file__).resolve().parents[3] / "docs/pipeline.md"


def page_code(repo: str, revision: str) -> str:
    [code] = re.findall(r"```python hub\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code.count("alice/deeplob") == code.count('"v1"') == 1
    return code.replace("alice/deeplob", repo).replace('"v1"', f'"{revision}"')


def ask(code: str, folder: Path, **variables: str) -> Any:
    environment = {**os.environ, "HF_HOME": str(folder / "home"), **variables}
    done = subprocess.run(
        [sys.executable, str(ASK), code], cwd=folder, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def pushed(hub: HubUnderTest, repo: str, tmp_path: Path) -> Any:
    """The answers of the model under v1; main holds another one since."""
    book, api = three_sessions(), hub.api()
    write_book(book, tmp_path / "book.parquet")
    answers = []
    for kind in ("mlp", "linear"):
        run = run_with(tmp_path / kind, preprocessing_of(book, skip=kind == "mlp"), kind)
        api.upload_folder(repo_id=repo, folder_path=run / "model")
        if kind == "mlp":
            api.create_tag(repo, tag="v1")
        answers.append(pipe_of(run)(book, in_sample="leave_out"))
    assert np.abs(chances(answers[0]) - chances(answers[1])).max() > 0.01
    return answers[0]


@pytest.mark.slow  # a process of its own; in this one the page's code is tested elsewhere
def test_the_page_answers_by_id_and_tag_from_the_hub(
    hub: HubUnderTest, repo: str, pushed: Any, tmp_path: Path
) -> None:
    said = ask(page_code(repo, "v1"), tmp_path, HF_ENDPOINT=hub.endpoint)
    assert said["imported"] == []
    assert [row["decided_ns"] for row in said["rows"]] == [row["decided_ns"] for row in pushed]
    np.testing.assert_allclose(chances(said["rows"]), chances(pushed), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_after_one_load_it_answers_without_the_hub(
    hub: HubUnderTest, repo: str, pushed: Any, tmp_path: Path
) -> None:
    code = page_code(repo, "v1")
    once = ask(code, tmp_path, HF_ENDPOINT=hub.endpoint)
    again = ask(code, tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert again["rows"] == once["rows"]
    np.testing.assert_allclose(chances(again["rows"]), chances(pushed), rtol=0, atol=1e-6)
