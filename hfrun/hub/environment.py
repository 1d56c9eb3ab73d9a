"""The one switch that Hugging Face clients need before they talk to a hub like this one."""

import os
import sys

_SWITCH = "HF_HUB_DISABLE_XET"


def disable_xet() -> None:
    """Make this process, and those it starts, send large files by plain LFS uploads.

    With the ``hf_xet`` package installed, clients send large files to a Xet storage service
    that only the public hub has; elsewhere they die with a ConnectionError. The client reads
    the switch once, when ``huggingface_hub`` is imported. Import order should not decide
    whether a push works, so a copy that is already loaded is switched as well.
    """
    os.environ[_SWITCH] = "1"
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        constants.HF_HUB_DISABLE_XET = True  # type: ignore[attr-defined]
