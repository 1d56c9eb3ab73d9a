"""Rules about the warm-up and the schedule: as they were set, and as the rate was logged."""

import itertools

from hfrun.diagnosis.course_view import number, override, rates, warmup_epochs
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule, record_rule
from hfrun.diagnosis.sources import DEEPLOB, LLAMA, REPAIRS
from hfrun.record import Course, RunRecord

_REPAIR = f"{REPAIRS}: a warm-up that really warms up"
_LONG = 0.3  # of all steps
_HIGH_START, _HIGH_FLOOR = 0.5, 0.5  # of the peak rate
_SAME = 0.01  # of the peak rate: two rates this close are one


@course_rule(_REPAIR)
def warmup_frozen(course: Course, record: RunRecord) -> Sign | None:
    """The logged rate does not move during the warm-up."""
    warmup, logged = warmup_epochs(course, record), rates(course)
    inside = [(epoch, rate) for epoch, rate in logged if warmup and epoch < warmup]
    if warmup is None or len(inside) < 3:
        return None
    low, high = min(rate for _, rate in inside), max(rate for _, rate in inside)
    peak = max(rate for _, rate in logged)
    if high - low > _SAME * peak:
        return None
    return Sign(
        severity="warning",
        message=f"the rate stood at {high:.3g} through {len(inside)} logged points of a warm-up "
        f"of {warmup:.3g} epochs: nothing warmed up",
        evidence={"warmup_epochs": warmup, "points": len(inside), "rate_lowest": low,
                  "rate_highest": high, "peak_rate": peak},
        next_experiment="training.schedule.start_factor=0.01 with the same training.warmup_steps "
        "(linear from a hundredth of the rate)",
        weight=len(inside),
    )  # fmt: skip


@course_rule(_REPAIR)
def rate_jumps(course: Course, record: RunRecord) -> Sign | None:
    """Between two logged points of the warm-up the rate rises faster than a warm-up would."""
    warmup, logged = warmup_epochs(course, record), rates(course)
    if not warmup or len(logged) < 2:
        return None
    peak = max(rate for _, rate in logged)
    if peak <= 0:
        return None
    pairs = itertools.pairwise(logged)
    (epoch, before), (later, after) = max(pairs, key=lambda pair: pair[1][1] - pair[0][1])
    # the steepest warm-up there is, a cosine's, rises pi / 2 times as fast as a straight one
    allowed = 2 * peak * (later - epoch) / warmup + 0.05 * peak
    if after - before <= allowed:
        return None
    return Sign(
        severity="warning",
        message=f"the rate jumped from {before:.3g} at epoch {epoch:.3g} to {after:.3g} at epoch "
        f"{later:.3g}, faster than a warm-up of {warmup:.3g} epochs rises",
        evidence={"rate_before": before, "rate_after": after, "epoch_before": epoch,
                  "epoch_after": later, "warmup_epochs": warmup},
        next_experiment="a schedule that is a function of the step, as training.schedule.name="
        "cosine is",
        weight=(after - before) / peak,
    )  # fmt: skip


@course_rule(f"{LLAMA}: a cosine over epochs, stepped once a batch")
def rate_rises_again(course: Course, record: RunRecord) -> Sign | None:
    """The logged rate rises again after it had fallen: the schedule counts the wrong thing."""
    logged = rates(course)
    if len(logged) < 3:
        return None
    peak = max(rate for _, rate in logged)
    turns, low, is_falling, high = 0, logged[0], False, logged[0][1]
    first: tuple[tuple[float, float], tuple[float, float]] | None = None
    for point in logged[1:]:
        if is_falling:
            low = min(low, point, key=lambda held: held[1])
            if point[1] > low[1] + 0.1 * peak:
                first = first or (low, point)
                turns, is_falling, high = turns + 1, False, point[1]
        else:
            high = max(high, point[1])
            if point[1] < high - 0.1 * peak:
                is_falling, low = True, point
    if first is None:
        return None
    (fell, low_rate), (rose, high_rate) = first
    return Sign(
        severity="warning",
        message=f"the rate rose again after it had fallen (times: {turns}), first from "
        f"{low_rate:.3g} at epoch {fell:.3g} to {high_rate:.3g} at epoch {rose:.3g}: a schedule "
        "made for epochs and stepped once a batch does that",
        evidence={"rises": turns, "rate_before": low_rate, "rate_after": high_rate,
                  "epoch_before": fell, "epoch_after": rose},
        next_experiment="training.schedule.name=cosine, which counts optimizer steps",
        weight=turns,
    )  # fmt: skip


@record_rule(_REPAIR)
def warmup_start(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """The warm-up starts at rate 0, which wastes a step, or so high that it hardly warms up."""
    start, warmup = number(record, "start_factor"), number(record, "warmup")
    if start is None or not warmup or 0 < start <= _HIGH_START:
        return None
    why = "its first step is wasted" if start == 0 else "it hardly warms up"
    return Sign(
        severity="info" if start == 0 else "advice",
        message=f"the warm-up starts at {start:g} times the peak rate: {why}",
        evidence={"start_factor": start, "warmup": warmup},
        next_experiment="training.schedule.start_factor=0.01",
    )


@record_rule(f"{DEEPLOB}: warm-up ratios raised from 0.05 to 0.40")
def warmup_long(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """The warm-up takes three tenths of the steps or more: little is left at the peak rate.

    One cycle, whose rise is meant to be long, is left out.
    """
    warmup = number(record, "warmup")
    if warmup is None or not _LONG <= warmup < 1 or record.setting("schedule") == "one_cycle":
        return None
    return Sign(
        severity="advice",
        message=f"the warm-up takes {warmup:.0%} of all steps: a lower peak rate does the same "
        "without it",
        evidence={"warmup": warmup},
        next_experiment="training.warmup_steps=0.1, with " + _lower_peak(record),
    )


def _lower_peak(record: RunRecord) -> str:
    rate = number(record, "learning_rate")
    return override(record, "learning_rate", rate / 2) if rate else "half of the rate"


@record_rule(f"{DEEPLOB}: a cosine from 4e-6 to a floor of 3e-6")
def schedule_hardly_falls(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """The schedule's floor is more than half of the peak rate: it is nearly constant."""
    rate, low, floor = (number(record, name) for name in ("learning_rate", "lr_min", "floor"))
    if floor is None and low is not None and rate:
        floor = low / rate
    if floor is None or floor <= _HIGH_FLOOR or record.setting("schedule") == "constant":
        return None
    return Sign(
        severity="advice",
        message=f"the schedule falls to {floor:.0%} of the peak rate only: it is nearly constant, "
        "and has not the gain of annealing",
        evidence={"floor": floor, **({} if rate is None else {"learning_rate": rate})},
        next_experiment="training.schedule.floor=0.05, or training.schedule.name=constant in "
        "plain words",
    )


RULES = (warmup_frozen, rate_jumps, rate_rises_again, warmup_start, warmup_long,
         schedule_hardly_falls)  # fmt: skip
