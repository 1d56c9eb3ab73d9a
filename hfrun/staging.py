"""What a repository will hold of a run: the model at the top, the records beside it, a card."""

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

from hfrun.errors import HubError
from hfrun.evaluation.text_report import without_texts, write_any_report
from hfrun.hub.card.card_plots import CardPlot, write_card_plots
from hfrun.hub.card.model_card import model_card
from lob_backtest.files import sha256_of, write_json, write_text
from lob_backtest.report import read_report


def stage(folder: Path, staged: Path, *, repo: str, run: dict[str, Any]) -> None:
    """Lay out what the repository will hold: the model at the top, the records beside it.

    The records name files and folders without the way to them on this machine, which is of no use
    to others and may say whose it is; report.html is drawn again from such a report.json. Of texts
    the records hold figures alone, and no text: the rights to those are others'.
    """
    config = run_config(folder)
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
    plots: Sequence[CardPlot] = ()
    if report is not None:
        write_any_report(report, staged / "report")
        plots = write_card_plots(report, staged / "report" / "plots")
    if (folder / "predictions.parquet").is_file() and not of_texts:
        shutil.copyfile(folder / "predictions.parquet", staged / "predictions.parquet")
    card = model_card(
        repo_id=repo,
        run={**run, "config": config},
        report=report,
        model_config=masked,
        plots=plots,
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


def model_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a run's model, by name: what its report is of."""
    return {
        str(path.relative_to(folder / "model")): sha256_of(path)
        for path in sorted((folder / "model").rglob("*"))
        if path.is_file()
    }


def run_config(folder: Path) -> dict[str, Any]:
    """The config.yaml of a run folder.

    Raises:
        HubError: no such file, or no mapping of sections in it.
    """
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
