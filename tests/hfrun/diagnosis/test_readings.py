"""What findings say, reckoned by hand."""

import dataclasses
import math

import pytest

from hfrun.diagnosis import diagnose, text_of
from hfrun.record import Course, RunRecord
from tests.hfrun.diagnosis.made_up import epochs, losing, recorded, run
from tests.hfrun.diagnosis.test_rules import ACCURACY, found, reported, sized, told


def test_the_rate_at_a_best_epoch_inside_warmup_is_that_of_the_schedule() -> None:
    """Base rate 2e-5, 100 epochs, warm-up ratio 0.2, best epoch 4: 4 / 20 of 2e-5 is 4e-6."""
    record = recorded(
        config={"lr": 2e-5, "epochs": 100, "warmup_ratio": 0.2},
        eval_accuracy=[0.40, 0.45, 0.47, 0.50, 0.49, 0.48, 0.48, 0.47],
    )
    best, peak = told("best_inside_warmup", record), told("peak_never_reached", record)
    assert best.evidence["rate_at_best"] == pytest.approx(4e-6)
    assert best.evidence["warmup_epochs"] == 20
    assert "about 4e-06, 20% of the peak 2e-05" in best.message
    assert peak.evidence["highest_rate"] == pytest.approx(8e-6)  # 8 of 20 epochs


def test_the_logged_rate_goes_before_the_reckoned_one() -> None:
    record = recorded(
        config={"lr": 2e-5, "epochs": 100, "warmup_ratio": 0.2},
        eval_accuracy=[0.40, 0.50, 0.47], learning_rate=[1e-6, 3e-6, 5e-6],
    )  # fmt: skip
    finding = told("best_inside_warmup", record)
    assert finding.evidence["rate_at_best"] == 3e-6


def test_the_suggested_clip_is_the_90th_percentile_over_all_folds() -> None:
    """Norms 1 to 100 in two folds: the 90th percentile by interpolation is 90.1."""
    low, high = (tuple(float(i) for i in part) for part in (range(1, 51), range(51, 101)))
    record = run(Course(grad_norms=low), Course(grad_norms=high),
                 config={"training.max_grad_norm": 10.0})  # fmt: skip
    finding = told("clipped_on_most_steps", record)
    assert finding.evidence["grad_norm_p90"] == pytest.approx(90.1)
    assert finding.evidence["clipped_share"] == pytest.approx(0.9)
    assert finding.next_experiment.startswith("training.max_grad_norm=90.1")


def test_growing_norms_are_read_with_the_gap() -> None:
    norms = {"grad_norm": [1.0, 2.0, 4.0], "eval_accuracy": [0.5, 0.5, 0.5]}
    memorised = recorded(**norms, train_accuracy=[0.5, 0.6, 0.8])
    unstable = recorded(**norms, train_accuracy=[0.5, 0.51, 0.52])
    one, other = told("norm_growth", memorised), told("norm_growth", unstable)
    assert ("memorised" in one.message, one.severity) == (True, "warning")
    assert ("does not explain it" in other.message, other.severity) == (True, "advice")


def test_examples_needed_make_the_gain_two_standard_errors() -> None:
    """4 x 0.55 x 0.45 / 0.05^2 = 396."""
    record = run(sized(100, eval_accuracy=[0.55], eval_majority_accuracy=[0.5]), config=ACCURACY)
    finding = told("evaluation_too_small", record)
    assert finding.evidence["examples_needed"] == 396
    assert finding.evidence["standard_error"] == pytest.approx((0.55 * 0.45 / 100) ** 0.5)


def test_bias_needs_a_simpler_model_that_is_better_on_the_test_block_too() -> None:
    course = sized(1000, eval_accuracy=[0.40], train_accuracy=[0.42])
    better = {"boosting": {"accuracy": 0.60}, "majority": {"accuracy": 0.90}}
    beaten = run(course, config=ACCURACY, report=reported(0.40, better))
    worse = run(course, config=ACCURACY, report=reported(0.65, better))
    one, other = told("bias", beaten), told("bias", worse)
    assert one.severity == "warning"
    assert one.evidence["baseline"] == "boosting"
    assert "baseline" not in other.evidence


def test_what_could_be_fitted_in_a_later_epoch_is_no_bias() -> None:
    """The best epoch is the first, and it overfits: there is no lack of capacity."""
    record = recorded(train_accuracy=[0.50, 0.60, 0.88], eval_accuracy=[0.51, 0.50, 0.49])
    assert found("bias", (record, None)) is None


