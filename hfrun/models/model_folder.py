"""A folder of a model that is written whole, or leaves its place as it was."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfrun.errors import ModelError


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
