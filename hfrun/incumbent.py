"""The model in use as a baseline: a candidate is compared with what it would replace.

    gates: {baseline: hub:NAMESPACE/NAME@TAG}

The model is fetched from the hub at that tag, and asked at the candidate's own decisions with its
own window and normalization. It was fitted once, before the first of these decisions; what it has
seen in its training it would predict too well, so a walk-forward that reaches back into it is
refused. A model of another question, market or rule of decisions would be a man of straw, which
any candidate beats: it is refused too, and so is one that cannot answer, before anything is
trained.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedModel

from hfrun.config import HubConfig
from hfrun.errors import HubError, ModelError, WalkForwardError
from hfrun.evaluation.book_warnings import warn_if_unfamiliar
from hfrun.evaluation.predict import open_collator, predict_probabilities, saved_model
from hfrun.hub.environment import prepare_client
from hfrun.models.class_order import class_columns
from hfrun.models.preprocessing import Preprocessing, load_preprocessing
from hfrun.models.raw_book import check_levels
from hfrun.publishing import endpoint_of
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import BacktestConfig, GatesConfig, LabelConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.files import read_json, write_json
from lob_backtest.predictions import Predictions, concatenate, read_predictions, write_predictions
from lob_backtest.prepare import Prepared
from lob_backtest.progress import announce
from lob_backtest.strict_yaml import as_dict

IN_USE = "in_use"  # of a run folder; "hub" is where the demo keeps its hub

_PREFIX = "hub:"
_NAMED = re.compile(r"hub:(?P<repo>[^/@\s]+/[^/@\s]+)@(?P<revision>\S+)")
_RECORD, _TEST, _VALIDATION = "incumbent.json", "predictions.parquet", "validation.parquet"
# What an ``executable`` label is after, of a backtest.
_EXECUTED = ("costs", "latency_ns", "position_limit")


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


def check_names(gates: GatesConfig) -> None:
    """Refuse a strategy of the hub that is not the baseline too: one model is in use.

    Raises:
        WalkForwardError: ``gates.backtest_baseline`` names another model of a hub.
    """
    strategy = gates.backtest_baseline
    if is_of_hub(strategy) and strategy != gates.baseline:
        raise WalkForwardError(
            f"got gates.backtest_baseline {strategy} beside gates.baseline {gates.baseline}; a "
            f"model of a hub is fetched for both: give gates.baseline {strategy} too"
        )


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
    prepare_client()
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


def check_incumbent(
    incumbent: Incumbent, book: Book, prepared: Prepared, backtest: BacktestConfig | None = None
) -> Preprocessing:
    """Refuse a model that cannot be asked at these decisions, or whose comparison would be unfair.

    Args:
        backtest: of the run, which ``executable`` labels are after.

    Returns:
        Its preprocessing.

    Raises:
        ModelError: no model over books, as hfrun push sends it, or one that gives no numbers.
        DataError: it reads books of other levels.
        WalkForwardError: it answers another question, is asked at other times or of another
            market, needs more rows before a decision than there are, or its training reached into
            the candidate's evaluation.
    """
    name = incumbent.name
    try:
        preprocessing = load_preprocessing(incumbent.folder)
        _check_answers(incumbent.folder, preprocessing)
    except ModelError as error:
        raise ModelError(f"{name}: {error}; name a model that hfrun push has sent") from error
    check_levels(preprocessing, book)
    _check_question(incumbent, preprocessing, prepared, backtest)
    _check_market(name, preprocessing, book)
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


def incumbent_predictions(
    incumbent: Incumbent, book: Book, prepared: Prepared, backtest: BacktestConfig | None = None
) -> ModelPredictions:
    """Its probabilities at the candidate's decisions, with the labels of the candidate's folds.

    Made once for each commit and read back when a run is judged again.

    Raises:
        ModelError, DataError, WalkForwardError: as ``check_incumbent``; or it gave no number.
    """
    preprocessing = check_incumbent(incumbent, book, prepared, backtest)
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
        warn_if_unfamiliar(collator.rows, preprocessing, book)
        found = predict_probabilities(model, collator, rows=decisions.rows, label=incumbent.name)
    wrong = int((~np.isfinite(found).all(axis=1)).sum())
    if wrong:
        raise ModelError(f"{incumbent.name}: gave no number at {wrong} of {decisions.n} decisions")
    return found


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


def _check_answers(folder: Path, preprocessing: Preprocessing) -> None:
    """Load it and ask it about nothing: better before a training than after it."""
    model = saved_model(folder, preprocessing)
    class_columns(model.config)
    n_rows, n_columns = preprocessing.window, 4 * preprocessing.levels
    given = {"features": torch.zeros(1, n_rows, n_columns)}
    if preprocessing.hand_scaler is not None:
        given["hand_features"] = torch.zeros(1, len(preprocessing.hand_scaler.mean))
    if not _answers(model, given):
        raise ModelError("its answer to a window of zeros is no number")


def _answers(model: PreTrainedModel, given: dict[str, torch.Tensor]) -> bool:
    with torch.inference_mode():  # from_pretrained has put it to evaluation
        return bool(torch.isfinite(model(**given).logits).all())


def _check_question(
    incumbent: Incumbent,
    preprocessing: Preprocessing,
    prepared: Prepared,
    backtest: BacktestConfig | None,
) -> None:
    asked, answered = (_question(each) for each in (prepared.data.label, preprocessing.label))
    if asked != answered:
        raise WalkForwardError(
            f"{incumbent.name}: got a model of {_listed(answered)}; this run asks for "
            f"{_listed(asked)}: compare models of one question"
        )
    rules = [as_dict(each) for each in (prepared.data.decisions, preprocessing.decisions)]
    if rules[0] != rules[1]:
        raise WalkForwardError(
            f"{incumbent.name}: got a model that decides at {_listed(rules[1])}; this run decides "
            f"at {_listed(rules[0])}, where that model is not in use: compare models of one rule"
        )
    if prepared.data.label.kind != "executable" or backtest is None:
        return
    own, judged = _executed(as_dict(backtest)), _backtests(incumbent.folder)
    if not judged or any(_executed(each) != own for each in judged):
        raise WalkForwardError(
            f"{incumbent.name}: got a model of executable labels that is not known to be of "
            f"{_listed(own)}; its answers are after its own costs: compare models of one question"
        )


def _question(label: LabelConfig) -> dict[str, Any]:
    """What decides a label: where a kind says itself what is flat, no threshold does."""
    keys = ["kind", "horizon_ms", "horizon_events"]
    if label.kind == "triple_barrier":
        keys += ["barrier_volatilities", "volatility_decisions"]
    elif not label.says_flat:
        keys += ["flat_share" if label.threshold_ticks is None else "threshold_ticks"]
    plain = as_dict(label)
    return {key: plain[key] for key in keys}


def _executed(backtest: dict[str, Any]) -> dict[str, Any]:
    return {key: backtest.get(key) for key in _EXECUTED}


def _backtests(folder: Path) -> list[dict[str, Any]]:
    """Those that a pushed run was judged by; the first of them made its labels."""
    path = folder / "run.json"
    run = read_json(path, error=ModelError) if path.is_file() else {}
    scored = run.get("scored", []) if isinstance(run, dict) else []
    found = [each.get("backtest") for each in scored if isinstance(each, dict)]
    return [each for each in found if isinstance(each, dict)]


def _check_market(name: str, preprocessing: Preprocessing, book: Book) -> None:
    known = preprocessing.market
    if known is None:  # a file of before does not say it
        return
    own = book.meta
    if (known.instrument, known.tick_size) != (own.instrument, own.tick_size):
        raise WalkForwardError(
            f"{name}: got a model of {known.instrument} in ticks of {known.tick_size:g}; this "
            f"book is {own.instrument} in ticks of {own.tick_size:g}: compare models of one market"
        )


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
