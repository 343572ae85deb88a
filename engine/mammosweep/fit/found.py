"""What a detector finds in annotated exams, kept beside the checkpoints: finding it again takes minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mammosweep.bundle.manifest import DetectorSpec
from mammosweep.detect.buckets import make_batches
from mammosweep.detect.detector import Candidates, PlannedDetector
from mammosweep.fit.samples import ExamSample

__all__ = ["Found", "find", "load_found", "save_found"]

Found = Mapping[str, Candidates]
"""By the view's SOP Instance UID."""

FIELDS = ("boxes", "labels", "scores", "votes", "embeddings")


def find(
    samples: Iterable[ExamSample],
    finder: PlannedDetector,
    spec: DetectorSpec,
    embedder: PlannedDetector | None = None,
) -> dict[str, Candidates]:
    """Candidates of every view.

    Args:
        samples: annotated exams.
        finder: gives boxes and scores; it should not have seen them.
        spec: of both detectors.
        embedder: gives the embeddings, where that is another: what judges findings will meet only its own.
    """
    found: dict[str, Candidates] = {}
    for sample in samples:
        for batch in make_batches({view.view: view.normalised for view in sample.views}, spec):
            candidates = finder(batch)
            if embedder is not None:
                embeddings = embedder.embed(batch, [one.boxes for one in candidates])
                candidates = [
                    replace(one, embeddings=e) for one, e in zip(candidates, embeddings, strict=True)
                ]
            found |= dict(zip((view.sop_instance_uid for view in batch.views), candidates, strict=True))
    return found


def save_found(path: Path, found: Found, of: str) -> None:
    """Write candidates, atomically; ``of`` says whose they are."""
    tensors: dict[str, Tensor] = {}
    for uid, candidates in found.items():
        tensors |= {f"{uid}/{name}": getattr(candidates, name).contiguous() for name in FIELDS}
    beside = path.with_suffix(".tmp")
    save_file(tensors or {"none": torch.zeros(0)}, beside, metadata={"of": of})
    beside.replace(path)


def load_found(path: Path, of: str) -> Found | None:
    """What `save_found` wrote; None where it did not, or for another recipe or other data."""
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("of") != of:
            return None
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    uids = dict.fromkeys(name.rpartition("/")[0] for name in tensors if "/" in name)
    return {uid: Candidates(*(tensors[f"{uid}/{field}"] for field in FIELDS)) for uid in uids}
