"""The fixed batch on which plan and reference are compared: a bundle's validation views, or drawn ones."""

# Shapes:  E exams   S slots (4, or 1 without fusion)   H, W canvas

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mammosweep.bundle import Bundle
from mammosweep.bundle.views import ExamViews, validation_views
from mammosweep.detect.buckets import ExamBatch
from mammosweep.geometry import Size
from mammosweep.pixels.normalise import GRAY_RANGE
from mammosweep.records import SLOTS

__all__ = ["drawn_exams", "fixed_batches"]

DRAWN_EXAMS = 3
MISSING = 3  # slot that the last drawn exam lacks
BLOBS = 12  # in a view
SEED = 20261124


def fixed_batches(bundle: Bundle, canvas: Size | None = None) -> tuple[list[ExamBatch], str]:
    """Batches of one exam each, and what they are in words.

    Args:
        bundle: where it brings validation views, those.
        canvas: the only one that the plan knows: views that fit are put on it; None: every exam on its own.
    """
    exams = [
        _on(canvas, exam) for exam in validation_views(bundle) if canvas is None or _fits(canvas, exam[0])
    ]
    what = f"{len(exams)} exams of the bundle's validation views"
    if not exams:
        exams = drawn_exams(canvas or bundle.manifest.detector.buckets[0])
        what = f"{len(exams)} drawn exams, for the bundle has no validation views"
    if bundle.manifest.detector.fusion:
        return [ExamBatch(gray[None], present[None], (), ()) for gray, present in exams], what
    alone = [gray[present] for gray, present in exams]
    return [
        ExamBatch(gray[:, None], torch.ones(len(gray), 1, dtype=torch.bool), (), ()) for gray in alone
    ], what


def _fits(canvas: Size, gray_41HW: Tensor) -> bool:
    rows, columns = gray_41HW.shape[-2:]
    return rows <= canvas.rows and columns <= canvas.columns


def _on(canvas: Size | None, exam: ExamViews) -> ExamViews:
    if canvas is None:
        return exam
    gray, present = exam
    rows, columns = gray.shape[-2:]
    margin = (0, canvas.columns - columns, 0, canvas.rows - rows)
    return functional.pad(gray, margin, value=GRAY_RANGE[0]), present


def drawn_exams(canvas: Size, num: int = DRAWN_EXAMS) -> list[ExamViews]:
    """Half-ellipses of tissue with bright blobs, the same every time; the last exam lacks a view."""
    noise = torch.Generator().manual_seed(SEED)
    exams = []
    for i in range(num):
        gray = torch.stack([_drawn(canvas, noise) for _ in SLOTS])[:, None]
        present = torch.ones(len(SLOTS), dtype=torch.bool)
        if i == num - 1:
            present[MISSING] = False
            gray[MISSING] = GRAY_RANGE[0]
        exams.append((gray, present))
    return exams


def _drawn(canvas: Size, noise: torch.Generator) -> Tensor:
    """(H, W) one view."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, canvas.rows), torch.linspace(0, 1, canvas.columns), indexing="ij"
    )
    inside = (y / 0.9) ** 2 + (x / 0.8) ** 2 < 1
    coarse = torch.rand(1, 1, 2 + canvas.rows // 32, 2 + canvas.columns // 32, generator=noise)
    size = (canvas.rows, canvas.columns)
    tissue = 0.2 + 0.5 * functional.interpolate(coarse, size, mode="bilinear", align_corners=False)[0, 0]
    tissue = tissue + 0.02 * torch.randn(size, generator=noise)
    pixel_y, pixel_x = (y + 1) / 2 * canvas.rows, x * canvas.columns
    for _ in range(BLOBS):
        across, down, radius, height = torch.rand(4, generator=noise).tolist()
        middle_x, middle_y = across * 0.6 * canvas.columns, (0.2 + 0.6 * down) * canvas.rows
        radius = 3 + 0.06 * canvas.columns * radius
        distance = ((pixel_x - middle_x) ** 2 + (pixel_y - middle_y) ** 2) / radius**2
        tissue = tissue + (0.4 + 0.6 * height) * torch.exp(-(distance**2))
    return torch.where(inside, tissue, GRAY_RANGE[0]).clamp(*GRAY_RANGE)
