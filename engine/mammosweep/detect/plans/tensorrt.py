"""Plans by TensorRT: one pair of engines for each canvas, each replayed as one CUDA graph.

Not yet run on a GPU.

torch-tensorrt converts an exported program into TensorRT's own serialised engine; only those bytes are kept,
and TensorRT's own runtime runs them. torch-tensorrt's saved modules would need pickle, and its runtime is not
needed.
"""

# Shapes:  B exams   S slots   F looks   N = F * B * S canvases, look by look   M regions   C channels

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.config import FlipMode, PlanChoice, Precision
from mammosweep.detect.flips import LOOKS, Flip
from mammosweep.detect.network import FourViewDetector
from mammosweep.detect.plans.eager import DTYPES
from mammosweep.detect.plans.programs import (
    DENSE,
    HEAD,
    HEAD_REGIONS,
    PRESENT,
    Names,
    dense_program,
    head_program,
    names_of,
    slots_of,
)
from mammosweep.detect.plans.seam import DenseOutput, HeadOutput, PlanAbout
from mammosweep.detect.plans.store import StoredPlan
from mammosweep.errors import ConfigError, DeviceError
from mammosweep.geometry import Size

__all__ = ["TensorRTPlan", "build", "build_options", "require_options"]

BINDINGS = "bindings.json"

NOT_INSTALLED = (
    "TensorRT's plans need torch-tensorrt and TensorRT, and {} cannot be imported; run: "
    "pip install 'mammosweep[tensorrt]'"
)


def build(
    network: FourViewDetector,
    spec: DetectorSpec,
    folder: Path,
    *,
    bucket: Size,
    batch: int,
    flips: FlipMode,
    precision: Precision,
    timing_cache: Path,
) -> None:
    """Compile both plans for one canvas on this machine's GPU and write them into a folder. Takes minutes.

    Args:
        network: with its weights, in fp32; it stays as it is.
        spec: what it was built from.
        folder: where the engines and their bindings go.
        bucket: the canvas.
        batch: exams in a call, see `batch_of`.
        flips: the looks of a call.
        precision: FP32, BF16 or FP16.
        timing_cache: a file of this user's own, in which TensorRT keeps which kernel was fastest.

    Raises:
        ConfigError: the number format is none of these.
        DeviceError: TensorRT or torch-tensorrt is not installed, or does not convert the network.
    """
    if precision not in DTYPES:
        raise ConfigError(
            f"TensorRT's plans compute in {', '.join(DTYPES)}; detect.precision is {str(precision)!r}"
        )
    typed = copy.deepcopy(network).to("cuda", DTYPES[precision]).eval()
    options = build_options(precision, timing_cache)
    programs = {
        DENSE: dense_program(typed, spec, bucket, batch, flips),
        HEAD: head_program(typed, spec),
    }
    for name, program in programs.items():
        names = names_of(name, slots_of(spec))
        (folder / f"{name}.engine").write_bytes(_compiled(name, names, program, options))
    (folder / BINDINGS).write_text(
        json.dumps({"batch": batch, "slots": slots_of(spec)}) + "\n", encoding="utf-8"
    )


def build_options(precision: Precision, timing_cache: Path) -> dict[str, Any]:
    """What torch-tensorrt is told."""
    return {
        "require_full_compilation": True,
        "immutable_weights": True,
        # Its cache leaves weights and GPU out of the key.
        "cache_built_engines": False,
        "reuse_cached_engines": False,
        # Its default is one file of a known name in the temporary folder, which others may have written.
        "timing_cache_path": str(timing_cache),
        # TF32 has 11 significant bits: that is no reference.
        "disable_tf32": precision is Precision.FP32,
    }


def require_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Go on only if a function has every option by name: torch-tensorrt swallows what it does not know.

    Raises:
        DeviceError: it has not.
    """
    unknown = sorted(set(options) - set(inspect.signature(function).parameters))
    if unknown:
        raise DeviceError(
            f"this torch-tensorrt knows no option {', '.join(unknown)}; install the version that "
            "pyproject.toml pins"
        )


def _compiled(name: str, names: Names, program: ExportedProgram, options: Mapping[str, Any]) -> bytes:
    """A program as TensorRT's serialised engine."""
    try:
        import torch_tensorrt
    except ImportError as error:
        raise DeviceError(NOT_INSTALLED.format(error.name or error)) from None
    convert = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine
    inputs = [torch_tensorrt.Input(tuple(t.shape), dtype=t.dtype) for t in program.example_inputs[0]]
    every = dict(options) | {
        "arg_inputs": inputs,
        "arg_input_binding_names": names.inputs,
        "output_binding_names": names.outputs,
        "device": torch.device("cuda", torch.cuda.current_device()),
    }
    require_options(convert, every)
    try:
        engine: bytes = convert(program, **every)
    except RuntimeError as error:
        raise DeviceError(f"TensorRT does not compile the {name} plan: {error}") from None
    return engine


