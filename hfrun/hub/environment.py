"""The switches that Hugging Face clients need before they talk to a hub like this one."""

import os
import sys

# Large files go to a Xet storage service where the ``hf_xet`` package is installed. Only the
# public hub has one; elsewhere the client dies with a ConnectionError.
# Telemetry asks the public hub for a list of agents, whatever endpoint the request itself is for.
_SWITCHES = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")
_NO_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"  # transformers looks at it too


def prepare_client() -> None:
    """Make clients in this process, and those it starts, use plain LFS and one endpoint only.

    Where there is no terminal, progress bars are off as well: in a log they are noise.

    The client reads its switches once, when ``huggingface_hub`` is imported. Import order should
    not decide whether a push works, so a copy that is already loaded is switched as well.
    """
    constants = sys.modules.get("huggingface_hub.constants")
    switches = _SWITCHES if sys.stderr.isatty() else (*_SWITCHES, _NO_BARS)
    for switch in switches:
        os.environ[switch] = "1"
        if constants is not None:
            setattr(constants, switch, True)