def test_train_dev_tells_variance_from_mismatch() -> None:
    record = recorded(
        train_accuracy=[0.8, 0.9], train_dev_accuracy=[0.7, 0.88], eval_accuracy=[0.5, 0.6]
    )
    assert found("variance", (record, None)) is None  # 0.90 to 0.88
    assert "0.28 above" in told("data_mismatch", record).message  # 0.88 to 0.60


def test_a_train_dev_block_is_judged_by_its_own_size() -> None:
    """0.60 on 40 against 0.50 on 1000: two standard errors are 2 x 0.079, and 0.10 is within."""
    course = sized(1000, eval_accuracy=[0.50])
    told_by = [
        "data_mismatch" in {finding.rule for finding in diagnose(run(dataclasses.replace(
            course, figures={**course.figures, "train_dev_accuracy": 0.60, "train_dev_decisions": n}
        ), config=ACCURACY))}
        for n in (40, 4000)
    ]  # fmt: skip
    assert told_by == [False, True]


def test_a_walk_forward_without_a_train_dev_block_is_told_to_make_one() -> None:
    course = Course(epochs=epochs(eval_loss=[1.0], train_accuracy=[0.8], eval_accuracy=[0.5]))
    record = dataclasses.replace(
        run(course, config={"walk_forward.validation": 1500}), kind="walk-forward"
    )
    assert "walk_forward.train_dev=1500" in told("variance", record).next_experiment


def test_a_batch_changed_alone_is_scaled_by_its_root_for_the_next_search() -> None:
    before = recorded(config={"lr": 1e-5, "batch_size": 80}, name="before")
    finding = told("batch_changed", recorded(config={"lr": 1e-5, "batch_size": 20}), before)
    assert finding.next_experiment.startswith("training.learning_rate=5e-06")


def test_accumulation_counts_into_the_batch() -> None:
    before = run(config={"training.per_device_train_batch_size": 64,
                         "training.learning_rate": 1e-3})  # fmt: skip
    same = run(config={"training.per_device_train_batch_size": 16,
                       "training.gradient_accumulation_steps": 4,
                       "training.learning_rate": 1e-3})  # fmt: skip
    assert found("batch_changed", (same, before)) is None


def test_three_weightings_are_an_error() -> None:
    record = run(config={"training.loss.balanced_sampler": True,
                         "training.loss.class_weights": [1.0, 3.0],
                         "training.loss.sample_weights": "move"})  # fmt: skip
    finding = told("weightings_combined", record)
    assert finding.severity == "error"


def test_small_losses_may_scatter_without_a_finding() -> None:
    """From 0.012 to 0.052 is four times as much, and 2 % of the loss that it began with."""
    record = recorded(train_loss=[2.0, 1.0, 0.1, 0.012, 0.052, 0.015])
    assert found("step_too_large", (record, None)) is None


def test_a_loss_raised_by_a_growing_dropout_is_not_taken_for_a_step_too_large() -> None:
    losses = losing([2.0] * 10 + [1.0] * 10 + [1.5] * 10)
    plain = run(losses)
    growing = run(losses, config={"callbacks.dropout_schedule.points": {0: 0.1, 2: 0.5}})
    assert found("step_too_large", (plain, None)) is not None
    assert found("step_too_large", (growing, None)) is None


def test_one_cycle_rises_for_three_tenths_without_being_asked() -> None:
    config = {"training.num_train_epochs": 10, "training.learning_rate": 1e-3,
              "training.schedule.name": "one_cycle", **ACCURACY}  # fmt: skip
    early = Course(epochs=epochs(eval_accuracy=[0.4, 0.5, 0.4, 0.4, 0.4]))
    late = Course(epochs=epochs(eval_accuracy=[0.4, 0.4, 0.5, 0.4, 0.4]))
    assert found("best_inside_warmup", (run(early, config=config), None)) is not None
    assert found("best_inside_warmup", (run(late, config=config), None)) is None


def test_a_diary_that_counts_from_0_has_trained_an_epoch_at_its_first_evaluation() -> None:
    config = {"lr": 1e-5, "epochs": 10, "warmup_ratio": 0.1}
    from_zero = recorded(config=config, first=0, eval_accuracy=[0.5, 0.4, 0.4])
    assert found("best_inside_warmup", (from_zero, None)) is None  # its warm-up is one epoch long