class TensorRTPlan:
    """Engines of the canvases that came so far, loaded when one first comes. Not yet run on a GPU.

    What `dense` gives lies in its engine's own buffers: the next call overwrites it. `head` belongs to the
    canvas that `dense` saw last.
    """

    looks_at_once = True
    skips_missing = False

    def __init__(
        self, open_plan: Callable[[Size], StoredPlan], flips: FlipMode, precision: Precision
    ) -> None:
        """Make one that has loaded nothing yet.

        Args:
            open_plan: gives a canvas's plan, or raises and says how to build it.
            flips: the looks that the plans were built for.
            precision: the number format that they were built for.
        """
        self.about = PlanAbout(
            PlanChoice.TENSORRT, torch.device("cuda", torch.cuda.current_device()), precision
        )
        self._open = open_plan
        self._looks = LOOKS[flips]
        self._canvases: dict[Size, _Canvas] = {}
        self._seen_last: _Canvas | None = None

    def exams_at_once(self, size: tuple[int, int]) -> int:
        """See `Plan`."""
        return self._canvas(Size(*size)).batch

    def dense(self, pixels_BS1HW: Tensor, present_BS: Tensor, looks: Sequence[Flip]) -> DenseOutput:
        """See `Plan`. Pixels may be on the host, pinned or not; more exams than fit a call go in several."""
        if tuple(looks) != self._looks:
            raise ConfigError(
                f"this plan was built for {len(self._looks)} looks and is asked for {len(looks)}; build it "
                "for the detect.flips that the sweep has"
            )
        canvas = self._seen_last = self._canvas(Size(*pixels_BS1HW.shape[-2:]))
        exams = list(zip(_parts(pixels_BS1HW, canvas.batch), _parts(present_BS, canvas.batch), strict=True))
        if len(exams) == 1:
            return _look_by_look(canvas.dense(*exams[0], len(looks)))
        parts = [tuple(t.clone() for t in canvas.dense(*some, len(looks))) for some in exams]
        return _look_by_look([torch.cat(same, dim=1) for same in zip(*parts, strict=True)])

    def head(self, regions_MC77: Tensor) -> HeadOutput:
        """See `Plan`."""
        if self._seen_last is None:
            raise ConfigError("a head plan belongs to a canvas, and none was seen yet; call dense first")
        parts = [self._seen_last.head(some) for some in _parts(regions_MC77, HEAD_REGIONS)]
        if len(parts) == 1:
            return HeadOutput(*parts[0])
        return HeadOutput(*(torch.cat(same) for same in zip(*parts, strict=True)))

    def _canvas(self, size: Size) -> _Canvas:
        if size not in self._canvases:
            self._canvases[size] = _Canvas(self._open(size), self.about.device)
        return self._canvases[size]


def _parts(rows: Tensor, size: int) -> list[Tensor]:
    """Up to ``size`` rows each, at least one part."""
    return [rows[i : i + size] for i in range(0, max(len(rows), 1), size)]


def _look_by_look(found_FBS: Sequence[Tensor]) -> DenseOutput:
    *levels, logits, deltas, anchors = (t.flatten(0, 2) for t in found_FBS)
    return DenseOutput(tuple(levels), logits, deltas, anchors)


class _Canvas:
    """Both engines of one canvas."""

    def __init__(self, plan: StoredPlan, device: torch.device) -> None:
        bindings = json.loads(plan.read(BINDINGS))
        self.batch: int = bindings["batch"]
        self._slots: int = bindings["slots"]
        self._dense = _Engine(plan, DENSE, names_of(DENSE, self._slots), device)
        self._head = _Engine(plan, HEAD, names_of(HEAD, self._slots), device)

    def dense(self, pixels_bS1HW: Tensor, present_bS: Tensor, num_looks: int) -> tuple[Tensor, ...]:
        """(F, b, S, ...) of up to a batch of exams; exams that are not there have no view present."""
        exams = len(pixels_bS1HW)
        if PRESENT in self._dense.inputs:
            self._dense.inputs[PRESENT].zero_()
            found = self._dense(pixels_bS1HW, present_bS)
        else:
            found = self._dense(pixels_bS1HW)
        rows = (num_looks, self.batch, self._slots)
        return tuple(t.view(*rows, *t.shape[1:])[:, :exams] for t in found)

    def head(self, regions_MC77: Tensor) -> tuple[Tensor, ...]:
        """Of up to `HEAD_REGIONS` regions; rows know nothing of rows, so the others may hold anything."""
        return tuple(t[: len(regions_MC77)].clone() for t in self._head(regions_MC77))


