"""Fits a fold of stretches on whatever processes the launcher gives; run by test_processes.

python -m torch.distributed.run --nproc_per_node 2 fit_in_processes.py OUT

Once uninterrupted, and once ended in the middle of the second epoch and taken up again. Each
process notes which decisions it was given.
"""

import json
import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from hfrun.data.windows import BookCollator  # noqa: E402
from hfrun.training.trainer import MeasuredTrainer  # noqa: E402
from tests.hfrun.fold_case import fit, prepared_for, small_book, smoke_config  # noqa: E402

BATCH, STEPS, KILLED_AT = 7, 5, 7  # an epoch's steps; the run is ended before the eighth
OVERRIDES = (
    f"training.per_device_train_batch_size={BATCH}",
    "training.per_device_eval_batch_size=5",
    "training.num_train_epochs=2",
    "training.eval_strategy=steps",
    "training.save_strategy=steps",
    "training.eval_steps=2",
    "training.save_steps=2",
)


class Killed(BaseException):
    """Ends a training as a signal would."""


def main(out: Path) -> None:
    torch.set_num_threads(1)
    config, book = smoke_config(*OVERRIDES), small_book()
    given = note_decisions()
    fit(config, book, out / "whole")
    PartialState().wait_for_everyone()
    drawn = {"whole": given.copy()}
    given.clear()
    whole_step = MeasuredTrainer.training_step

    def ended(self: MeasuredTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step == KILLED_AT:
            raise Killed
        return whole_step(self, *args, **kwargs)

    MeasuredTrainer.training_step = ended
    try:
        fit(config, book, out / "killed")
    except Killed:
        given.clear()
    MeasuredTrainer.training_step = whole_step
    PartialState().wait_for_everyone()
    fit(config, book, out / "killed")
    drawn["resumed"] = given
    rank = PartialState().process_index
    rows = prepared_for(config, book)
    noted = {**drawn, "train": rows.decisions.rows[rows.folds[0].train].tolist()}
    (out / f"drawn-{rank}.json").write_text(json.dumps(noted), encoding="utf-8")
    PartialState().wait_for_everyone()  # a group is left together, or its last may abort
    PartialState().destroy_process_group()


def note_decisions() -> list[list[int]]:
    """The rows of the decisions of every training batch of this process, as they are formed."""
    given: list[list[int]] = []
    training = BookCollator.training

    def noted(self: BookCollator, examples: list) -> dict[str, torch.Tensor]:
        given.append([int(example["row"]) for example in examples])
        return training(self, examples)

    BookCollator.training = noted
    return given


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # What is tested is over and written down. Threads of torch's process group now and then abort
    # the end of the interpreter ("terminate called without an active exception").
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
