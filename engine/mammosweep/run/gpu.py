"""How busy this machine's GPUs are, as NVIDIA's driver says: its own library, asked without any package.

`torch.cuda.utilization` needs one more package (nvidia-ml-py) for the same calls, and a process that only
hands out chunks does not load PyTorch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

__all__ = ["NVML", "open_gpus"]

NVML = "libnvidia-ml.so.1"
"""It comes with the driver. Function names: NVML API Reference Guide, "Device Queries"."""

Busy = Callable[[], dict[int, float]]


class _Utilization(ctypes.Structure):
    """``nvmlUtilization_t``: per cent of the last sample period."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def open_gpus(library: str = NVML) -> Busy | None:
    """A function that gives each GPU's busy share, 0..1, by the driver's index; None where there is no GPU.

    A GPU that does not tell (one cut up by MIG) is left out.
    """
    try:
        nvml = ctypes.CDLL(library)
        if nvml.nvmlInit_v2() != 0:
            return None
    except (OSError, AttributeError):
        return None
    count = ctypes.c_uint()
    if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0 or not count.value:
        return None
    return lambda: {i: share for i in range(count.value) if (share := _share(nvml, i)) is not None}


def _share(nvml: ctypes.CDLL, index: int) -> float | None:
    device, busy = ctypes.c_void_p(), _Utilization()
    if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)) != 0:
        return None
    if nvml.nvmlDeviceGetUtilizationRates(device, ctypes.byref(busy)) != 0:
        return None
    return float(busy.gpu) / 100