@dataclass(frozen=True, slots=True)
class _Buffers:
    """An engine's inputs and outputs, at fixed addresses."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class _Engine:
    """One engine with its buffers, captured as a CUDA graph."""

    def __init__(self, plan: StoredPlan, name: str, names: Names, device: torch.device) -> None:
        self._engine = _runtime().deserialize_cuda_engine(plan.read(f"{name}.engine"))
        if self._engine is None:
            raise DeviceError(f"TensorRT cannot load {name}.engine of plan {plan.name}; build the plan again")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            free, total = (size / 2**30 for size in torch.cuda.mem_get_info(device))
            raise DeviceError(
                f"plan {plan.name} does not fit into the GPU's memory ({free:.1f} of {total:.1f} GiB are "
                "free); build it with a smaller detect.batch_exams"
            )
        self._name, self._names = name, names
        buffers = _buffers(self._engine, name, names, device)
        self.inputs, self._outputs = buffers.inputs, buffers.outputs
        for binding, tensor in (self.inputs | self._outputs).items():
            self._context.set_tensor_address(binding, tensor.data_ptr())
        self._graph = self._captured(device)

    def _captured(self, device: torch.device) -> torch.cuda.CUDAGraph:
        """The engine's work as one graph."""
        stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            self._enqueue(stream)  # the first time it allocates, which a capture must not
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Only this thread is held to what a capture allows: others decode meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._enqueue(stream)
        return graph

    def _enqueue(self, stream: torch.cuda.Stream) -> None:
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise DeviceError(f"TensorRT does not run the {self._name} plan; its log says why")

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the engine gives, in its own buffers; inputs may have fewer rows than they hold."""
        for name, rows in zip(self._names.inputs, inputs, strict=True):
            # Pinned memory is copied beside what the GPU does; PyTorch keeps it until the copy is done, then
            # takes it for the next batch.
            source = rows if rows.is_cuda else rows.pin_memory()
            self.inputs[name][: len(rows)].copy_(source, non_blocking=True)
        self._graph.replay()
        return tuple(self._outputs[name] for name in self._names.outputs)


@cache
def _runtime() -> Any:
    """TensorRT's runtime, one for the process.

    Raises:
        DeviceError: TensorRT is not installed.
    """
    try:
        import tensorrt as trt
    except ImportError as error:
        raise DeviceError(NOT_INSTALLED.format(error.name or error)) from None
    return trt.Runtime(trt.Logger(trt.Logger.WARNING))


def _buffers(engine: Any, name: str, expected: Names, device: torch.device) -> _Buffers:
    """Zeroed tensors for every binding, of the engine's own shapes and types.

    Raises:
        DeviceError: its bindings are not those of the plan.
    """
    import tensorrt as trt

    dtypes = {
        trt.DataType.FLOAT: torch.float32,
        trt.DataType.HALF: torch.float16,
        trt.DataType.BF16: torch.bfloat16,
        trt.DataType.INT64: torch.int64,
        trt.DataType.INT32: torch.int32,
        trt.DataType.BOOL: torch.bool,
    }
    found: dict[bool, dict[str, Tensor]] = {True: {}, False: {}}
    for index in range(engine.num_io_tensors):
        binding = engine.get_tensor_name(index)
        shape, dtype = tuple(engine.get_tensor_shape(binding)), dtypes[engine.get_tensor_dtype(binding)]
        is_input = engine.get_tensor_mode(binding) == trt.TensorIOMode.INPUT
        found[is_input][binding] = torch.zeros(shape, dtype=dtype, device=device)
    if set(found[True]) != set(expected.inputs) or set(found[False]) != set(expected.outputs):
        raise DeviceError(
            f"{name}.engine has the bindings {sorted(found[True] | found[False])}; expected "
            f"{sorted(expected.inputs + expected.outputs)}: build the plan again"
        )
    return _Buffers(found[True], found[False])
