"""What a region holds: what it is, and that the CPU path is that."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops.poolers import LevelMapper

from mammosweep_kernels import roi_align
from mammosweep_kernels.roi_align.cpu import BOXES_AT_ONCE
from mammosweep_kernels.roi_align.reference import roi_align_reference
from mammosweep_kernels.roi_align.sampling import LEVEL_AREAS, STRIDES, level_of


def levels_of(fill, num_canvases=1, side=512):
    """A pyramid whose level of each stride is filled by ``fill(stride)``, broadcast to one channel."""
    return [torch.zeros(num_canvases, 1, side // stride, side // stride) + fill(stride) for stride in STRIDES]


def wide(areas):
    """(M, 4) boxes 1 pixel high of these areas."""
    return torch.stack(
        [torch.zeros_like(areas), torch.zeros_like(areas), areas, torch.ones_like(areas)], dim=1
    )


@pytest.mark.usefixtures("poisoned")
def test_the_cpu_regions_are_the_reference_in_every_bin(roi_case):
    regions = roi_align(*roi_case.inputs())

    assert regions.dtype == roi_case.dtype
    torch.testing.assert_close(regions, roi_align_reference(*roi_case.inputs()), **roi_case.tolerance)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"),
    [(torch.float32, 0, 2e-6), (torch.float16, 2**-10, 2e-6), (torch.bfloat16, 2**-7, 2e-5)],
    ids=str,
)
def test_more_boxes_than_are_pooled_at_once_are_the_reference(dtype, rtol, atol):
    noise = torch.Generator().manual_seed(29)
    levels = [torch.randn((3, 8, 256 // s, 256 // s), generator=noise).to(dtype) for s in STRIDES]
    first = torch.rand((3, BOXES_AT_ONCE, 2), generator=noise) * 200
    boxes = torch.cat([first, first + 200 * torch.rand((3, BOXES_AT_ONCE, 2), generator=noise)], dim=2)

    regions = roi_align(levels, boxes)

    torch.testing.assert_close(regions, roi_align_reference(levels, boxes), rtol=rtol, atol=atol)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_levels_change_where_torchvisions_do_to_the_last_bit(index):
    at = torch.tensor(LEVEL_AREAS[index]).view(torch.int32)
    boxes = wide((at + torch.arange(-1000, 1000, dtype=torch.int32)).view(torch.float32))

    torchvisions = LevelMapper(2, 5)([boxes])

    assert set(torchvisions.tolist()) == {index, index + 1}
    assert torch.equal(level_of(boxes), torchvisions)


def test_the_larger_a_box_the_coarser_its_level():
    sides = torch.tensor([0.0, 1.0, 100.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 9e4])
    boxes = torch.stack([torch.zeros_like(sides), torch.zeros_like(sides), sides, sides], dim=1)

    regions = roi_align(levels_of(float, side=2048), boxes[None, :-1])

    assert level_of(boxes).tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert regions[0, :, 0, 3, 3].tolist() == pytest.approx([4, 4, 4, 4, 8, 8, 16, 16, 32])


@pytest.mark.parametrize("across", [True, False], ids=["across", "down"])
@pytest.mark.parametrize("side", [40.0, 130.0, 300.0, 500.0])
def test_a_ramp_is_read_at_the_middle_of_every_bin(side, across):
    # cell i holds i * stride, in network pixels: inside a canvas, the mean of a bin's samples is its middle
    levels = levels_of(lambda stride: torch.arange(1024 // stride).float() * stride, side=1024)
    box = torch.tensor([[[64.0, 64.0, 64.0 + side, 64.0 + side]]])

    region = roi_align(levels if across else [level.mT for level in levels], box)[0, 0, 0]

    middles = (64 + side * (torch.arange(7) + 0.5) / 7).expand(7, 7)
    torch.testing.assert_close(region, middles if across else middles.T, rtol=1e-5, atol=0)


def test_a_box_is_read_from_its_own_canvas():
    own = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1)

    regions = roi_align(
        levels_of(lambda stride: own, num_canvases=3), torch.tensor([9.0, 9, 50, 70]).expand(3, 2, 4)
    )

    torch.testing.assert_close(regions, own[:, None].expand(3, 2, 1, 7, 7))


def test_a_box_head_flattens_regions_without_a_copy():
    regions = roi_align(levels_of(float), torch.tensor([[[9.0, 9, 50, 70], [3, 3, 9, 9]]]))

    assert regions.is_contiguous()
    assert regions.flatten(0, 1).flatten(1).data_ptr() == regions.data_ptr()


LEVELS = levels_of(float, num_canvases=2, side=64)
FITTING = {"levels": LEVELS, "boxes": torch.zeros(2, 3, 4)}


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"levels": LEVELS[:3]}, ValueError, r"there are 3 levels; expected 4, at strides \(4, 8, 16, 32\)"),
        ({"levels": [*LEVELS[:3], LEVELS[3].half()]}, TypeError, "levels are torch.float16, torch.float32"),
        ({"levels": [level.double() for level in LEVELS]}, TypeError, "levels are torch.float64"),
        ({"boxes": torch.zeros(2, 3, 4).half()}, TypeError, "boxes torch.float16"),
        ({"boxes": torch.zeros(3, 4)}, ValueError, r"boxes are \(3, 4\); expected \(N, R, 4\)"),
        ({"boxes": torch.zeros(1, 3, 4)}, ValueError, r"a level is \(2, 1, 16, 16\) with boxes \(1, 3, 4\)"),
        ({"levels": [*LEVELS[:3], LEVELS[3].expand(2, 2, 2, 2)]}, ValueError, "the other levels' C"),
        ({"levels": [*LEVELS[:3], LEVELS[3][:, :, :0]]}, ValueError, "at least one cell"),
        ({"levels": [*LEVELS[:3], LEVELS[3][0]]}, ValueError, r"a level is \(1, 2, 2\)"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_pooled_is_refused_in_one_sentence(change, error, sentence):
    with pytest.raises(error, match=sentence):
        roi_align(**(FITTING | change))
