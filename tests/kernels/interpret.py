"""Run every case of conftest.py through the fused kernels in Triton's interpreter; save what they return.

A program of its own, because TRITON_INTERPRET must be set before Triton is first imported, and another
test of the same process may have imported it already.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"

import torch
from conftest import CANVAS_CASES, HISTOGRAM_CASES, ROI_CASES, SUPPRESS_CASES
from safetensors.torch import save_file
from torch import Tensor

from mammosweep_kernels.canvas.fused import to_canvas_fused
from mammosweep_kernels.histogram.fused import histogram16_fused
from mammosweep_kernels.roi_align.fused import roi_align_fused
from mammosweep_kernels.suppress.fused import suppress_fused


def main(out: Path) -> None:
    """Save one tensor per case, named "kernel/case"."""
    # Fills every torch.empty with NaN: a pixel that a kernel leaves unwritten shows.
    torch.use_deterministic_algorithms(True)
    if not torch.empty(4).isnan().all():
        raise SystemExit("torch.empty is not poisoned; expected NaN")
    results: dict[str, Tensor] = {}
    for canvas in CANVAS_CASES:
        stored, table = canvas.inputs()
        results[f"canvas/{canvas.name}"] = to_canvas_fused(stored, table, canvas.layout)
    for histogram in HISTOGRAM_CASES:
        values, mask = histogram.inputs()
        results[f"histogram/{histogram.name}"] = histogram16_fused(values, mask)
    for groups in SUPPRESS_CASES:
        results[f"suppress/{groups.name}"] = suppress_fused(*groups.inputs(), groups.iou)
    for regions in ROI_CASES:
        results[f"roi_align/{regions.name}"] = roi_align_fused(*regions.inputs())
    save_file(results, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
