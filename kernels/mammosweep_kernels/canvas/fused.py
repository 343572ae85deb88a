# Triton ships no types, and a kernel's parameters are typed by its launch.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"
"""The canvas in Triton: every stored pixel of the crop is read from memory once, every cell written once."""

from __future__ import annotations

import math

import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from mammosweep_kernels.canvas.layout import CanvasLayout

__all__ = ["canvas_kernel", "to_canvas_fused"]

BLOCK_ROWS = 8
BLOCK_COLUMNS = 64


def to_canvas_fused(stored_HW: Tensor, table: Tensor, layout: CanvasLayout) -> Tensor:
    """Same contract as `to_canvas_reference`, for CUDA tensors, in float32."""
    canvas = torch.empty(layout.canvas_size, dtype=layout.dtype, device=stored_HW.device)
    crop_hw = layout.crop(stored_HW)
    (rows, columns), (net_rows, net_columns) = layout.crop_size, layout.net_size
    blocks = (triton.cdiv(canvas.shape[0], BLOCK_ROWS), triton.cdiv(canvas.shape[1], BLOCK_COLUMNS))
    with torch.cuda.device_of(stored_HW):
        canvas_kernel[blocks](
            crop_hw,
            table.contiguous(),
            canvas,
            *(*crop_hw.stride(), rows, columns, net_rows, net_columns, *canvas.shape),
            *(_most_pixels(rows, net_rows), _most_pixels(columns, net_columns)),
            *(float(layout.low), 1.0 / (layout.high - layout.low)),
            *(layout.clip or (-math.inf, math.inf)),
            float(layout.pad_value),
            mirrored=layout.mirrored,
            block_rows=BLOCK_ROWS,
            block_columns=BLOCK_COLUMNS,
        )
    return canvas


def _most_pixels(length: int, cells: int) -> int:
    """How many pixels one of ``cells`` equal cells over ``length`` pixels touches at most."""
    return length // cells if length % cells == 0 else -(-length // cells) + 1


@triton.jit
def covered_part(cell, pixel, length, cells):
    """The part of each cell that a pixel covers, from whole numbers: see `area_weights`."""
    start = tl.maximum(cell * length, pixel * cells)
    end = tl.minimum((cell + 1) * length, (pixel + 1) * cells)
    return tl.maximum(end - start, 0).to(tl.float32) / length


# Crops differ from image to image: specialising on their numbers would compile a new kernel for many.
@triton.jit(
    do_not_specialize=[
        "row_stride",
        "column_stride",
        "rows",
        "columns",
        "net_rows",
        "net_columns",
        "canvas_rows",
        "canvas_columns",
        "most_rows",
        "most_columns",
    ]
)
def canvas_kernel(
    stored_ptr,
    table_ptr,
    canvas_ptr,
    row_stride,
    column_stride,
    rows,
    columns,
    net_rows,
    net_columns,
    canvas_rows,
    canvas_columns,
    most_rows,
    most_columns,
    low,
    per_level,
    smallest,
    largest,
    pad_value,
    mirrored: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
):
    """Fill one block of the canvas; ``stored_ptr`` is at the crop's first pixel."""
    # 64 bits: cell times length passes 2**31 on images that DICOM allows.
    canvas_row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    canvas_column = tl.program_id(1).to(tl.int64) * block_columns + tl.arange(0, block_columns)
    in_net = (canvas_row < net_rows)[:, None] & (canvas_column < net_columns)[None, :]
    net_column = canvas_column
    if mirrored:
        net_column = net_columns - 1 - canvas_column
    first_row = canvas_row * rows // net_rows
    first_column = net_column * columns // net_columns

    level = tl.zeros((block_rows, block_columns), tl.float32)
    for i in range(most_rows):
        row = first_row + i
        row_part = covered_part(canvas_row, row, rows, net_rows)
        for j in range(most_columns):
            column = first_column + j
            column_part = covered_part(net_column, column, columns, net_columns)
            part = row_part[:, None] * column_part[None, :]
            # A pixel that covers no part may lie outside the crop, or outside the image.
            read = in_net & (part > 0)
            at = row[:, None] * row_stride + column[None, :] * column_stride
            value = tl.load(stored_ptr + at, mask=read, other=0).to(tl.int32)
            level += part * tl.load(table_ptr + value, mask=read, other=0.0)

    net = tl.minimum(tl.maximum((level - low) * per_level, smallest), largest)
    canvas = tl.where(in_net, net, pad_value).to(canvas_ptr.dtype.element_ty)
    in_canvas = (canvas_row < canvas_rows)[:, None] & (canvas_column < canvas_columns)[None, :]
    tl.store(
        canvas_ptr + canvas_row[:, None] * canvas_columns + canvas_column[None, :], canvas, mask=in_canvas
    )