def test_folds_are_counted_and_the_worst_is_quoted() -> None:
    gaps = [0.60, 0.80, 0.70]
    courses = [
        Course(
            label=f"fold {i}",
            epochs=epochs(eval_loss=[1.0], train_accuracy=[train], eval_accuracy=[0.5]),
        )
        for i, train in enumerate(gaps)
    ]
    finding = told("variance", run(*courses))
    assert finding.message.startswith("In 3 of 3 folds, most in fold 1: variance")
    assert finding.courses == ("fold 0", "fold 1", "fold 2")
    assert finding.evidence["gap"] == pytest.approx(0.3)


def test_what_fewer_than_half_of_the_folds_show_is_told_a_step_milder() -> None:
    fitted, sound = (
        epochs(eval_loss=[1.0], train_accuracy=[train], eval_accuracy=[0.5]) for train in (0.8, 0.5)
    )
    folds = [Course(label=f"fold {i}", epochs=fitted if i == 2 else sound) for i in range(3)]
    finding = told("variance", run(*folds))
    assert finding.severity == "advice"
    assert finding.message.startswith("In 1 of 3 folds, fold 2:")


def test_of_a_training_that_broke_nothing_else_is_judged() -> None:
    figures = {"eval_loss": [1.0, 0.9], "train_accuracy": [0.6, 0.9], "eval_accuracy": [0.5, 0.6]}
    broken = Course(label="fold 0", epochs=epochs(**figures), grad_norms=(1.0, math.nan))
    sound = Course(label="fold 1", epochs=epochs(**figures), grad_norms=(1.0, 1.0))
    alone = diagnose(run(broken, test={"ece": {"value": 0.9}}))
    assert [(one.rule, one.severity) for one in alone] == [("not_finite", "error")]
    beside = {one.rule: one.courses for one in diagnose(run(broken, sound))}
    assert beside["variance"] == ("fold 1",)


def test_steps_that_scaling_skipped_are_a_warning() -> None:
    """The first steps of float16 have no finite norm until the scale is found."""
    finding = told("not_finite", run(Course(grad_norms=(math.inf, math.inf, 1.0, 1.0))))
    assert finding.severity == "warning"
    assert "2 of 4 gradient norms are not finite, the first at step 1" in finding.message


def test_one_test_example_proves_nothing() -> None:
    """A baseline with its one example right, a model with it wrong."""
    record = run(
        sized(300, eval_accuracy=[0.23], train_accuracy=[0.28]), config=ACCURACY,
        report=reported(0.0, {"boosting": {"accuracy": 1.0}}, n=1),
        test={"accuracy": {"value": 0.0, "high": 0.79}, "majority_accuracy": {"value": 1.0}},
    )  # fmt: skip
    found_here = {one.rule: one for one in diagnose(record)}
    assert set(found_here) == {"bias"}
    assert "baseline" not in found_here["bias"].evidence


def test_a_last_epoch_that_is_best_by_chance_is_not_still_improving() -> None:
    """300 examples: the standard error is 0.026, and the last quarter gained 0.017."""
    scores = [0.273, 0.277, 0.227, 0.263, 0.250, 0.243, 0.273, 0.270, 0.273, 0.287]
    assert (
        found("best_at_the_end", (run(sized(300, eval_accuracy=scores), config=ACCURACY), None))
        is None
    )


def test_scores_on_other_data_are_not_compared() -> None:
    course = sized(100, eval_accuracy=[0.56])
    before = run(sized(100, eval_accuracy=[0.55]), config={**ACCURACY, "data.label.kind": "a"})
    after = run(course, config={**ACCURACY, "data.label.kind": "b"})
    assert [finding.rule for finding in diagnose(after, before)] == ["other_data"]


def test_a_sound_run_is_told_what_cannot_be_known_and_nothing_worse() -> None:
    """Ten epochs: warm-up of one, norms about 1 under a clip of 2, a gap of 0.03, best at 9."""
    scores = [0.40, 0.46, 0.50, 0.53, 0.55, 0.565, 0.575, 0.58, 0.583, 0.581]
    course = sized(
        20_000,
        eval_accuracy=scores,
        train_accuracy=[score + 0.03 for score in scores],
        eval_loss=[1.5 - score for score in scores],
        train_loss=[1.45 - score for score in scores],
        eval_majority_accuracy=[0.35] * 10,
        eval_mcc=[0.2] * 10,
        grad_norm=[1.3, 1.2, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1],
    )
    norms = tuple(1.0 + 0.3 * math.sin(i) for i in range(500))
    config = {
        "training.learning_rate": 1e-3, "training.num_train_epochs": 10,
        "training.warmup_steps": 0.1, "training.max_grad_norm": 2.0,
        "training.schedule.start_factor": 0.01, "training.schedule.floor": 0.05, **ACCURACY,
    }  # fmt: skip
    found_here = diagnose(run(dataclasses.replace(course, grad_norms=norms), config=config))
    told_of = [(one.rule, one.severity) for one in found_here]
    assert told_of == [("bias", "info"), ("epochs_too_close", "info")]


