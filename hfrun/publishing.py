"""From a finished run to a repository on the hub: model, card, report and predictions."""

import json
import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.config import HubConfig
from hfrun.errors import GatesNotPassedError, HubError
from hfrun.run_folder import read_run
from hfrun.staging import model_files, run_config, stage
from lob_backtest.files import sole_use
from lob_backtest.progress import announce
from lob_backtest.report import read_report
from lob_backtest.strict_yaml import build, finish

DEFAULT_ENDPOINT = "http://127.0.0.1:8765"

# What a push may have left in a repository that the next one has no file for: a report, or weights
# in another cut, would stand beside a model that they are not of. Other files stay.
_OF_A_PUSH = (
    "report/*", "run.json", "run_config.yaml", "predictions.parquet",
    "config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json",
    "pytorch_model*", "preprocessor_config.json", "preprocessing.json", "tokenizer*",
    "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template.*",
)  # fmt: skip


_LONGEST_ID = 96  # as hubs take it; the client's own check looks at the name alone
_JUDGE = "judge it again: run hfrun walk-forward, or hfrun train, with its config"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a run goes: ``namespace/name`` on a hub, and the token that may write there."""

    repo: str
    endpoint: str
    token: str | None
    private: bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a run was sent, the commit that it became, and the tag that names it for good."""

    repo: str
    endpoint: str
    commit: str
    tag: str


def destination(
    hub: HubConfig,
    *,
    repo: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    private: bool | None = None,
) -> Destination:
    """What is given, else what the config's ``hub`` section says, else the environment's.

    Args:
        hub: the section of the run's config.
        repo: ``namespace/name``.
        endpoint: address of the hub; at the last HF_ENDPOINT, then the local hub's own default.
            The public hub is only used when it is named.
        token: a write token; default HF_TOKEN.
        private: whether a repository made by the push is private.

    Raises:
        HubError: no repository is named.
    """
    repo = repo or hub.repo
    if repo is None:
        raise HubError(
            "got no repository to push to: give --repo NAMESPACE/NAME, or set hub.repo in the "
            "config of the run"
        )
    return Destination(
        repo=repo,
        endpoint=endpoint or endpoint_of(hub),
        token=token or os.environ.get("HF_TOKEN"),
        private=hub.private if private is None else private,
    )


def endpoint_of(hub: HubConfig) -> str:
    """The hub that a config means: its own, else the environment's, else the local one."""
    return hub.endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT


def check_destination(where: Destination) -> None:
    """Refuse before a training what would only fail the push after it.

    Raises:
        HubError: a name that is no repository's, a hub that is down, a token that it does not
            know, that only reads, or whose user may not write to the namespace.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    from hfrun.hub.client import check_hub

    try:
        validate_repo_id(where.repo)
    except HFValidationError as error:
        raise HubError(f"got repository {where.repo!r}, not namespace/name: {error}") from None
    if len(where.repo) > _LONGEST_ID:
        raise HubError(
            f"got repository {where.repo}, of {len(where.repo)} characters; take a name that "
            f"leaves it at most {_LONGEST_ID} with its namespace"
        )
    found = check_hub(where.endpoint, where.token)
    role = found.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise HubError(
            f"got a token for {where.endpoint} that only reads; pushing needs one with the role "
            "write: hfrun hub token create USER --root DIR"
        )
    namespace, slash, _ = where.repo.partition("/")
    names = [found["name"], *(org["name"] for org in found.get("orgs", []))]
    if slash and namespace.lower() not in [name.lower() for name in names]:
        raise HubError(
            f"got hub.repo {where.repo}; this token's user may write to {', '.join(names)} on "
            f"{where.endpoint}; take one of these names, or a token of {namespace}"
        )


def publish_run(
    folder: Path,
    *,
    repo: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    private: bool | None = None,
    require_gates: bool | None = None,
    is_held: bool = False,
) -> Published:
    """Push a run's model with a card written from its own records, and tag the commit.

    What is not given is as the run's config.yaml has it (``destination``).

    Args:
        folder: a run folder with ``model/``.
        require_gates: push only a model whose verdict is pass.
        is_held: whether the caller has the sole use of the folder already.

    Raises:
        HubError: no repository is named, the run has no model, its records are not of that model,
            the hub is down, or it refuses the token.
        LobBacktestError: a run, or another push, is at work in the folder.
        GatesNotPassedError: gates are required, and the run has failed one or was not judged.
    """
    from hfrun.hub.client import push_folder

    read_run(folder)  # a folder of no run is refused as such
    with nullcontext() if is_held else sole_use(folder, what="a run or a push"):
        run = read_run(folder)
        section = hub_section(folder)
        where = destination(section, repo=repo, endpoint=endpoint, token=token, private=private)
        if not (folder / "model" / "config.json").is_file():
            raise HubError(
                f"{folder}: no trained model in it yet (model/config.json); finish the run"
            )
        check_records(folder, run)
        if section.require_gates if require_gates is None else require_gates:
            check_gates(folder)
        check_destination(where)
        with tempfile.TemporaryDirectory() as temporary:
            staged = Path(temporary) / "repo"
            stage(folder, staged, repo=where.repo, run=run)
            pushed = push_folder(
                staged,
                repo=where.repo,
                endpoint=where.endpoint,
                token=where.token,
                message=f"Push the run {run['name']}",
                private=where.private,
                tag=run_tag(run),
                replaced=_OF_A_PUSH,
            )
    return Published(repo=where.repo, endpoint=where.endpoint, commit=pushed.commit, tag=pushed.tag)


def run_tag(run: Mapping[str, Any]) -> str:
    """The name of a run for good: its own and the beginning of its identity.

    >>> run_tag({"name": "my run", "identity": "30c1be4e22e90c28"})
    'my-run-30c1be4e22e9'
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "-", str(run["name"])).strip("-") or "run"
    return f"{name[:80]}-{str(run['identity'])[:12]}"


