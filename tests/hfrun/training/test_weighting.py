"""Weights by class, by sample and by sampling; that they are refused together; the loss itself."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from hfrun.errors import TrainingError
from hfrun.training.losses import mean_over, sample_losses
from hfrun.training.weighting import (
    BalancedSampler,
    LossOptions,
    balanced_class_weights,
    clipped_sample_weights,
)

WEIGHTINGS = {
    "balanced_sampler": True,
    "class_weights": "balanced",
    "sample_weights": True,
}


@pytest.mark.parametrize("names", list(itertools.combinations(WEIGHTINGS, 2)))
def test_any_two_weightings_are_refused_by_name_unless_asked_for(names) -> None:
    chosen = {name: WEIGHTINGS[name] for name in names}
    with pytest.raises(TrainingError, match=f"{' and '.join(names)} are combined"):
        LossOptions(**chosen)
    assert LossOptions(**chosen, allow_combined_weighting=True).weightings == list(names)


@pytest.mark.parametrize("name", list(WEIGHTINGS))
def test_one_weighting_alone_is_accepted_also_with_label_smoothing(name: str) -> None:
    assert LossOptions(**{name: WEIGHTINGS[name]}, label_smoothing=0.1).weightings == [name]


@pytest.mark.parametrize("wrong", [{"label_smoothing": 1.0}, {"class_weights": "balance"}])
def test_impossible_options_are_refused(wrong) -> None:
    with pytest.raises(TrainingError, match=str(next(iter(wrong)))):
        LossOptions(**wrong)


def test_balanced_class_weights_equal_scikit_learns_and_have_mean_one_over_samples() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [2])
    weights = balanced_class_weights(labels, num_labels=3)
    reference = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights, reference)
    assert weights[labels].mean() == pytest.approx(1.0)


def test_a_class_without_samples_cannot_be_balanced() -> None:
    with pytest.raises(TrainingError, match=r"0: 2, 1: 0, 2: 1; balancing needs at least one"):
        balanced_class_weights(np.array([0, 0, 2]), num_labels=3)


def test_sample_weights_are_clipped_before_they_are_normalised() -> None:
    # by hand: 539 becomes 10 and 0.01 becomes 0.1; their mean with the two ones is 12.1 / 4
    weights = clipped_sample_weights(np.array([539.0, 0.01, 1.0, 1.0]))
    assert weights == pytest.approx(np.array([10.0, 0.1, 1.0, 1.0]) / 3.025)
    assert weights.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_sample_weights_that_are_no_weights_are_refused(wrong: float) -> None:
    with pytest.raises(TrainingError, match="1 of 2 are negative or not finite"):
        clipped_sample_weights(np.array([1.0, wrong]))
    with pytest.raises(TrainingError, match="0 < low <= high"):
        clipped_sample_weights(np.ones(2), low=2.0, high=1.0)
    with pytest.raises(TrainingError, match="got none"):
        clipped_sample_weights(np.ones(0))


def test_balanced_sampler_draws_each_class_equally_often() -> None:
    labels = np.array([0] * 8_000 + [1] * 1_500 + [2] * 500)
    drawn = Counter(labels[list(BalancedSampler(labels, num_labels=3, seed=0))])
    # 10,000 draws at one third each: a standard deviation of 47
    assert all(abs(drawn[label] - 10_000 / 3) < 4 * 47 for label in range(3))


def test_balanced_sampler_repeats_an_epoch_and_differs_between_epochs_and_seeds() -> None:
    labels = np.arange(60) % 3

    def epoch(number: int, seed: int = 0) -> list[int]:
        sampler = BalancedSampler(labels, num_labels=3, seed=seed)
        sampler.set_epoch(number)
        torch.manual_seed(number)  # what the global generator does must not matter
        return list(sampler)

    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(2)
    assert epoch(1) != epoch(1, seed=1)
    assert len(epoch(1)) == 60


LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, -1.0]])
LABELS = torch.tensor([0, 2])


def test_weighted_smoothed_loss_by_hand() -> None:
    log_p = torch.log_softmax(LOGITS, dim=1)
    smoothed = torch.stack(
        [
            -0.7 * log_p[0, 0] - 0.1 * log_p[0].sum(),
            -0.7 * log_p[1, 2] - 0.1 * log_p[1].sum(),
        ]
    )
    losses = sample_losses(
        LOGITS,
        LABELS,
        label_smoothing=0.3,
        class_weights=torch.tensor([0.5, 9.0, 2.0]),
        sample_weight=torch.tensor([3.0, 0.25]),
    )
    torch.testing.assert_close(losses, smoothed * torch.tensor([0.5 * 3.0, 2.0 * 0.25]))


def test_without_weights_it_is_torchs_cross_entropy() -> None:
    losses = sample_losses(LOGITS, LABELS)
    torch.testing.assert_close(mean_over(losses, None), functional.cross_entropy(LOGITS, LABELS))


def test_half_precision_logits_are_scored_in_float32() -> None:
    assert sample_losses(LOGITS.bfloat16(), LABELS).dtype == torch.float32


def test_parts_of_a_batch_add_up_to_the_whole_with_class_weights() -> None:
    # dividing by each part's own sum of weights, as torch does, would not
    weights = torch.tensor([1.0, 1.0, 8.0])
    whole = mean_over(sample_losses(LOGITS, LABELS, class_weights=weights), 2)
    parts = [
        mean_over(sample_losses(LOGITS[i : i + 1], LABELS[i : i + 1], class_weights=weights), 2)
        for i in range(2)
    ]
    torch.testing.assert_close(sum(parts), whole)
