"""The main job on real data: order book, walk-forward, verdict, report, local hub, and back.

    python -m hfrun.demo [--folder DIR] [section.key=value ...]

The input is the half hour of Bitstamp orders that the ob-analytics wheel carries. A second run
finds its results in the folder (runs/demo) and only repeats what is not there.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from hfrun.hub.accounts.tokens import Accounts, create_token
from hfrun.hub.environment import prepare_client
from hfrun.hub.serve import RunningHub, running_hub
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import sole_use
from lob_backtest.io import import_book
from lob_backtest.progress import announce

ROOT = Path(__file__).resolve().parents[1]
REPO = "demo/deeplob-btc-usd"
N_COMPARED_WINDOWS = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 whatever the gates say, 2 on bad input, 130 when interrupted."""
    prepare_client()
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The main job on real data.")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "demo")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.set_defaults(run=run)
    return run_command(parser, argv)


def run(arguments: argparse.Namespace) -> int:
    """The four steps, then the summary; one demo at a time in a folder."""
    started = time.monotonic()
    folder = _shown(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".demo.lock"  # the folder itself is the run's to lock
    lock.touch()
    with sole_use(lock, what="another demo"):
        _demo(folder, arguments.overrides)
    print(f"Done in {time.monotonic() - started:.0f} s.")
    return EXIT_DONE


def _shown(folder: Path) -> Path:
    """The folder as seen from here, so that what is printed and pushed names no private path."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _demo(folder: Path, overrides: list[str]) -> None:
    book_path = folder / "book.parquet"
    announce("1/4 the order book")
    if not book_path.is_file():
        imported = import_book("sample", [], book_path)
        announce(imported.as_text())
    with _demo_hub(folder) as hub:
        announce("2/4 walk-forward: train, predict, backtest, judge")
        summary = _walk_forward(folder, book_path, overrides)
        announce(f"3/4 push to the local hub at {hub.endpoint}")
        published = _push(folder)
        announce("4/4 load it back")
        difference = largest_logit_difference(folder, REPO, revision=published.commit)
    print(summary.text())
    print(f"Hub: {REPO} at commit {published.commit[:12]}; look again with")
    print(f"     hfrun hub serve --root {folder / 'hub'}")
    print(f"Loaded back: largest difference of logits {difference:g}")
    if difference > 0:
        raise HfrunError("the model that came back from the hub gives other logits")


@contextmanager
def _demo_hub(folder: Path) -> Iterator[RunningHub]:
    """A running hub that this process's clients push to, with a token that ends with the block."""
    root = folder / "hub"
    with running_hub(root) as hub:
        token = create_token(root, "demo", role="write")
        # The Hugging Face clients read these once, when they are imported.
        os.environ["HF_ENDPOINT"] = hub.endpoint
        os.environ["HF_HOME"] = str((folder / "hf_home").resolve())
        os.environ["HF_TOKEN"] = token
        try:
            yield hub
        finally:
            accounts = Accounts(root)
            known = accounts.who(token)
            if known is not None:
                accounts.revoke(known.id)


def _walk_forward(folder: Path, book_path: Path, overrides: list[str]) -> Any:
    from hfrun.config import load_config
    from hfrun.walk_forward import run_walk_forward

    own = [f"run.output_dir={folder}", f"data.book={book_path}"]
    summary = run_walk_forward(load_config(ROOT / "configs" / "demo.yaml", [*own, *overrides]))
    assert summary is not None  # one process
    return summary


def _push(folder: Path) -> Any:
    from hfrun.publishing import publish_run

    return publish_run(folder, repo=REPO)


def largest_logit_difference(folder: Path, repo: str, *, revision: str) -> float:
    """Largest absolute difference of logits: the run's own model against the hub's copy."""
    import torch
    from transformers import AutoModelForSequenceClassification

    import hfrun.models  # noqa: F401  (registers DeepLOB with the Auto classes)
    from hfrun.evaluation.predict import book_inputs

    given = book_inputs(folder / "model", folder / "book.parquet", n=N_COMPARED_WINDOWS)
    logits = []
    for source, options in ((folder / "model", {}), (repo, {"revision": revision})):
        model = AutoModelForSequenceClassification.from_pretrained(source, **options).eval()
        with torch.no_grad():
            logits.append(model(**given).logits)
    return float((logits[0] - logits[1]).abs().max())


if __name__ == "__main__":
    sys.exit(main())
