"""Kernels of mammosweep: one folder each.

A folder holds the definition (``reference``), a fast path for the CPU (``cpu``), one in Triton for CUDA
(``fused``), and a function that picks the path by the tensor's device.

They know nothing of DICOM, exams or the engine: tensors in, tensors out.
"""

from __future__ import annotations

from mammosweep_kernels.canvas import to_canvas
from mammosweep_kernels.histogram import histogram16, percentile, triangle_threshold
from mammosweep_kernels.roi_align import roi_align
from mammosweep_kernels.suppress import suppress

__all__ = ["histogram16", "percentile", "roi_align", "suppress", "to_canvas", "triangle_threshold"]
