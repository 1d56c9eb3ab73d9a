"""The switches that Hugging Face clients need before they talk to a hub like this one."""

import os
import sys

# Large files go to a Xet storage service where the ``hf_xet`` package is installed. Only the
# public hub has one; elsewhere the client dies with a ConnectionError.
# Telemetry asks the public hub for a list of agents, whatever endpoint the request itself is for.
_SWITCHES = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")
_NO_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"  # transformers looks at it too

# A hub cannot see whether a client has Xet switched off, and what travels by plain LFS is faster.
# This word in the client's User-Agent tells it.
_ORIGIN = "HF_HUB_USER_AGENT_ORIGIN"
PLAIN_LFS = "plain-lfs"

# datasets and evaluate would count a download by asking the public hub's storage for a file of the
# name of the private data set.
_NO_COUNTS = ("HF_UPDATE_DOWNLOAD_COUNTS", "0")


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
    os.environ.setdefault(*_NO_COUNTS)
    origin = os.environ.setdefault(_ORIGIN, PLAIN_LFS)
    if constants is not None and getattr(constants, _ORIGIN, None) is None:
        setattr(constants, _ORIGIN, origin)


def takes_plain_lfs(user_agent: str) -> bool:
    """Whether a client must be told to upload large files by plain LFS, however small they are.

    It says so itself; or it is the library datasets, which removes each file of a data set as
    soon as it has been told how it travels, so that it could not send it in a commit later.

    >>> takes_plain_lfs("unknown/None; hf_hub/2.4.0; python/3.11; origin/plain-lfs")
    True
    >>> takes_plain_lfs("datasets/5.2.0; hf_hub/2.4.0; python/3.11")
    True
    """
    parts = [part.strip() for part in user_agent.split(";")]
    return f"origin/{PLAIN_LFS}" in parts or any(part.startswith("datasets/") for part in parts)
