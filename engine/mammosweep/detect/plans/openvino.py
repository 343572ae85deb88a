"""Plans by OpenVINO for the CPU: bf16, fp32, or int8 calibrated by NNCF on a bundle's validation views."""

# Shapes:  B exams   S slots   N = B * S canvases   C channels   h, w of a level   M regions

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import openvino
import torch
from numpy.typing import NDArray
from openvino import Core, Model, PartialShape
from torch import Tensor, nn

from mammosweep.config import PlanChoice, Precision
from mammosweep.detect.flips import Flip
from mammosweep.detect.network import NUM_REGION_LEVELS, FourViewDetector, Head, Maps
from mammosweep.detect.plans.seam import DenseOutput, HeadOutput, PlanAbout
from mammosweep.detect.proposals import top_anchors

__all__ = ["FILES", "OpenVinoPlan", "save_models"]

MAPS, HEAD = "maps", "head"
FILES = tuple(f"{name}.{kind}" for name in (MAPS, HEAD) for kind in ("xml", "bin"))

CANVASES_KEPT = 16
"""Compiled models are kept for so many canvas sizes; compiling one takes a fifth of a second."""

TRACED = (256, 192)
"""(H, W) of the canvas that a network is converted with; its sizes stay free."""

HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.INT8: "bf16"}  # int8: what is not quantised


class _ConvertibleMaps(nn.Module):
    """`Maps` with levels as (N, h, w, C), in which convolutions leave them and regions are cut from them."""

    def __init__(self, network: FourViewDetector) -> None:
        super().__init__()
        self.maps = Maps(network)
        self.has_company = network.fusion is not None

    def forward(self, pixels_BS1HW: Tensor, *present: Tensor) -> tuple[Tensor, ...]:
        there = present[0] > 0 if self.has_company else torch.ones(1, 1, dtype=torch.bool)
        levels, objectness, deltas = self.maps(pixels_BS1HW, there)
        return (*(level.permute(0, 2, 3, 1) for level in levels), *objectness, *deltas)


def save_models(
    network: FourViewDetector,
    folder: Path,
    precision: Precision,
    canvases: Iterable[tuple[Tensor, Tensor]] = (),
    regions: Iterable[Tensor] = (),
) -> None:
    """Convert both plans and write them into a folder.

    Args:
        network: with its weights, in fp32.
        folder: where ``FILES`` go.
        precision: INT8 quantises; the others differ only when they are loaded.
        canvases: for INT8, pixels (B, S, 1, H, W) and present (B, S) to calibrate on.
        regions: for INT8, features (M, C, 7, 7) to calibrate the head on.
    """
    slots = 4 if network.fusion is not None else 1
    pixels, present = torch.zeros(1, slots, 1, *TRACED), torch.ones(1, slots)
    inputs = (pixels, present) if network.fusion is not None else (pixels,)
    channels = network.rpn.head.cls_logits.in_channels
    with torch.inference_mode(), warnings.catch_warnings():
        # OpenVINO traces a module by torch.jit, which PyTorch calls deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
        maps = openvino.convert_model(_ConvertibleMaps(network).eval(), example_input=inputs)
        head = openvino.convert_model(Head(network).eval(), example_input=torch.zeros(2, channels, 7, 7))
    head.reshape(PartialShape([-1, channels, 7, 7]))
    if precision is Precision.INT8:
        many = [
            [part.float().numpy() for part in ((p, t) if network.fusion is not None else (p,))]
            for p, t in canvases
        ]
        maps, head = _quantised(maps, many), _quantised(head, [[part.float().numpy()] for part in regions])
    for name, model in ((MAPS, maps), (HEAD, head)):
        openvino.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)


def _quantised(model: Model, samples: Sequence[Sequence[NDArray[Any]]]) -> Model:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    # Without VNNI two int8 products overflow int16, which NNCF avoids by halving the weights' range.
    has_vnni = torch.cpu._is_vnni_supported()
    advanced = AdvancedQuantizationParameters(
        # NNCF's default is the mean over samples of their extremes: a lesion's activations are the extremes,
        # and views without one would cut them off.
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        overflow_fix=OverflowFix.DISABLE if has_vnni else OverflowFix.FIRST_LAYER,
    )
    dataset = nncf.Dataset(list(samples), lambda sample: sample)
    return nncf.quantize(
        model,
        dataset,
        subset_size=len(samples),
        # Symmetric: asymmetric activations measured slower, and four times farther from fp32 (ResNet-50).
        preset=nncf.QuantizationPreset.PERFORMANCE,
        advanced_parameters=advanced,
    )


class OpenVinoPlan:
    """Both models, compiled for each canvas when it first comes."""

    looks_at_once = False  # the levels of four looks would take gigabytes, and gain nothing on a CPU
    skips_missing = False

    def __init__(self, folder: Path, precision: Precision, proposals_per_level: int, threads: int) -> None:
        self.about = PlanAbout(PlanChoice.OPENVINO, torch.device("cpu"), precision)
        self._core = Core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads or torch.get_num_threads()),
        }
        self._maps = self._core.read_model(folder / f"{MAPS}.xml")
        self._head = self._core.compile_model(folder / f"{HEAD}.xml", "CPU", self._settings)
        self._head_request = self._head.create_infer_request()
        self._compiled: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._proposals_per_level = proposals_per_level

    def exams_at_once(self, size: tuple[int, int]) -> int:
        """See `Plan`."""
        return 0

    def dense(self, pixels_BS1HW: Tensor, present_BS: Tensor, looks: Sequence[Flip]) -> DenseOutput:
        """See `Plan`."""
        (look,) = looks
        pixels = look.apply(pixels_BS1HW).contiguous()
        request = self._request(tuple(pixels.shape))
        inputs = [pixels.numpy(), present_BS.float().numpy()][: len(self._maps.inputs)]
        request.infer(inputs, share_inputs=True)
        outputs = [_tensor(request.get_output_tensor(i)) for i in range(len(self._maps.outputs))]
        levels = tuple(level.permute(0, 3, 1, 2) for level in outputs[:NUM_REGION_LEVELS])
        of_proposals = outputs[NUM_REGION_LEVELS:]
        objectness, deltas = of_proposals[: len(of_proposals) // 2], of_proposals[len(of_proposals) // 2 :]
        return DenseOutput(levels, *top_anchors(objectness, deltas, self._proposals_per_level))

    def head(self, regions_MC77: Tensor) -> HeadOutput:
        """See `Plan`."""
        self._head_request.infer([regions_MC77.float().contiguous().numpy()], share_inputs=True)
        return HeadOutput(*(_tensor(self._head_request.get_output_tensor(i)).clone() for i in range(3)))

    def _request(self, shape: tuple[int, ...]) -> Any:
        """An inference request for canvases of this shape."""
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        model = self._maps.clone()
        model.reshape(
            {0: PartialShape(list(shape))}
            if len(model.inputs) == 1
            else {0: PartialShape(list(shape)), 1: PartialShape(list(shape[:2]))}
        )
        self._compiled[shape] = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        if len(self._compiled) > CANVASES_KEPT:
            self._compiled.popitem(last=False)
        return self._compiled[shape]


def _tensor(output: openvino.Tensor) -> Tensor:
    return torch.from_numpy(output.data)
