"""Rules about the learning rate: its warm-up, its peak, and steps that are too large."""

from hfrun.diagnosis.course_view import (
    best_of,
    epochs_done,
    epochs_planned,
    epochs_trained,
    number,
    override,
    rates,
    warmup_epochs,
)
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule
from hfrun.diagnosis.sources import DEEPLOB
from hfrun.record import Course, RunRecord

_DIARY = f"{DEEPLOB}: base rate 2e-5, warm-up ratio 0.2, best epoch 4 of 100"


@course_rule(_DIARY)
def best_inside_warmup(course: Course, record: RunRecord) -> Sign | None:
    """The best epoch lies before the warm-up's end: its rate is below the peak of the config."""
    best, warmup = best_of(course, record), warmup_epochs(course, record)
    peak, planned = number(record, "learning_rate"), epochs_planned(course, record)
    if best is None or warmup is None or peak is None or planned is None:
        return None
    done = epochs_done(course, best.index)
    if done >= warmup:
        return None
    start = number(record, "start_factor") or 0.0
    rate = best.figures.get("learning_rate") or peak * (start + (1 - start) * done / warmup)
    return Sign(
        severity="warning",
        message=f"the best epoch, {best.epoch}, lies inside the warm-up of {warmup:.3g} epochs: "
        f"the rate there was about {rate:.2g}, {rate / peak:.0%} of the peak {peak:.2g}",
        evidence={
            "best_epoch": best.figures["epoch"],
            "warmup_epochs": warmup,
            "rate_at_best": rate,
            "peak_rate": peak,
        },
        next_experiment=_hold(record, rate, done / planned)
        if (epochs_trained(course) or warmup) >= warmup
        else "training.warmup_steps=0.05: rates above it were hardly tried",
        weight=1 - done / warmup,
    )


def _hold(record: RunRecord, rate: float, share: float) -> str:
    """The rate that worked, after a warm-up that is over by half of the best epoch."""
    warmup = min(0.05, 0.5 * share)
    return f"{override(record, 'learning_rate', rate)} training.warmup_steps={warmup:.2g}"


@course_rule(_DIARY)
def peak_never_reached(course: Course, record: RunRecord) -> Sign | None:
    """The training ended inside its warm-up: the rate in the config was never taken."""
    trained, warmup = epochs_trained(course), warmup_epochs(course, record)
    peak = number(record, "learning_rate")
    if trained is None or warmup is None or peak is None or trained >= warmup:
        return None
    start = number(record, "start_factor") or 0.0
    logged = [rate for _, rate in rates(course)]
    highest = max(logged) if logged else peak * (start + (1 - start) * trained / warmup)
    return Sign(
        severity="warning",
        message=f"training ended after {trained:.3g} epochs, inside the warm-up of {warmup:.3g}: "
        f"the highest rate taken was about {highest:.2g}, not the {peak:.2g} of the config",
        evidence={
            "epochs_trained": trained,
            "warmup_epochs": warmup,
            "highest_rate": highest,
            "peak_rate": peak,
        },
        next_experiment="training.warmup_steps=0.05; until then this run has tried the rate "
        f"{highest:.2g} and no higher one",
        weight=1 - trained / warmup,
    )


RULES = (best_inside_warmup, peak_never_reached)
