"""The switches that Hugging Face clients need before they talk to a hub like this one."""

import os
import sys

# Large files go to a Xet storage service where the ``hf_xet`` package is installed. Only the
# public hub has one; elsewhere the client dies with a ConnectionError.
# Telemetry asks the public hub for a list of agents, whatever endpoint the request itself is for.
_SWITCHES = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")


def prepare_client() -> None:
    """Make clients in this process, and those it starts, use plain LFS and one endpoint only.

    The client reads its switches once, when ``huggingface_hub`` is imported. Import order should
    not decide whether a push works, so a copy that is already loaded is switched as well.
    """
    constants = sys.modules.get("huggingface_hub.constants")
    for switch in _SWITCHES:
        os.environ[switch] = "1"
        if constants is not None:
            setattr(constants, switch, True)
