"""Whether this machine multiplies bfloat16 faster than float32."""

import torch

# Of a CPU: without one of these bfloat16 is emulated, and slower than float32.
_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")


def has_fast_bfloat16() -> bool:
    """True where training under autocast to bfloat16 pays: on most GPUs, and on some CPUs."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.accelerator.is_available():
        return False  # not measured
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in _CPU_INSTRUCTIONS)
