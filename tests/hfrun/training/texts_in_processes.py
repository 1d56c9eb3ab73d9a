"""Trains a classifier of texts on whatever processes the launcher gives; run by test_processes.

python -m torch.distributed.run --nproc_per_node 2 texts_in_processes.py OUT     or plain python

The whole run, as ``hfrun train`` makes it, over the texts in OUT/home.
"""

import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tests.hfrun.text_run_case import TextHome  # noqa: E402

GLOBAL_BATCH = 8


def main(out: Path) -> int:
    torch.set_num_threads(1)
    # Only once there are arguments does a process on a CPU know of the others.
    processes = PartialState(cpu=True).num_processes
    return TextHome(home=out / "home").train(
        f"run.output_dir={out / f'run{processes}'}",
        f"training.per_device_train_batch_size={GLOBAL_BATCH // processes}",
        "training.learning_rate=0.003",
    )


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    # As in train_in_processes.py: what is tested is over, and the end may abort.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