def check_records(folder: Path, run: Mapping[str, Any]) -> None:
    """Refuse records that are not of the model beside them: they would vouch for another.

    Args:
        folder: of the run.
        run: the content of its run.json.

    Raises:
        HubError: a training that has not ended, a report of another run or of another judgement,
            or a model that has changed since it was judged.
    """
    figures = folder / "figures.json"
    if run.get("kind") == "train" and not figures.is_file():
        raise HubError(f"{folder}: its training has not ended (no figures.json); finish the run")
    if not (folder / "report" / "report.json").is_file():
        return
    report = read_report(folder / "report")
    said = report.get("provenance") or {}
    if said.get("identity") != run.get("identity"):
        raise HubError(f"{folder / 'report'}: is the report of another run; {_JUDGE}")
    if (report.get("verdict"), said.get("scored")) != (run.get("verdict"), run.get("scored")):
        raise HubError(
            f"{folder}: report.json has the verdict {report.get('verdict')} and run.json "
            f"{run.get('verdict')}, or they are of two judgements; {_JUDGE}"
        )
    found, judged = model_files(folder), said.get("model_files") or {}
    changed = sorted(name for name, digest in judged.items() if found.get(name) != digest)
    if run.get("kind") == "train" and "training" in run:
        is_same = run["training"].get("folds") == [json.loads(figures.read_text("utf-8"))]
        changed += [] if is_same else ["figures.json"]
    if changed:
        raise HubError(
            f"{folder}: {', '.join(changed)} changed after the report was written, so that it is "
            f"of another model; {_JUDGE}"
        )


def check_gates(folder: Path) -> None:
    """Refuse a run that has not passed its gates.

    Raises:
        GatesNotPassedError: a required gate failed, a leak alarm was raised, or the run was not
            judged.
    """
    if not (folder / "report" / "report.json").is_file():
        raise GatesNotPassedError(
            f"{folder}: got a run without a report; --require-gates needs one with the verdict "
            "pass: judge it with hfrun walk-forward, or push without --require-gates"
        )
    report = read_report(folder / "report")
    required = [gate for gate in report.get("gates") or [] if gate["required"]]
    failed = [gate for gate in required if gate["passed"] is not True]
    raised = [alarm for alarm in report.get("alarms") or [] if alarm["raised"] is True]
    if report.get("verdict") != "pass" or failed or raised or not required:
        reasons = "".join(f"\n  {each['name']}: {each['reason']}" for each in [*failed, *raised])
        raise GatesNotPassedError(
            f"{folder}: got the verdict {report.get('verdict')}; --require-gates needs pass, of at "
            f"least one required gate and without a leak alarm. Nothing was pushed.{reasons}"
        )


def publish_judged(folder: Path, report: Mapping[str, Any]) -> Published | None:
    """Push a run that has just been judged; a hub that has gone costs nothing that was computed.

    Where ``hub.require_gates`` holds back a model that failed one, that is said, and no error.
    """
    announce("pushing to the hub")
    try:
        return publish_run(folder, is_held=True)
    except GatesNotPassedError as refusal:
        announce(str(refusal))
        return None
    except HubError as error:
        raise HubError(
            f"{error}\nThe run itself is finished (verdict: {report['verdict']}) and kept; push it "
            f"with: hfrun push {shlex.quote(str(folder))}"
        ) from error


def hub_section(folder: Path) -> HubConfig:
    """The ``hub`` section of a run's config.yaml.

    Raises:
        ConfigError: a key or value in it is wrong.
    """
    errors: list[str] = []
    section = build(HubConfig, run_config(folder).get("hub", {}), "hub", errors)
    return finish(section, errors, str(folder / "config.yaml"))
