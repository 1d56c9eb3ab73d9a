"""Train a classifier of texts and judge it once on the test part.

    files ─► audit ─► tokens ─► training ─► checkpoint ─► predictions ─► calibration ─► report

What the run folder holds beside DESIGN's files: ``audit.json``, ``calibration.json``,
``validation_predictions.parquet``, and ``figures.json``, written when the training is whole. An
interrupted run goes on from its newest whole checkpoint; a finished one is only judged anew.
"""

import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState
from transformers import set_seed

from hfrun.closing import close_run
from hfrun.config import TextRunConfig, effective_yaml
from hfrun.data.audit import AuditReport, audit_texts, require_clean, write_audit
from hfrun.data.text_batches import TextCollator, Tokens
from hfrun.data.texts import TextPart, TextSplits, read_splits, with_known_labels
from hfrun.evaluation.calibration import calibrate, write_calibration
from hfrun.evaluation.text_baselines import BASELINES, text_baselines
from hfrun.evaluation.text_judge import judge_texts
from hfrun.evaluation.text_predictions import (
    TextPredictions,
    read_text_predictions,
    write_text_predictions,
)
from hfrun.evaluation.text_predictor import predict_tokens
from hfrun.evaluation.text_report import write_text_report
from hfrun.fitting import (
    TEST_FILE,
    VALIDATION_FILE,
    FoldFiles,
    chosen_figures,
    training_figures,
)
from hfrun.incumbent import is_of_hub
from hfrun.models.llama_weights import merge_lora
from hfrun.publishing import check_destination, destination, publish_judged
from hfrun.run_folder import claim_run_folder, read_run, with_scoring, write_scoring
from hfrun.summary import Summary
from hfrun.text_trainer import (
    TokenizedSplits,
    start_head_bias,
    text_classifier,
    text_trainer,
    tokenize_splits,
)
from hfrun.trainable import check_model_options, check_options, rehearse
from hfrun.training.checkpoints import follow_move, newest_checkpoint, remove_broken_checkpoints
from lob_backtest.errors import ConfigError
from lob_backtest.files import sole_use, write_json
from lob_backtest.gates import check_rules
from lob_backtest.progress import announce


def run_text_training(config: TextRunConfig) -> Summary | None:
    """Audit, train, choose, predict, judge; None on all but the main process."""
    folder = Path(config.run.output_dir)
    state = PartialState()
    splits = read_splits(config.data)
    data = tokenize_splits(config, splits)
    audit = audit_of(config, splits, data.tokens)
    if state.is_main_process and not audit.stops:  # else the refusal says it
        announce(audit.brief())
    require_clean(audit)
    data = known_only(config, data)
    check_text_trainable(config, data)
    if is_of_hub(config.gates.baseline):
        raise ConfigError(
            f"got gates.baseline {config.gates.baseline}; a run over texts can be compared with "
            f"{', '.join(BASELINES)}: models of a hub are baselines of runs over order books"
        )
    check_rules(config.gates, baselines=BASELINES)
    if config.hub.push:
        check_destination(destination(config.hub))
    if state.is_main_process:
        claim_run_folder(folder, config, kind="train", data=list(splits.fingerprints))
    with sole_use(folder, what="another run") if state.is_main_process else nullcontext():
        state.wait_for_everyone()
        files = FoldFiles(folder)
        if not files.is_complete:
            fit_texts(config, data, files)
        state.wait_for_everyone()
        state.destroy_process_group()
        if not state.is_main_process:
            return None
        write_audit(audit, folder)
        report = _judge(config, data.splits, files, audit=audit.as_dict())
        findings = close_run(folder, config)
        published = publish_judged(folder, report) if config.hub.push else None
    return Summary(folder=folder, report=report, published=published, findings=findings)


def known_only(config: TextRunConfig, data: TokenizedSplits) -> TokenizedSplits:
    """Leave out texts without a known label, which the config has accepted to be there."""
    known = with_known_labels(data.splits)
    dropped = sum(map(len, data.splits.parts().values())) - sum(map(len, known.parts().values()))
    if not dropped:
        return data
    announce(f"left out {dropped} texts without a known label")
    return tokenize_splits(config, known)


