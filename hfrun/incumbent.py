"""The model in use as a baseline: a candidate is compared with what it would replace.

    gates: {baseline: hub:NAMESPACE/NAME@TAG}

The model is fetched from the hub at that tag, and asked at the candidate's own decisions with its
own window and normalization. It was fitted once, before the first of these decisions; what it has
seen in its training it would predict too well, so a walk-forward that reaches back into it is
refused.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hfrun.config import HubConfig
from hfrun.errors import HubError, WalkForwardError
from hfrun.evaluation.predict import open_collator, predict_probabilities, saved_model
from hfrun.models.preprocessing import Preprocessing, load_preprocessing
from hfrun.models.raw_book import check_levels
from hfrun.publishing import endpoint_of
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.contenders import ModelPredictions
from lob_backtest.files import write_json
from lob_backtest.predictions import Predictions, concatenate, read_predictions, write_predictions
from lob_backtest.prepare import Prepared
from lob_backtest.progress import announce
from lob_backtest.strict_yaml import as_dict

_PREFIX = "hub:"
_NAMED = re.compile(r"hub:(?P<repo>[^/@\s]+/[^/@\s]+)@(?P<revision>\S+)")
_RECORD, _TEST, _VALIDATION = "incumbent.json", "predictions.parquet", "validation.parquet"


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """A model of a hub at one commit, in a folder.

    Attributes:
        name: as the config says it; the baseline's name in the report.
        repo, revision, endpoint: where it was asked for.
        commit: what the revision meant then.
        folder: holds the model's files.
    """

    name: str
    repo: str
    revision: str
    endpoint: str
    commit: str
    folder: Path

    def record(self) -> dict[str, Any]:
        """What run.json and the report say of it."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


def is_of_hub(baseline: str) -> bool:
    """Whether ``gates.baseline`` names a model of a hub."""
    return baseline.startswith(_PREFIX)


