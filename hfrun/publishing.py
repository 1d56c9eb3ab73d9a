"""From a finished run to a repository on the hub: model, card, report and predictions."""

import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from hfrun.config import HubConfig
from hfrun.errors import HubError
from hfrun.evaluation.text_report import without_texts, write_any_report
from hfrun.hub.card import model_card
from hfrun.run_folder import read_run
from lob_backtest.files import write_json, write_text
from lob_backtest.progress import announce
from lob_backtest.report import read_report
from lob_backtest.strict_yaml import build, finish

DEFAULT_ENDPOINT = "http://127.0.0.1:8765"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a run goes: ``namespace/name`` on a hub, and the token that may write there."""

    repo: str
    endpoint: str
    token: str | None
    private: bool


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a run was sent, and the commit that it became."""

    repo: str
    endpoint: str
    commit: str


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
        endpoint=endpoint or hub.endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT,
        token=token or os.environ.get("HF_TOKEN"),
        private=hub.private if private is None else private,
    )


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
) -> Published:
    """Push a run's model with a card written from its own records.

    What is not given is as the run's config.yaml has it (``destination``).

    Args:
        folder: a run folder with ``model/``.

    Raises:
        HubError: no repository is named, the run has no model, the hub is down, or it refuses
            the token.
    """
    from hfrun.hub.client import push_folder

    run = read_run(folder)
    where = destination(
        hub_section(folder), repo=repo, endpoint=endpoint, token=token, private=private
    )
    if not (folder / "model" / "config.json").is_file():
        raise HubError(f"{folder}: no trained model in it yet (model/config.json); finish the run")
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / "repo"
        stage(folder, staged, repo=where.repo, run=run)
        commit = push_folder(
            staged,
            repo=where.repo,
            endpoint=where.endpoint,
            token=where.token,
            message=f"Push the run {run['name']}",
            private=where.private,
        )
    return Published(repo=where.repo, endpoint=where.endpoint, commit=commit)


def publish_judged(folder: Path, report: Mapping[str, Any]) -> Published:
    """Push a run that has just been judged; a hub that has gone costs nothing that was computed."""
    announce("pushing to the hub")
    try:
        return publish_run(folder)
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
    section = build(HubConfig, _config(folder).get("hub", {}), "hub", errors)
    return finish(section, errors, str(folder / "config.yaml"))


def stage(folder: Path, staged: Path, *, repo: str, run: dict[str, Any]) -> None:
    """Lay out what the repository will hold: the model at the top, the records beside it.

    The records name files and folders without the way to them on this machine, which is of no use
    to others and may say whose it is; report.html is drawn again from such a report.json. Of texts
    the records hold figures alone, and no text: the rights to those are others'.
    """
    config = _config(folder)
    known = _known_paths(folder, config)
    shutil.copytree(folder / "model", staged)
    model_config = json.loads((staged / "config.json").read_text("utf-8"))
    if (masked := without_paths(model_config, known)) != model_config:
        write_json(staged / "config.json", masked)
    run = without_paths(run, known)
    config = without_paths(config, known)
    report = None
    if (folder / "report" / "report.json").is_file():
        report = without_paths(read_report(folder / "report"), known)
    of_texts = (report or {}).get("kind") == "text"
    if of_texts:
        run, report = without_texts(run), without_texts(report)
    write_json(staged / "run.json", run)
    write_text(
        staged / "run_config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    )
    if report is not None:
        write_any_report(report, staged / "report")
    if (folder / "predictions.parquet").is_file() and not of_texts:
        shutil.copyfile(folder / "predictions.parquet", staged / "predictions.parquet")
    card = model_card(
        repo_id=repo, run={**run, "config": config}, report=report, model_config=masked
    )
    write_text(staged / "README.md", card)


# An absolute path of at least two parts, or one that begins with ~ or climbs with ..; a slash
# within a word (and/or, namespace/name) or after a scheme (http://) begins none.
_PATH = re.compile(
    r"""(?:(?<=file://)|(?<![\w/.~@-]))
        (?: (?:~[\w.-]*|\.\.(?:/\.\.)*) (?:/[\w.@+][^\s/"'<>,;:{}\[\]()=|]*)+
          | (?:/[\w.@+][^\s/"'<>,;:{}\[\]()=|]*){2,} )""",
    re.VERBOSE,
)


_BEGINS_A_PATH = ("/", "~", "..")


def without_paths(value: Any, known: Mapping[str, str]) -> Any:
    """The same JSON value with each path in its texts reduced to its last part.

    Args:
        value: what run.json, report.json or a config holds.
        known: paths that are surely some, and what stands for each: they may hold spaces.

    >>> without_paths({"command": "hfrun train /home/me/a.yaml data.book=/data/b.parquet"}, {})
    {'command': 'hfrun train a.yaml data.book=b.parquet'}
    """
    if isinstance(value, dict):
        return {
            key: without_paths(
                _with_short_words(item) if key == "command" and isinstance(item, str) else item,
                known,
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_paths(item, known) for item in value]
    if not isinstance(value, str):
        return value
    for path in sorted(known, key=len, reverse=True):
        value = value.replace(path, known[path])
    return _PATH.sub(lambda found: PurePath(found.group()).name, value)


def _with_short_words(command: str) -> str:
    """A command whose words, or values of ``key=value``, are names where they were paths.

    Only its words show where a path with spaces ends.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a lone quotation mark
        return command
    parts = [word.rpartition("=") for word in words]
    return shlex.join(
        f"{key}{equals}{PurePath(value).name if value.startswith(_BEGINS_A_PATH) else value}"
        for key, equals, value in parts
    )


def _known_paths(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """Absolute paths that the run's config names, and this run's own folder."""
    data, model = config.get("data", {}), config.get("model", {})
    named = [
        config.get("run", {}).get("output_dir"),
        *(data.get(key) for key in ("book", "train", "validation", "test", "source")),
        *(model.get(key) for key in ("pretrained", "tokenizer")),
        str(folder),
        str(folder.resolve()),
    ]
    absolute = [text for text in named if isinstance(text, str) and PurePath(text).is_absolute()]
    return {text: PurePath(text).name for text in absolute if PurePath(text).name}


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.is_file():
        raise HubError(f"{path}: no such file; give the folder of a run (run.output_dir)")
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise HubError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(config, dict):
        raise HubError(f"{path}: got {type(config).__name__}; a config is a mapping of sections")
    return config
