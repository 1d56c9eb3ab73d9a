"""Memory of the device that trains: the most that was held, what is left, and its end.

On a GPU it is what tensors held; on a CPU it is what the process held in RAM (Linux counts that
anew on request, other systems do not: None there).
"""

from pathlib import Path

import torch

_RESET_PEAK = "5"  # what proc_pid_clear_refs(5) takes for VmHWM
_MEBI = 2**20
_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


class PeakMemory:
    """Counts the most memory held since it was last reset.

    Args:
        device: that trains.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        try:
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            self._counts = self._device.type == "cpu"
        except OSError:
            self._counts = False

    def peak(self) -> int | None:
        """Bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _kib("/proc/self/status", "VmHWM:") if self._counts else None


def held_bytes(device: torch.device) -> int | None:
    """What is held now."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _kib("/proc/self/status", "VmRSS:") if device.type == "cpu" else None


def free_bytes(device: torch.device) -> int | None:
    """What can still be taken; on a CPU within the limit of the process's control group.

    A CPU whose memory ends does not raise an error: the kernel ends the process. So it has to be
    asked before.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [_kib("/proc/meminfo", "MemAvailable:"), _group_room()]
    rooms = [room for room in known if room is not None]
    return min(rooms) if rooms and device.type == "cpu" else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has ended; torch has no class for that on a CPU.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    True
    >>> is_out_of_memory(RuntimeError("shape mismatch"))
    False
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


def _kib(path: str, name: str) -> int | None:
    """Bytes of a line `Name:  1234 kB` of a file of the kernel."""
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(name)]
    return int(found[0]) * 1024 if found else None


def _group_room(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a control group (version 2) still allows; files that it holds in memory can go."""
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        held = int((root / "memory.current").read_text(encoding="ascii"))
        lines = (root / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    files = [int(line.split()[1]) for line in lines if line.startswith("inactive_file ")]
    return None if limit == "max" else max(int(limit) - held + sum(files), 0)
