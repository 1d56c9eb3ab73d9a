"""Rules about what was set: weightings that multiply, and a batch changed by itself."""

from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import record_rule
from hfrun.record import RunRecord


@record_rule("Five repairs to a DeepLOB trainer: a guard against triple weighting")
def weightings_combined(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """Sampler, class weights and sample weights are combined: their effects multiply."""
    asked = {name: record.setting(name) for name in
             ("balanced_sampler", "class_weights", "sample_weights")}  # fmt: skip
    on = [name for name, value in asked.items() if value not in (None, False, "none", "")]
    if len(on) < 2:
        return None
    return Sign(
        severity="error" if len(on) == 3 else "warning",
        message=f"{len(on)} weightings are on together ({', '.join(on)}): their effects multiply",
        evidence={"weightings": len(on), **{name: str(asked[name]) for name in on}},
        next_experiment="keep one: training.loss.class_weights=none "
        "training.loss.sample_weights=none",
    )


RULES = (weightings_combined,)
