"""Export plans and ask torch-tensorrt's converters about every node, without TensorRT and without a GPU.

Reads {"cases": [[trunk, part, flips, bucket, dry run or not], ...]}; writes {"found": [...], "knows": [...]}:
what became of each case, and the options of torch-tensorrt's conversion. A program of its own, for in its
process stand-ins take the place of TensorRT and of a GPU.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from tests.detect.plans.networks import SPECS, Case
from torch.export import ExportedProgram

from mammosweep.config import FlipMode, Precision
from mammosweep.detect.network import FourViewDetector
from mammosweep.detect.plans.programs import HEAD, dense_program, head_program
from mammosweep.detect.plans.tensorrt import build_options

GIB = 2**30
H100 = SimpleNamespace(major=9, minor=0, name="NVIDIA H100 80GB HBM3", total_memory=80 * GIB)


def torch_tensorrt_beside_stand_ins() -> ModuleType:
    """torch-tensorrt's Python package; its compiled parts, which need TensorRT's libraries, are left out."""
    sys.path.insert(0, str(Path(__file__).parent / "stand_in"))
    is_file = os.path.isfile
    os.path.isfile = lambda path: "libtorchtrt" not in str(path) and is_file(path)
    stand_ins: dict[str, Any] = {
        "get_device_capability": lambda *_: (H100.major, H100.minor),
        "get_device_properties": lambda *_: H100,
        "mem_get_info": lambda *_: (H100.total_memory, H100.total_memory),
        "current_device": lambda: 0,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
    }
    for name, stand_in in stand_ins.items():
        setattr(torch.cuda, name, stand_in)
    import torch_tensorrt

    return torch_tensorrt


def dry_run(library: ModuleType, program: ExportedProgram) -> dict[str, Any]:
    """What converting an exported program would give, all of it or nothing."""
    compiler = sys.modules["torch_tensorrt.dynamo._compiler"]
    told: list[Any] = []
    compiler.dryrun_stats_display = lambda tracker, _: told.append(tracker)  # it prints
    options = build_options(Precision.FP16, Path("timing.cache")) | {"dryrun": True}
    inputs = list(program.example_inputs[0])
    library.dynamo.compile(program, arg_inputs=inputs, device=torch.device("cuda", 0), **options)
    (tracker,) = told
    return {
        "nodes": tracker.total_ops_in_graph,
        "converted": tracker.supported_ops_in_graph,
        "engines": tracker.tensorrt_graph_count,
        "left_to_torch": tracker.to_run_in_torch,
        "outputs": [str(dtype) for dtype in tracker.output_dtypes],
    }


def exported(network: FourViewDetector, case: Case) -> ExportedProgram:
    """The program of a case."""
    spec = SPECS[case.trunk]
    if case.part == HEAD:
        return head_program(network, spec)
    return dense_program(network, spec, case.size, 1, FlipMode(case.flips))


def main(asked: Path, made: Path) -> None:
    """Export every case that is asked for, and dry-run those for which it is asked."""
    gc.disable()  # tracing makes a great many objects that live on
    torch.set_num_threads(1)
    order = [(Case(*row[:-1]), row[-1]) for row in json.loads(asked.read_text())["cases"]]
    library = torch_tensorrt_beside_stand_ins() if any(dry for _, dry in order) else None
    networks: dict[str, FourViewDetector] = {}
    found = []
    for case, dry in order:
        if case.trunk not in networks:
            networks[case.trunk] = FourViewDetector(SPECS[case.trunk]).eval().half()
        program = exported(networks[case.trunk], case)
        said: dict[str, Any] = {
            "exported": sum(node.op == "call_function" for node in program.graph.nodes),
            "inputs": len(program.example_inputs[0]),
        }
        if dry and library is not None:
            said |= dry_run(library, program)
        found.append(said)
    convert = library and library.dynamo.convert_exported_program_to_serialized_trt_engine
    knows = list(inspect.signature(convert).parameters) if convert else []
    made.write_text(json.dumps({"found": found, "knows": knows}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