def fetch_incumbent(baseline: str, hub: HubConfig, *, folder: Path) -> Incumbent:
    """Fetch a model of the hub into a folder, one below it for each commit.

    The client's cache would not do: it knows repositories by their names alone, whatever hub they
    came from.

    Args:
        baseline: ``hub:NAMESPACE/NAME@TAG``; a branch or a commit does too.
        hub: of the config, for its endpoint.
        folder: of the run.

    Raises:
        HubError: another form, no answer, or no such model, revision or preprocessing.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

    found = _NAMED.fullmatch(baseline)
    if found is None:
        raise HubError(
            f"got gates.baseline {baseline!r}; needed is hub:NAMESPACE/NAME@TAG: without a tag or "
            "a commit, tomorrow's comparison would be with another model"
        )
    repo, revision, endpoint = found["repo"], found["revision"], endpoint_of(hub)
    try:
        commit = HfApi(endpoint=endpoint).model_info(repo, revision=revision).sha
        target = folder / str(commit) / "model"
        if not target.is_dir():
            announce(f"fetching the model in use, {repo} at {revision}, from {endpoint}")
            partial = folder / str(commit) / ".partial"
            snapshot_download(
                repo,
                revision=commit,
                endpoint=endpoint,
                local_dir=partial,
                allow_patterns=["*.json", "*.safetensors"],
                ignore_patterns=["report/*"],
            )
            partial.rename(target)
    except HfHubHTTPError as error:
        reason = error.server_message or str(error).splitlines()[0]
        raise HubError(
            f"{endpoint}: no model {repo} at {revision} for this token: {reason}"
        ) from None
    except (TransportError, OSError, ValueError) as error:
        raise HubError(
            f"gates.baseline {baseline}: got no model from {endpoint} ({error}); start the hub "
            "with hfrun hub serve, or name it with HF_ENDPOINT or hub.endpoint"
        ) from None
    return Incumbent(
        name=baseline,
        repo=repo,
        revision=revision,
        endpoint=endpoint,
        commit=str(commit),
        folder=target,
    )


def check_incumbent(incumbent: Incumbent, book: Book, prepared: Prepared) -> Preprocessing:
    """Refuse a model that cannot be asked at these decisions, or that has seen them.

    Returns:
        Its preprocessing.

    Raises:
        ModelError: no model over books, as hfrun push sends it.
        DataError: it reads books of other levels.
        WalkForwardError: it answers another question, needs more rows before a decision than
            there are, or its training reached into the candidate's evaluation.
    """
    name = incumbent.name
    preprocessing = load_preprocessing(incumbent.folder)
    check_levels(preprocessing, book)
    asked, answered = as_dict(prepared.data.label), as_dict(preprocessing.label)
    other = [key for key in asked if key == "kind" or key.startswith("horizon")]
    if any(asked[key] != answered.get(key) for key in other):
        raise WalkForwardError(
            f"{name}: got a model of {_question(answered)}; this run asks for {_question(asked)}: "
            "compare models of one question"
        )
    decisions = prepared.decisions.select(_asked_about(prepared))
    first_ns = int(decisions.decided_ns[0])
    if first_ns <= preprocessing.train_end_ns:
        raise WalkForwardError(
            f"{name}: got a model whose training looked at data up to "
            f"{preprocessing.train_end_ns} ns, and a first decision to compare at {first_ns} ns: "
            "it has seen the answers. Begin the validation and test blocks later (a book with "
            "later days, a longer walk_forward.train), or name an older tag"
        )
    known_rows = decisions.rows - book.session_starts[decisions.session] + 1
    short = known_rows < preprocessing.window
    if short.any():
        raise WalkForwardError(
            f"{name}: got a model that needs {preprocessing.window} rows of the session at each "
            f"decision, which {int(short.sum())} of {decisions.n} decisions lack; set data.window "
            f"to at least {preprocessing.window}"
        )
    return preprocessing


def incumbent_predictions(incumbent: Incumbent, book: Book, prepared: Prepared) -> ModelPredictions:
    """Its probabilities at the candidate's decisions, with the labels of the candidate's folds.

    Made once for each commit and read back when a run is judged again.
    """
    preprocessing = check_incumbent(incumbent, book, prepared)
    folder = incumbent.folder.parent
    done = folder / _RECORD  # written last; a run folder never changes its decisions and folds
    if done.is_file():
        return ModelPredictions(
            test=read_predictions(folder / _TEST),
            validation=read_predictions(folder / _VALIDATION),
        )
    asked = _asked_about(prepared)
    probability = np.full((prepared.decisions.n, 3), np.nan)
    probability[asked] = _probabilities(incumbent, preprocessing, book, prepared, asked)
    test, validation = (_table(prepared, part, probability) for part in ("test", "validation"))
    write_predictions(test, folder / _TEST)
    write_predictions(validation, folder / _VALIDATION)
    write_json(done, incumbent.record())
    return ModelPredictions(test=test, validation=validation)


def _asked_about(prepared: Prepared) -> IntArray:
    """Numbers of the decisions that are compared, increasing: those of test and validation."""
    parts = [rows for fold in prepared.folds for rows in (fold.validation, fold.test)]
    return np.unique(np.concatenate(parts))


def _probabilities(
    incumbent: Incumbent,
    preprocessing: Preprocessing,
    book: Book,
    prepared: Prepared,
    asked: IntArray,
) -> FloatArray:
    """``(A, 3)`` at the decisions that are asked about."""
    decisions = prepared.decisions.select(asked)
    model = saved_model(incumbent.folder, preprocessing)
    shares = bool(getattr(model, "shares_windows", False))
    with open_collator(
        book, decisions, preprocessing, scratch=incumbent.folder.parent, shares_windows=shares
    ) as collator:
        return predict_probabilities(model, collator, rows=decisions.rows, label=incumbent.name)


def _table(
    prepared: Prepared, part: Literal["test", "validation"], probability: FloatArray
) -> Predictions:
    """One part of all folds; ``probability`` ``(D, 3)`` is of all decisions."""
    return concatenate(
        [
            prepared.predictions(fold, part, probability[getattr(fold, part)])
            for fold in prepared.folds
        ]
    )


def _question(label: dict[str, Any]) -> str:
    """What a label asks, in short."""
    horizon = ", ".join(f"{k} {v}" for k, v in label.items() if k.startswith("horizon") and v)
    return f"{label.get('kind')} ({horizon})"
