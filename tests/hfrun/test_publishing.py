"""Pushing a run: when the config says so, to where it says, and without this machine's paths."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import HfApi, snapshot_download
from transformers import AutoModelForSequenceClassification

from hfrun import publishing
from hfrun.cli import main as hfrun
from hfrun.config import HubConfig
from hfrun.errors import HubError
from hfrun.hub.client import push_folder
from hfrun.models.preprocessing import load_preprocessing
from hfrun.publishing import DEFAULT_ENDPOINT, destination, publish_run, run_tag
from hfrun.run_folder import read_run
from hfrun.staging import stage, without_paths
from lob_backtest.book import write_book
from lob_backtest.errors import LobBacktestError
from lob_backtest.files import sole_use
from lob_backtest.predictions import read_predictions
from lob_backtest.report.page import report_page
from lob_backtest.synthetic import synthetic_book
from tests.hfrun.conftest import TinyRun, UserHub

PLOTS = {f"report/plots/{name}.png" for name in ("costs", "equity", "folds", "reliability")}
PUSHED = {"README.md", "config.json", "model.safetensors", "predictions.parquet",
          "preprocessor_config.json", "report/report.html", "report/report.json", "run.json",
          "run_config.yaml", *PLOTS}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_hub_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def staged(finished_run: TinyRun, tmp_path: Path) -> Path:
    folder = tmp_path / "staged"
    stage(finished_run.folder, folder, repo="alice/tiny", run=read_run(finished_run.folder))
    return folder


def hub_options(**values: str) -> list[str]:
    return [f"hub.{key}={value}" for key, value in values.items()]


def pushed_files(hub: UserHub, repo: str) -> set[str]:
    files = HfApi(endpoint=hub.endpoint, token=hub.alice).list_repo_files(repo)
    return set(files) - {".gitattributes"}


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    error = capsys.readouterr().err
    assert (code, error.count("error: ")) == (2, 1), error
    assert "Traceback" not in error
    return error


def test_a_staged_run_is_the_model_with_its_records(staged: Path) -> None:
    files = {str(p.relative_to(staged)) for p in staged.rglob("*") if p.is_file()}
    assert files == PUSHED


def test_no_staged_file_holds_a_path_of_this_machine(staged: Path, finished_run: TinyRun) -> None:
    original = (finished_run.folder / "report/report.html").read_text("utf-8")
    assert str(finished_run.home) in original  # so there is something to hide
    secret = [str(finished_run.home), finished_run.home.name, str(finished_run.home.parent)]
    for path in staged.rglob("*"):
        if path.is_file():
            held = [text for text in secret if text.encode() in path.read_bytes()]
            assert (path.name, held) == (path.name, [])


def test_what_stands_for_a_path_is_its_last_part(staged: Path, finished_run: TinyRun) -> None:
    run = json.loads((staged / "run.json").read_text("utf-8"))
    assert run["data"][0]["path"] == "book.parquet"
    assert "home of somebody" in read_run(finished_run.folder)["command"]
    expected = "hfrun walk-forward config.yaml run.output_dir=run"
    assert run["command"] == run["scored"][0]["command"] == expected
    config = yaml.safe_load((staged / "run_config.yaml").read_text("utf-8"))
    assert (config["run"]["output_dir"], config["data"]["book"]) == ("run", "book.parquet")
    report = json.loads((staged / "report/report.json").read_text("utf-8"))
    assert report["provenance"]["config"] == config
    assert (staged / "report/report.html").read_text("utf-8") == report_page(report)
    assert "hfrun walk-forward config.yaml" in (staged / "README.md").read_text("utf-8")


def test_figures_are_staged_as_they_were_found(staged: Path, finished_run: TinyRun) -> None:
    def plain(path: Path) -> dict[str, object]:
        text = path.read_text("utf-8").replace(f"{finished_run.home}/", "")
        found: dict[str, object] = json.loads(text)
        del found["provenance"]
        return found

    report = "report/report.json"
    assert plain(staged / report) == plain(finished_run.folder / report)
    for name in ("predictions.parquet", "model/model.safetensors", "model/config.json"):
        copied = staged / name.removeprefix("model/")
        assert copied.read_bytes() == (finished_run.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/home/me/runs/a", "a"),
        ("train /home/me/a.yaml data.book=/d/b.pq x=1", "train a.yaml data.book=b.pq x=1"),
        ("data={book: /data/deep/b.parquet, window: 20}", "data={book: b.parquet, window: 20}"),
        ("~/books/b.parquet and ../../other/b.parquet", "b.parquet and b.parquet"),
        ("see file:///home/me/report.html.", "see file://report.html."),
        ("('/home/me/x', '/home/me/y')", "('x', 'y')"),
        ("/known place/with spaces/run/model", "run/model"),
        # these are no paths of a machine
        ("configs/demo.yaml and runs/demo", "configs/demo.yaml and runs/demo"),
        ("http://127.0.0.1:8765/alice/tiny", "http://127.0.0.1:8765/alice/tiny"),
        ("BTC/USD, and/or, 3 / 4, +/- 0.1", "BTC/USD, and/or, 3 / 4, +/- 0.1"),
    ],
)  # fmt: skip
def test_paths_are_told_from_what_only_has_a_slash(text: str, masked: str) -> None:
    known = {"/known place/with spaces/run": "run"}
    assert without_paths({"a": [text, 1, None, True]}, known) == {"a": [masked, 1, None, True]}


def test_a_command_is_masked_word_by_word() -> None:
    run = {"command": "hfrun train '/my home/a b.yaml' 'data.book=~/x y/b.parquet' run.seed=1"}
    assert without_paths(run, {}) == {
        "command": "hfrun train 'a b.yaml' data.book=b.parquet run.seed=1"
    }
    assert without_paths({"command": "it's /home/me/x"}, {}) == {"command": "it's x"}


def test_a_published_run_comes_back_with_equal_logits(
    finished_run: TinyRun, user_hub: UserHub, tmp_path: Path
) -> None:
    published = publish_run(
        finished_run.folder, repo="alice/tiny", endpoint=user_hub.endpoint, token=user_hub.alice
    )
    assert (published.repo, published.endpoint) == ("alice/tiny", user_hub.endpoint)
    assert pushed_files(user_hub, "alice/tiny") == PUSHED
    loaded = snapshot_download(
        "alice/tiny",
        revision=published.commit,
        endpoint=user_hub.endpoint,
        token=False,
        cache_dir=tmp_path,
    )
    features = torch.randn(4, 20, 8, generator=torch.Generator().manual_seed(0))
    logits = []
    for folder in (finished_run.folder / "model", loaded):
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        with torch.no_grad():
            logits.append(model(features=features).logits)
    assert torch.equal(*logits)


def test_a_published_skip_path_predicts_on_later_days_what_the_run_does(
    unstarted_run: TinyRun, user_hub: UserHub, tmp_path: Path
) -> None:
    chosen = ("model.type=mlp", "model.config={frames: 3, width: 8, depth: 1, skip: true}")
    assert unstarted_run.again(*chosen, command="train") in (0, 3)
    published = publish_run(
        unstarted_run.folder, repo="alice/skip", endpoint=user_hub.endpoint, token=user_hub.alice
    )
    snapshot_download(
        "alice/skip",
        revision=published.commit,
        endpoint=user_hub.endpoint,
        token=False,
        local_dir=tmp_path / "downloaded/model",
    )
    folders = (unstarted_run.folder, tmp_path / "downloaded")
    saved = [load_preprocessing(folder / "model") for folder in folders]
    assert saved[0].hand_scaler is not None
    assert saved[0].hand_scaler == saved[1].hand_scaler
    assert saved[0].normalizer == saved[1].normalizer
    assert "and `hand_features` of shape (B, 26)." in (
        tmp_path / "downloaded/model/README.md"
    ).read_text("utf-8")
    later = tmp_path / "later.parquet"
    book = synthetic_book(days=3, rows_per_day=300, levels=2, signal=1.0, seed=4)
    write_book(book, later)
    tables = []
    for folder in folders:
        output = tmp_path / f"{folder.name}.parquet"
        assert hfrun(["predict", str(folder), "--book", str(later), "-o", str(output)]) == 0
        tables.append(read_predictions(output))
    assert tables[0].n > 100
    assert np.array_equal(tables[0].probability, tables[1].probability)
    assert tables[0].probability.std(axis=0).min() > 0.001


@pytest.mark.slow
def test_each_piece_of_code_on_a_card_runs_as_it_is_printed(
    finished_run: TinyRun, user_hub: UserHub, tmp_path: Path
) -> None:
    where = {"repo": "alice/printed", "endpoint": user_hub.endpoint, "token": user_hub.alice}
    publish_run(finished_run.folder, **where, private=True)
    book = synthetic_book(days=2, rows_per_day=300, levels=2, signal=1.0, seed=4)
    write_book(book, tmp_path / "book.parquet")
    readme = HfApi(endpoint=user_hub.endpoint, token=user_hub.alice).hf_hub_download(
        "alice/printed", "README.md", cache_dir=tmp_path / "cache"
    )
    codes = re.findall(r"```python\n(.*?)```", Path(readme).read_text("utf-8"), re.DOTALL)
    environment = {
        **os.environ,
        "HF_ENDPOINT": user_hub.endpoint,
        "HF_TOKEN": user_hub.alice,
        "HF_HOME": str(tmp_path / "hf_home"),
        "OMP_NUM_THREADS": "1",
    }
    assert len(codes) == 2
    for code, shown in zip(codes, ("len(rows)", "model.config.model_type"), strict=True):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nprint({shown})"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-1] not in ("", "0")


@pytest.mark.parametrize("command", ["walk-forward", "train"])
def test_a_config_that_says_push_is_pushed_after_its_report(
    command: str,
    unstarted_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    hub = hub_options(push="true", repo=f"alice/{command}", endpoint=user_hub.endpoint)
    code = unstarted_run.again(*hub, "--json", command=command)
    assert code == (3 if command == "walk-forward" else 0)
    summary = json.loads(capsys.readouterr().out)
    api = HfApi(endpoint=user_hub.endpoint, token=user_hub.alice)
    assert summary["published"] == {
        "repo": f"alice/{command}",
        "endpoint": user_hub.endpoint,
        "commit": api.model_info(f"alice/{command}").sha,
        "tag": run_tag(read_run(unstarted_run.folder)),
    }
    assert pushed_files(user_hub, f"alice/{command}") == PUSHED


@pytest.mark.parametrize(
    ("token", "hub", "message"),
    [
        ("alice", {"repo": "alice/x", "endpoint": "http://127.0.0.1:9"}, "hfrun hub serve"),
        (None, {"repo": "alice/x"}, "got no token"),
        ("wrong", {"repo": "alice/x"}, "refused the token"),
        ("alice_reads", {"repo": "alice/x"}, "needs one with the role write"),
        ("bob", {"repo": "alice/x"}, "this token's user may write to bob"),
        ("alice", {"repo": "alice/no such name"}, "not namespace/name"),
        ("alice", {"repo": f"alice/{'n' * 91}"}, "leaves it at most 96"),
        ("alice", {}, "push: true needs repo: NAMESPACE/NAME"),
    ],
)
def test_a_push_that_cannot_work_is_refused_before_anything_is_trained(
    token: str | None,
    hub: dict[str, str],
    message: str,
    unstarted_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_HOME", str(unstarted_run.home))  # nobody is logged in there
    monkeypatch.setenv("HF_ENDPOINT", user_hub.endpoint)
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", getattr(user_hub, token, "hf_wrong"))
    code = unstarted_run.again(*hub_options(push="true", **hub))
    assert message in refused(capsys, code)
    assert not unstarted_run.folder.exists()


def test_a_hub_that_goes_away_during_the_training_costs_only_the_push(
    own_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lost(*arguments: object, **named: object) -> None:
        raise HubError("lost the hub")

    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    monkeypatch.setattr(publishing, "publish_run", lost)
    hub = hub_options(push="true", repo="alice/lost", endpoint=user_hub.endpoint)
    error = refused(capsys, own_run.again(*hub, "backtest.costs.fee_bps=3"))
    assert "lost the hub" in error
    assert f"hfrun push '{own_run.folder}'" in error
    report = json.loads((own_run.folder / "report/report.json").read_text("utf-8"))
    assert report["provenance"]["config"]["backtest"]["costs"]["fee_bps"] == 3


def test_push_takes_repository_endpoint_and_privacy_from_the_runs_config(
    own_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = {"repo": "alice/from-config", "endpoint": user_hub.endpoint, "private": "true"}
    own_run.again(*hub_options(**hub))
    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the config is nearer
    capsys.readouterr()
    assert hfrun(["push", str(own_run.folder)]) == 0
    printed = capsys.readouterr().out
    said = rf"alice/from-config at {user_hub.endpoint}, commit \w{{40}}, tag tiny-\w{{12}}\n"
    assert re.fullmatch(said, printed)
    api = HfApi(endpoint=user_hub.endpoint, token=user_hub.alice)
    assert api.model_info("alice/from-config").private is True
    named = ["--repo", "alice/from-line", "--no-private"]  # the command line is nearer still
    assert hfrun(["push", str(own_run.folder), *named]) == 0
    assert api.model_info("alice/from-line").private is False


def test_a_tag_names_one_content_of_a_run_for_good(own_run: TinyRun, user_hub: UserHub) -> None:
    where = {"repo": "alice/tagged", "endpoint": user_hub.endpoint, "token": user_hub.alice}
    first = publish_run(own_run.folder, **where)
    assert publish_run(own_run.folder, **where) == first  # nothing new, nothing named anew
    own_run.again("backtest.costs.fee_bps=3")  # the same run, judged at other costs
    second = publish_run(own_run.folder, **where)
    assert second.tag == f"{first.tag}-2"
    tags = HfApi(endpoint=user_hub.endpoint, token=user_hub.alice).list_repo_refs("alice/tagged")
    assert {t.name: t.target_commit for t in tags.tags} == {
        first.tag: first.commit,
        second.tag: second.commit,
    }


def passed(gates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**gate, "passed": True} for gate in gates]


def change_json(path: Path, **changed: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changed}), "utf-8")


def test_records_of_another_model_are_not_pushed(own_run: TinyRun) -> None:
    def push() -> None:
        where = {"repo": "alice/stale", "endpoint": "http://127.0.0.1:9", "token": "hf_any"}
        publish_run(own_run.folder, **where)

    run = own_run.folder / "run.json"
    written = run.read_text("utf-8")
    with pytest.raises(HubError, match="got no answer"):
        push()  # whole: only the hub is not there
    for changed, message in (
        ({"identity": "0" * 64}, "is the report of another run"),
        ({"verdict": "pass"}, "verdict fail and run.json pass"),
        ({"scored": []}, "are of two judgements"),
        ({"kind": "train"}, "its training has not ended"),
    ):
        change_json(run, **changed)
        with pytest.raises(HubError, match=message):
            push()
        run.write_text(written, "utf-8")
    weights = own_run.folder / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(HubError, match=r"model\.safetensors changed after the report was written"):
        push()


def test_folds_that_are_fitted_anew_replace_the_model_beside_the_report(own_run: TinyRun) -> None:
    weights = own_run.folder / "model/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"!")  # of an older fitting, as far as anybody can tell
    assert own_run.again() == 3
    assert weights.read_bytes() == whole
    assert not list(own_run.folder.glob(".model*"))


def test_a_run_at_work_in_its_folder_is_not_pushed(own_run: TinyRun) -> None:
    with (
        sole_use(own_run.folder, what="a run"),
        pytest.raises(LobBacktestError, match="a run or a push is at work here already"),
    ):
        publish_run(own_run.folder, repo="alice/x", endpoint=DEFAULT_ENDPOINT, token="hf_any")


def test_a_push_leaves_no_report_or_weights_of_the_model_before(
    own_run: TinyRun, user_hub: UserHub, tmp_path: Path
) -> None:
    where = {"repo": "alice/replaced", "endpoint": user_hub.endpoint, "token": user_hub.alice}
    publish_run(own_run.folder, **where)
    others = {"model-00001-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"}
    kept = {"LICENSE", "notes/model.safetensors"}
    (tmp_path / "by hand/notes").mkdir(parents=True)
    for name in others | kept:
        (tmp_path / "by hand" / name).write_text("{}", "utf-8")
    push_folder(tmp_path / "by hand", message="by hand", **where)
    assert pushed_files(user_hub, "alice/replaced") == PUSHED | others | kept
    (own_run.folder / "report/report.json").unlink()
    (own_run.folder / "predictions.parquet").unlink()
    publish_run(own_run.folder, **where)
    without_records = {n for n in PUSHED if not n.startswith(("report/", "predictions."))}
    assert pushed_files(user_hub, "alice/replaced") == without_records | kept


def test_required_gates_hold_back_a_model_that_failed_one_or_was_not_judged(
    own_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    monkeypatch.setenv("HF_ENDPOINT", user_hub.endpoint)
    push = ["push", str(own_run.folder), "--repo", "alice/gated-push", "--require-gates"]
    capsys.readouterr()
    assert hfrun(push) == 3
    error = capsys.readouterr().err
    report = json.loads((own_run.folder / "report/report.json").read_text("utf-8"))
    failed = [g["name"] for g in report["gates"] if g["required"] and not g["passed"]]
    assert failed
    assert "got the verdict fail; --require-gates needs pass" in error
    assert all(f"\n  {name}: " in error for name in failed)
    (own_run.folder / "report/report.json").rename(own_run.folder / "elsewhere.json")
    assert hfrun(push) == 3
    assert "got a run without a report" in capsys.readouterr().err
    api = HfApi(endpoint=user_hub.endpoint, token=user_hub.alice)
    assert not api.repo_exists("alice/gated-push")
    report["verdict"] = "pass"  # a verdict alone does not vouch for the gates
    run = {**read_run(own_run.folder), "verdict": "pass"}
    (own_run.folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    for gates, alarms in (
        (report["gates"], []),
        ([], []),
        (passed(report["gates"]), [{"name": "leak", "raised": True, "reason": "too good"}]),
    ):
        written = {**report, "gates": gates, "alarms": alarms}
        (own_run.folder / "report/report.json").write_text(json.dumps(written), encoding="utf-8")
        assert hfrun(push) == 3
        assert "--require-gates needs pass" in capsys.readouterr().err
    assert not api.repo_exists("alice/gated-push")
    report["gates"] = passed(report["gates"])
    (own_run.folder / "report/report.json").write_text(json.dumps(report), encoding="utf-8")
    assert hfrun([*push, "--json"]) == 0
    published = json.loads(capsys.readouterr().out)
    assert api.model_info("alice/gated-push", revision=published["tag"]).sha == published["commit"]


def test_a_config_may_require_the_gates_and_a_failed_run_then_only_says_so(
    own_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", user_hub.alice)
    hub = {"push": "true", "require_gates": "true", "repo": "alice/held-back"}
    code = own_run.again(*hub_options(**hub, endpoint=user_hub.endpoint), "--json")
    printed = capsys.readouterr()
    assert (code, json.loads(printed.out)["published"]) == (3, None)
    assert "--require-gates needs pass" in printed.err
    api = HfApi(endpoint=user_hub.endpoint, token=user_hub.alice)
    assert not api.repo_exists("alice/held-back")


def test_pushing_to_no_repository_asks_for_one(
    finished_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, hfrun(["push", str(finished_run.folder)]))
    assert "give --repo NAMESPACE/NAME, or set hub.repo" in error


def test_pushing_with_a_bad_token_is_one_message(
    finished_run: TinyRun,
    user_hub: UserHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    where = ["--repo", "alice/x", "--endpoint", user_hub.endpoint]
    error = refused(capsys, hfrun(["push", str(finished_run.folder), *where]))
    assert f"{user_hub.endpoint} refused the token" in error


def test_a_run_without_a_model_is_not_pushed(own_run: TinyRun) -> None:
    (own_run.folder / "model/config.json").unlink()
    with pytest.raises(HubError, match="no trained model in it yet"):
        publish_run(own_run.folder, repo="alice/x", endpoint=DEFAULT_ENDPOINT, token="hf_any")


def test_the_public_hub_is_never_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert destination(HubConfig(repo="a/b")).endpoint == "http://127.0.0.1:8765"
    monkeypatch.setenv("HF_ENDPOINT", "http://hub:1")
    assert destination(HubConfig(repo="a/b")).endpoint == "http://hub:1"
    assert destination(HubConfig(repo="a/b", endpoint="http://own:2")).endpoint == "http://own:2"
