"""Rules about what was set: weightings that multiply, and what changed against the parent."""

import math

from hfrun.diagnosis.course_view import number, override
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import record_rule
from hfrun.diagnosis.sources import OURS, PLAYBOOK, REPAIRS
from hfrun.record import SETTINGS, RunRecord

_WEIGHTINGS = ("balanced_sampler", "class_weights", "sample_weights")
_RETUNED = ("learning_rate", "weight_decay")
_MANY = 3
_DATA = ("data.", "dataset", "walk_forward.")
# What is chosen by the experimenter and tells no cause.
_NO_CAUSE = ("seed", "metric", "patience")


@record_rule(f"{REPAIRS}: a guard against triple weighting")
def weightings_combined(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """Sampler, class weights and sample weights are combined: their effects multiply."""
    asked = {name: record.setting(name) for name in _WEIGHTINGS}
    on = [name for name, value in asked.items() if value not in (None, False, "none", "")]
    if len(on) < 2:
        return None
    return Sign(
        severity="error" if len(on) == len(_WEIGHTINGS) else "warning",
        message=f"{len(on)} weightings are on together ({', '.join(on)}): their effects multiply",
        evidence={"weightings": len(on), **{name: str(asked[name]) for name in on}},
        next_experiment="keep one of them: training.loss.class_weights=none, "
        "training.loss.sample_weights=none or training.loss.balanced_sampler=false",
    )


@record_rule(f"{PLAYBOOK}: choosing the batch size")
def batch_changed(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """The batch differs from the parent's, and neither the rate nor the weight decay does."""
    batch, before = _batch(record), None if parent is None else _batch(parent)
    rate = number(record, "learning_rate")
    if parent is None or batch is None or before is None or batch == before or not rate:
        return None
    if any(number(record, name) != number(parent, name) for name in _RETUNED):
        return None
    scaled = rate * math.sqrt(batch / before)
    return Sign(
        severity="advice",
        message=f"the batch went from {before:g} to {batch:g} and the rate stayed at {rate:g}: a "
        "difference between the two runs may be the rate's, not the batch's",
        evidence={"batch": batch, "parent_batch": before, "learning_rate": rate,
                  "steps_ratio": before / batch},
        next_experiment=f"{override(record, 'learning_rate', scaled)} (by the square root of the "
        "batch, for Adam) as the middle of a new search over rate and regularization",
    )  # fmt: skip


def _batch(record: RunRecord) -> float | None:
    batch = number(record, "batch_size")
    return None if batch is None else batch * (number(record, "accumulation") or 1)


@record_rule(f"{OURS}: a split or a label that changes, changes the score")
def other_data(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """The parent had other data, labels or blocks: the two scores cannot be compared."""
    changed = [] if parent is None else changed_data(record, parent)
    if parent is None or not changed:
        return None
    return Sign(
        severity="warning",
        message=f"the data differs from that of the parent {parent.name} in "
        f"{', '.join(changed)} ({len(changed)} in all): the two scores cannot be compared",
        evidence={"changed": len(changed),
                  **{key: f"{parent.flat_config.get(key)} -> {record.flat_config.get(key)}"
                     for key in changed}},
        next_experiment="train the parent's config once more on this data",
    )  # fmt: skip


def changed_data(record: RunRecord, parent: RunRecord) -> list[str]:
    """Keys of the data that differ, of those that both configs have."""
    ours, theirs = record.flat_config, parent.flat_config
    return [
        key
        for key in sorted(ours.keys() & theirs.keys())
        if key.startswith(_DATA) and ours[key] != theirs[key]
    ]


@record_rule(f"{PLAYBOOK}: one question a round")
def many_changes(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """Three or more hyperparameters differ from the parent's: none of them can be credited."""
    if parent is None:
        return None
    changed = {
        name: (parent.setting(name), record.setting(name))
        for name in SETTINGS
        if name not in _NO_CAUSE
        and None not in (parent.setting(name), record.setting(name))
        and parent.setting(name) != record.setting(name)
    }
    if len(changed) < _MANY:
        return None
    told = ", ".join(f"{name} {old} to {new}" for name, (old, new) in changed.items())
    return Sign(
        severity="info",
        message=f"{len(changed)} hyperparameters changed at once against {parent.name} ({told}): "
        "the two runs cannot say which of them did it",
        evidence={"changed": len(changed),
                  **{name: f"{old} -> {new}" for name, (old, new) in changed.items()}},
        next_experiment="change one of them alone, or give all of them to a study as nuisance "
        "parameters",
    )  # fmt: skip


RULES = (weightings_combined, batch_changed, many_changes, other_data)
