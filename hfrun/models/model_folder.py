"""A folder of a model that is written whole, or leaves its place as it was, and its bars."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers.utils import logging

from hfrun.errors import ModelError


def let_bars_pass() -> None:
    """Let transformers' bars of loading and saving weights vanish once they are full.

    They would leave a line on the terminal for every model and every checkpoint. Downloads keep
    their bars, which are the hub client's.
    """

    def passing(factory: Any, given: Any, named: Any) -> Any:
        return factory(*given, **{**named, "leave": False})

    logging.set_tqdm_hook(passing)


@contextmanager
def whole_model_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``out``; rename it to ``out`` when the block succeeds.

    Args:
        out: folder to write; one that exists is replaced only when it is empty or holds a model.

    Raises:
        ModelError: ``out`` is something else, or cannot be written.
    """
    is_free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not is_free and not (out / "config.json").is_file():
        raise ModelError(f"{out} exists and is no model folder; name a new one")
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except OSError as error:
        raise ModelError(
            f"{out} cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
