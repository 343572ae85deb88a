"""Who may import whom, what a kernel consists of, and which names the world may rely on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "engine" / "mammosweep"
KERNELS = ROOT / "kernels" / "mammosweep_kernels"

BASE = {"errors", "geometry", "records", "vocabulary", "config", "toml", "version", "clock"}

MAY_IMPORT = {
    "archive": BASE,
    "phantom": BASE,
    "evaluate": BASE,
    "exam": BASE,
    "report": BASE,
    "bundle": BASE,
    "pixels": BASE | {"archive"},
    "detect": BASE | {"bundle", "pixels"},
    "lesion": BASE | {"bundle", "pixels", "detect"},
    "pipeline": BASE | {"archive", "bundle", "pixels", "detect", "lesion", "decide", "exam"},
    "decide": BASE | {"archive", "bundle", "lesion", "exam"},
    "adopt": BASE | {"archive", "bundle", "pixels", "detect", "exam"},
    "fit": BASE | {"archive", "bundle", "pixels", "detect", "lesion", "exam", "evaluate", "phantom"},
    "run": BASE | {"archive", "bundle", "decide", "exam", "pipeline", "report"},
}
"""Data flows one way: from archive/ to report/. The rest (cli, demo, the package itself) sees all."""

LIGHT = ("archive", "errors", "records", "geometry", "config", "report", "exam")
HEAVY = {"torch", "torchvision", "timm", "ray", "xgboost", "nvidia", "triton"}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_of(part: str) -> list[Path]:
    folder = ENGINE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ENGINE / f"{part}.py"]


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_comes_before_it(part):
    parts = {path.stem for path in ENGINE.iterdir()} - {"__init__"}
    for path in files_of(part):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("mammosweep.")} & parts
        assert used <= MAY_IMPORT[part] | {part}, path.relative_to(ROOT)


def test_every_part_of_the_engine_has_its_place():
    free = {"__init__", "cli", "demo", "py", "__pycache__"} | BASE
    parts = {path.stem for path in ENGINE.iterdir()} - free
    assert parts - set(MAY_IMPORT) == set()


@pytest.mark.parametrize("part", LIGHT)
def test_what_header_processes_load_is_free_of_heavy_libraries(part):
    adapters = {ENGINE / "exam" / "booster.py"}
    for path in set(files_of(part)) - adapters:
        heavy = {name.split(".")[0] for name in imports(path)} & HEAVY
        assert heavy == set(), path.relative_to(ROOT)


@pytest.mark.parametrize("kernel", sorted(p.name for p in KERNELS.iterdir() if (p / "reference.py").exists()))
def test_a_kernel_has_reference_fused_test_and_benchmark(kernel):
    assert (KERNELS / kernel / "reference.py").exists()
    assert (KERNELS / kernel / "fused.py").exists()
    assert list((ROOT / "tests" / "kernels").glob(f"test_{kernel}*.py"))
    assert kernel in (ROOT / "benchmarks" / "bench_kernels.py").read_text(encoding="utf-8")


def test_kernels_do_not_know_the_engine():
    for path in KERNELS.rglob("*.py"):
        assert not {name for name in imports(path) if name.split(".")[0] == "mammosweep"}, path


def test_no_file_is_called_by_what_it_is_not():
    names = {path.stem for folder in (ENGINE, KERNELS) for path in folder.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def test_the_public_names_are_the_listed_ones():
    import mammosweep

    assert sorted(mammosweep.__all__) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(mammosweep, name) is not None


PUBLIC_NAMES = [
    "ArchiveConfig",
    "BundleError",
    "ConfigError",
    "Counts",
    "DetectConfig",
    "Device",
    "DeviceError",
    "ExamOutcome",
    "ExamStatus",
    "Finding",
    "Flag",
    "FlipMode",
    "ImageRecord",
    "ImageStatus",
    "Laterality",
    "LedgerError",
    "Lesion",
    "LesionType",
    "PixelsConfig",
    "Position",
    "Precision",
    "Progress",
    "Provenance",
    "RayConfig",
    "Reason",
    "ReportConfig",
    "RunConfig",
    "SourceError",
    "State",
    "Status",
    "SweepConfig",
    "SweepError",
    "SweepSummary",
    "Tally",
    "__version__",
    "load_config",
    "read_table",
    "status",
    "sweep",
    "sweep_to",
]
