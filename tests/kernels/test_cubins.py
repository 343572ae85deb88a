"""The Triton kernels' machine code where there is no GPU: compiled ahead of time for those they will meet."""

from __future__ import annotations

import json

import pytest

# Compute capabilities of A100, L4 and L40, H100 and H200, B200.
ARCHITECTURES = (80, 89, 90, 100)

SIZES = (
    *("row_stride", "column_stride", "rows", "columns", "net_rows", "net_columns"),
    *("canvas_rows", "canvas_columns", "most_rows", "most_columns"),
)
LEVELS = ("low", "per_level", "smallest", "largest", "pad_value")


def _canvas_build(pixel: str, *, mirrored: bool) -> dict[str, object]:
    pointers = {"stored_ptr": "*u16", "table_ptr": "*fp32", "canvas_ptr": f"*{pixel}"}
    return {
        "kernel": "canvas_kernel",
        "signature": pointers | dict.fromkeys(SIZES, "i32") | dict.fromkeys(LEVELS, "fp32"),
        "constants": {"mirrored": mirrored, "block_rows": 8, "block_columns": 64},
        "options": {},
    }


def _histogram_build(*, masked: bool) -> dict[str, object]:
    signature = {"values_ptr": "*u16", "counts_ptr": "*i64", "num_pixels": "i32"}
    return {
        "kernel": "histogram_kernel",
        "signature": signature | ({"mask_ptr": "*u8"} if masked else {}),
        "constants": {"block": 4096} | ({} if masked else {"mask_ptr": None}),
        "options": {},
    }


def _suppress_build(*, block: int, warps: int) -> dict[str, object]:
    pointers = {"boxes_ptr": "*fp32", "valid_ptr": "*u8", "keep_ptr": "*u8"}
    return {
        "kernel": "suppress_kernel",
        "signature": pointers | {"num_boxes": "i32", "iou": "fp32"},
        "constants": {"block": block},
        "options": {"num_warps": warps, "enable_fp_fusion": False},
    }


def _roi_align_build(pixel: str, *, channels_last: bool) -> dict[str, object]:
    """As a launch specialises it: a channel stride of 1 is a constant."""
    strides = [
        f"{axis}_stride{level}" for level in range(4) for axis in ("canvas", "channel", "row", "column")
    ]
    sizes = [f"{axis}{level}" for level in range(4) for axis in ("rows", "columns")]
    signature = {"boxes_ptr": "*fp32", "regions_ptr": f"*{pixel}", "num_boxes": "i32", "channels": "i32"}
    signature |= {f"level{level}_ptr": f"*{pixel}" for level in range(4)}
    signature |= dict.fromkeys([*strides, *sizes], "i32") | dict.fromkeys(("area1", "area2", "area3"), "fp32")
    ones = {f"{'channel' if channels_last else 'column'}_stride{level}": 1 for level in range(4)}
    return {
        "kernel": "roi_align_kernel",
        "signature": signature,
        "constants": {"block_channels": 64} | ones,
        "options": {"enable_fp_fusion": False},
    }


BUILDS = {
    "canvas to float32": _canvas_build("fp32", mirrored=False),
    "canvas to float16, mirrored": _canvas_build("fp16", mirrored=True),
    "canvas to bfloat16, mirrored": _canvas_build("bf16", mirrored=True),
    "histogram": _histogram_build(masked=False),
    "histogram under a mask": _histogram_build(masked=True),
    "suppress 60 boxes": _suppress_build(block=64, warps=1),
    "suppress 250 boxes": _suppress_build(block=256, warps=1),
    "suppress 4096 boxes": _suppress_build(block=4096, warps=16),
    "roi_align in float32": _roi_align_build("fp32", channels_last=True),
    "roi_align in float16": _roi_align_build("fp16", channels_last=True),
    "roi_align in bfloat16, channels first": _roi_align_build("bf16", channels_last=False),
}


@pytest.fixture(scope="module")
def cubins(tmp_path_factory, run_program):
    """Bytes of machine code by build and architecture, and the kernels that there are."""
    folder = tmp_path_factory.mktemp("cubins")
    (folder / "asked.json").write_text(json.dumps({"builds": BUILDS, "architectures": ARCHITECTURES}))
    run_program(
        "assemble.py", folder / "asked.json", folder / "made.json", TRITON_CACHE_DIR=str(folder / "cache")
    )
    return json.loads((folder / "made.json").read_text())


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda number: f"sm_{number}")
@pytest.mark.parametrize("build", BUILDS)
def test_a_kernel_compiles_to_machine_code_without_a_gpu(build, architecture, cubins):
    assert cubins["bytes"][build][str(architecture)] > 1000


def test_no_kernel_is_left_uncompiled(cubins):
    assert {build["kernel"] for build in BUILDS.values()} == set(cubins["kernels"])