def test_percent_are_not_read_as_shares() -> None:
    record = recorded(train_accuracy=[60.0, 90.0], eval_accuracy=[50.0, 51.0])
    assert diagnose(record) == []


def test_findings_come_the_most_severe_first() -> None:
    record = run(
        Course(epochs=epochs(eval_loss=[1.0, 0.9], train_accuracy=[0.6, 0.9],
                             eval_accuracy=[0.5, 0.6])),
        config={"training.loss.balanced_sampler": True, "training.loss.class_weights": "balanced",
                "training.loss.sample_weights": "move"},
    )  # fmt: skip
    order = [finding.severity for finding in diagnose(record)]
    assert order == ["error", "warning", "advice"]


def test_the_text_has_the_message_and_the_next_experiment_of_each_finding() -> None:
    findings = diagnose(recorded(train_accuracy=[0.6, 0.8], eval_accuracy=[0.5, 0.5]))
    words = " ".join(text_of(findings).split())
    told_of = [f"{one.rule} {one.message} next: {one.next_experiment}" for one in findings]
    assert [sentence for sentence in told_of if sentence in words] == told_of != []
    assert max(map(len, text_of(findings).splitlines())) <= 96


def advice_of(record: RunRecord) -> dict[str, str]:
    return {found.rule: found.next_experiment for found in diagnose(record)}


BOOK = {"data.book.days": 1, "training.learning_rate": 3.0}
# a rate of 3 on a synthetic book, as it was logged
HOT = Course(epochs=epochs(
    train_loss=[18.76, 4.575, 1.79, 1.366], eval_loss=[170.6, 1.877, 1.519, 1.3285],
    train_accuracy=[0.353, 0.305, 0.401, 0.3955], eval_accuracy=[0.353, 0.345, 0.362, 0.362],
    eval_mcc=[-0.02, 0.01, 0.0, 0.0], eval_majority_accuracy=[0.362] * 4))  # fmt: skip


def test_a_rate_at_which_the_loss_blew_up_is_never_raised() -> None:
    found = advice_of(run(HOT, config=BOOK))
    assert {"one_answer", "no_better_than_uniform", "bias"} <= set(found)
    for rule in ("one_answer", "no_better_than_uniform", "bias"):
        assert "training.learning_rate=0.3" in found[rule]
        assert "training.learning_rate=9" not in found[rule]


@pytest.mark.parametrize(
    ("fitted", "raised", "lowered"),
    [([0.30, 0.31, 0.305], True, False), ([0.30, 0.35, 0.36], False, True)],
)
def test_a_rate_is_not_asked_to_go_up_and_down_at_once(
    fitted: list[float], raised: bool, lowered: bool
) -> None:
    course = Course(epochs=epochs(
        eval_loss=[1.11, 1.12, 1.13], train_accuracy=fitted, eval_accuracy=[0.3] * 3))  # fmt: skip
    found = advice_of(run(course, config={"training.learning_rate": 0.01}))
    assert ("learning_rate=0.03" in found["bias"]) is raised
    assert ("learning_rate=0.00333" in found["best_at_first_evaluation"]) is lowered


def test_the_same_class_each_time_is_one_answer_though_it_is_not_the_most_frequent_one() -> None:
    share = 41 / 116
    for f1, is_found in ((2 * share**2 / (1 + share), True), (0.25, False)):
        course = Course(epochs=epochs(
            eval_loss=[1.11], eval_accuracy=[share], eval_mcc=[0.0], eval_f1_weighted=[f1],
            eval_majority_accuracy=[42 / 116]))  # fmt: skip
        assert ("one_answer" in advice_of(run(course))) is is_found


def test_a_synthetic_book_has_three_classes_too() -> None:
    course = Course(epochs=epochs(eval_loss=[1.2, 1.11]))
    assert "no_better_than_uniform" in advice_of(run(course, config={"data.book.days": 1}))