def audit_of(
    config: TextRunConfig, splits: TextSplits, tokens: Mapping[str, Tokens] | None
) -> AuditReport:
    """What the data audit finds in the parts, and which of it the config accepts.

    Without tokens only the truncation is not looked at.
    """
    counts = {name: part.full_length for name, part in tokens.items()} if tokens else None
    return audit_texts(
        splits,
        token_counts=counts,
        max_length=config.data.max_length,
        accept=config.data.audit.accept,
    )


def check_text_trainable(config: TextRunConfig, data: TokenizedSplits) -> None:
    """Refuse, before anything is written, what would only fail the training later.

    Raises:
        LobBacktestError: whatever the trainer, its model, schedule and callbacks refuse.
    """
    arguments = check_options(config)
    model = text_classifier(config, data)
    check_model_options(model, config, arguments)
    with tempfile.TemporaryDirectory() as folder:
        rehearse(text_trainer(config, data, model=model, folder=Path(folder)))


def fit_texts(config: TextRunConfig, data: TokenizedSplits, files: FoldFiles) -> None:
    """Train, resuming the newest whole checkpoint, and predict validation and test."""
    started = time.monotonic()
    is_main = PartialState().is_main_process
    set_seed(config.run.seed)
    model = text_classifier(config, data)
    with PartialState().main_process_first():
        if is_main:
            remove_broken_checkpoints(files.folder)
            follow_move(files.folder)
    trainer = text_trainer(config, data, model=model, folder=files.folder)
    checkpoint = newest_checkpoint(files.folder)
    if checkpoint is None and config.model.label_words is not None:
        start_head_bias(model, data, seed=config.run.seed)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if not is_main:
        return
    trained = trainer.accelerator.unwrap_model(trainer.model)
    merge_lora(trained)
    trained.save_pretrained(files.model)
    data.tokenizer.save_pretrained(files.model)
    for part, name in (("validation", VALIDATION_FILE), ("test", TEST_FILE)):
        probabilities = predict_tokens(
            trained,
            data.tokens[part],
            TextCollator.of(data.tokenizer),
            label=f"predicting {part}",
        )
        table = predictions_of(data.splits.parts()[part], data.splits, probabilities)
        write_text_predictions(table, files.folder / name)
    sizes = {f"{name}_texts": len(part) for name, part in data.splits.parts().items()}
    seconds = time.monotonic() - started
    figures = {**sizes, **chosen_figures(trainer, seconds=seconds)}
    write_json(files.folder / "figures.json", figures)


def predictions_of(part: TextPart, splits: TextSplits, probabilities: Any) -> TextPredictions:
    """The predictions table of a part's texts."""
    return TextPredictions(
        texts=part.texts,
        labels=part.labels,
        probabilities=probabilities,
        label_names=splits.label_names,
    )


def _judge(
    config: TextRunConfig, splits: TextSplits, files: FoldFiles, *, audit: dict[str, Any]
) -> dict[str, Any]:
    """Judge against the baselines, write the report, and note the verdict in run.json."""
    folder = files.folder
    test = read_text_predictions(folder / TEST_FILE)
    validation = read_text_predictions(folder / VALIDATION_FILE)
    run = with_scoring(read_run(folder), config)
    for outcome in ("training", "verdict"):  # of an earlier judgement
        run.pop(outcome, None)
    figures = files.read_figures()
    training = training_figures([figures], [files])
    announce("calibrating, and scoring against the baselines")
    calibration = calibrate(
        validation.labels,
        validation.probabilities,
        test.labels,
        test.probabilities,
        seed=config.run.seed,
    )
    write_calibration(calibration, folder)
    report = judge_texts(
        test,
        validation=validation,
        baselines=text_baselines(splits, seed=config.run.seed),
        gates=config.gates,
        training=training,
        provenance={**run, "config": yaml.safe_load(effective_yaml(config))},
        seed=config.run.seed,
        calibration=calibration.as_dict(),
        audit=audit,
    )
    write_text_report(report, folder / "report")
    run["training"] = {"folds": [figures], **training.as_dict()}
    run["audit"] = audit
    run["verdict"] = report["verdict"]
    write_scoring(folder, run, config)
    return report
