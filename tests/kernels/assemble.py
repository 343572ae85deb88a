"""Compile kernels ahead of time to machine code for GPUs that are not there.

Reads {"builds": {name: {"kernel", "signature", "constants", "options"}}, "architectures": [90, ...]}; writes
{"bytes": {name: {"90": length}}, "kernels": [...]}. A program of its own, because a process in which
Triton was imported with TRITON_INTERPRET=1 cannot compile.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import mammosweep_kernels

WARP = 32


def kernels() -> dict[str, Any]:
    """Every Triton kernel of the package (functions that kernels call are named otherwise), by name."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(mammosweep_kernels.__path__, "mammosweep_kernels."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            if isinstance(thing, triton.JITFunction) and name.endswith("_kernel"):
                found[name] = thing
    return found


def cubin_bytes(kernel: Any, build: dict[str, Any], architecture: int) -> int:
    """Compile one build of a kernel for one compute capability."""
    constants = build["constants"]
    signature = build["signature"] | dict.fromkeys(constants, "constexpr")
    ordered = {name: signature[name] for name in kernel.arg_names}
    source = ASTSource(kernel, ordered, constexprs=constants)
    target = GPUTarget("cuda", architecture, WARP)
    return len(triton.compile(source, target=target, options=build["options"]).asm["cubin"])


def main(asked: Path, made: Path) -> None:
    """Compile what is asked for and write down how long the machine code is."""
    order = json.loads(asked.read_text())
    found = kernels()
    lengths = {
        name: {a: cubin_bytes(found[build["kernel"]], build, a) for a in order["architectures"]}
        for name, build in order["builds"].items()
    }
    made.write_text(json.dumps({"bytes": lengths, "kernels": sorted(found)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
