"""How the quality table is to be read."""

from hfrun.bench.quality_figures import LEVEL, RULES


def percent(share: float) -> str:
    """
    >>> percent(0.7)
    '70 %'
    """
    return f"{100 * share:.0f} %"


READING = f"""\
## How to read it

- **Same question for all.** Every contender sees the decisions, labels and windows of \
`configs/quality/`; a table of predictions that is not exactly the window's decisions with the \
book's labels is refused. A window is a test block of a rolling walk-forward. Labels whose future \
reaches into a later block are purged before it; thresholds and scaling come from a window's train \
part, the checkpoint from its validation part, and test is predicted once.
- **One recipe for all books**: the sections `model` and `training` are the same in the four \
configs, and a model's own settings (below) hold for every book. Settings that were tried on these \
same windows are told in [experiments.md](experiments.md); a lift that is found after many tries \
is worth less than its p-value says.
- **Figures** are means over the windows by their decisions, then over the seeds; ± is the \
standard deviation over the seeds 0, 1, ... (what a rerun would change, not what another day \
would). The baselines are those of every report, with fixed settings; they draw nothing, so one \
seed is all there is. *Largest class* is the accuracy of always \
saying what turns out to be the most frequent class.
- **Lift** is weighted F1 minus that of the best baseline on the same windows. The best one is \
chosen with hindsight, which is to the model's disadvantage. The interval ({percent(LEVEL)}) and \
p (one-sided, adjusted by Holm over all comparisons of this page) are for labels that overlap: \
what counts is *independent labels*, not decisions. They are of the average seed.
- **Windows** counts the (seed, window) pairs with a lift of at least {RULES.f1_lift:g} over the \
best baseline and over guesses with the model's own class shares; the gates ask for \
{percent(RULES.min_window_pass_rate)}. *Without best* is the gate's lift once the window that \
carries most is left out.
- **Mean of N seeds** averages the probabilities of the N fits: a model of its own, N times as dear.
- **By hand**: a cell is a fold of `hfrun walk-forward` with the config of its book, and \
`data.book`, `run.seed`, the horizon and the model's own settings as overrides; a test holds the \
two equal.
- Nothing here is after costs: a higher F1 is not a profit."""
