"""docs/pipeline.md works as it is written, on a finished run in the place of the demo's."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hfrun.evaluation.lob_pipeline import LobClassificationPipeline
from hfrun.evaluation.predict import predict_book
from lob_backtest.predictions import read_predictions
from tests.hfrun.conftest import TinyRun

PAGE = Path(__file__).resolve().parents[3] / "docs/pipeline.md"
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_page_gives_what_hfrun_predict_gives(
    finished_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = tmp_path / "runs/demo"
    demo.mkdir(parents=True)
    (demo / "model").symlink_to(finished_run.folder / "model")
    (demo / "book.parquet").symlink_to(finished_run.book)
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    for code in PYTHON.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(code, str(PAGE), "exec"), found)
    assert predict_book(demo, demo / "book.parquet", tmp_path / "by_predict.parquet") > 10
    ours, theirs = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in
                    ("predictions", "by_predict"))  # fmt: skip
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    table, classify, logits = read_predictions("predictions.parquet"), *map(found.get, ("classify",
                                                                            "logits"))  # fmt: skip
    assert isinstance(classify, LobClassificationPipeline)
    assert isinstance(logits, torch.Tensor)
    last = torch.softmax(logits.detach().double(), dim=1).numpy()
    np.testing.assert_allclose(last, table.probability[-1:], rtol=0, atol=1e-6)
    rows, other = found["rows"], found["other"]
    assert rows == other
    assert isinstance(rows, list)
    assert [row["decided_ns"] for row in rows] == table.decided_ns.tolist()
