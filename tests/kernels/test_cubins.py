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
    }


def _histogram_build(*, masked: bool) -> dict[str, object]:
    signature = {"values_ptr": "*u16", "counts_ptr": "*i64", "num_pixels": "i32"}
    return {
        "kernel": "histogram_kernel",
        "signature": signature | ({"mask_ptr": "*u8"} if masked else {}),
        "constants": {"block": 4096} | ({} if masked else {"mask_ptr": None}),
    }


BUILDS = {
    "canvas to float32": _canvas_build("fp32", mirrored=False),
    "canvas to float16, mirrored": _canvas_build("fp16", mirrored=True),
    "canvas to bfloat16, mirrored": _canvas_build("bf16", mirrored=True),
    "histogram": _histogram_build(masked=False),
    "histogram under a mask": _histogram_build(masked=True),
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
