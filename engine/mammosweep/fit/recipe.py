"""START HERE: from an annotated archive to a bundle, in order.

detector ─▶ what it finds in exams that it has not seen ─▶ place, character ─▶ matching, decision ─▶ figures

Patients are told apart three ways (`parts.py`): those that the detector learns from, those that what judges
its findings learns from, and those that the figures are made on. Where patients are few, the first two are
the same ones, and each is judged by a detector that was fitted without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mammosweep.bundle.load import DETECTOR, LESION
from mammosweep.config import Device, FlipMode, Precision
from mammosweep.detect.buckets import ExamBatch
from mammosweep.detect.detector import Candidates, PlannedDetector
from mammosweep.detect.load import choose_device, choose_precision
from mammosweep.detect.network import FourViewDetector, load_detector_weights
from mammosweep.detect.plans.eager import EagerPlan
from mammosweep.fit.calcification import fit_calcification
from mammosweep.fit.character import character_samples
from mammosweep.fit.checkpoint import Checkpoint
from mammosweep.fit.detector import fit_detector
from mammosweep.fit.exam import fit_exam
from mammosweep.fit.finish import write_bundle
from mammosweep.fit.found import Found, find, load_found, save_found
from mammosweep.fit.lesion import CharacterSample, fit_character, fit_place, has_place
from mammosweep.fit.outcome import ExamFindings, Figures, findings_of, labelled, measure
from mammosweep.fit.parts import Parts, split_archive
from mammosweep.fit.pretrained import begin_detector
from mammosweep.fit.samples import AnnotatedArchive, ExamSample
from mammosweep.fit.settings import FitSettings
from mammosweep.lesion.character import CharacterNetwork
from mammosweep.lesion.depth import DepthNetwork
from mammosweep.lesion.describe import LesionNetworks, LesionStage
from mammosweep.lesion.quadrant import QuadrantNetwork
from mammosweep.records import ExamRef

__all__ = ["fit_bundle"]

NUM_CONSIDERED = 12
"""Validation exams, of which the smallest go with the bundle."""

SHOWN_EVERY = 50  # steps

OF_DETECTOR = ("network", "detector", "start")
OF_FOUND = (*OF_DETECTOR, "cross_fit_steps")
"""The settings that a stage's checkpoint depends on."""

Log = Callable[[str], None]


def fit_bundle(
    settings: FitSettings, archive: AnnotatedArchive, folder: Path, work: Path, out: Path, log: Log
) -> Figures:
    """Fit and write a bundle.

    Args:
        settings: everything that decides what it becomes.
        archive: images and what is in them.
        folder: what paths in the settings are relative to.
        work: checkpoints and curves; a fit that was killed goes on from here and ends with the same weights.
        out: the bundle's folder.
        log: is told how far it is.

    Raises:
        ConfigError: there is too little to learn from, or the work folder is another fit's.
    """
    work.mkdir(parents=True, exist_ok=True)
    fit = _Fit(settings, archive, split_archive(archive, settings.split, folder), work, log)
    log(fit.parts.summary)
    detector = fit.detector()
    found = fit.judged(detector)
    samples = fit.character_samples(found, detector)
    networks = fit.networks(samples)
    log("fitting matching and decision")
    judged = [labelled(exam) for exam in fit.described(found, samples, networks)]
    fitted = fit_exam(judged, rescore_weight=settings.exam.rescore_weight, seed=settings.seed)
    calcification = fit_calcification(judged, seed=settings.seed)
    log(f"measuring on {len(fit.parts.validation)} exams of validation patients")
    stage = fit.stage(networks)
    held_out = [findings_of(sample, detector, stage, settings.network) for sample in fit.held_out()]
    figures = measure(held_out, fitted.models(settings.exam.aggregation))
    write_bundle(settings, fit.parts, work, fitted, calcification, figures, fit.kept_exams(), out)
    return figures


@dataclass(frozen=True, slots=True)
class _Fit:
    """One fit: what it is of, and where it is kept."""

    settings: FitSettings
    archive: AnnotatedArchive
    parts: Parts
    work: Path
    log: Log

    def of(self, *parts: str) -> str:
        """Digest of the data and of what a stage's settings are: a checkpoint belongs to one fit."""
        text = json.dumps([self.settings.digest(*parts), self.parts.digest, self.archive.digest])
        return hashlib.sha256(text.encode()).hexdigest()

    def checkpoint(self, name: str, *parts: str) -> Checkpoint:
        return Checkpoint(self.work / f"{name}.checkpoint.safetensors", self.of(*parts))

    # the detector

    def detector(self) -> PlannedDetector:
        """The bundle's detector, as its file has it: in half precision."""
        network = self._fitted_detector("detector", self.parts.learn, self.settings.detector.steps)
        path = self.work / DETECTOR
        save_half(network, path)
        return self._planned(load_file(path))

    def _fitted_detector(self, name: str, exams: Sequence[ExamRef], steps: int) -> FourViewDetector:
        settings = self.settings
        torch.manual_seed(settings.seed)
        network = FourViewDetector(settings.network)
        begin_detector(network, settings.start, settings.network.trunk)
        if steps == 0:
            return network.eval()
        self.log(f"fitting the {name}: reading {len(exams)} exams")
        return fit_detector(
            network,
            settings.network,
            [sample.light for sample in self._read_light(exams)],
            replace(settings.detector, steps=steps),
            settings.bundle.grid_mm,
            self.checkpoint(name, *OF_DETECTOR, *([] if name == "detector" else ["cross_fit_steps"])),
            self._curve(name),
        )

    def _read_light(self, exams: Sequence[ExamRef]) -> Iterator[ExamSample]:
        """Exams without detail; what cannot be used is said."""
        grid_mm = self.settings.bundle.grid_mm
        return self.archive.samples(exams, grid_mm, refused=lambda problem: self.log(f"left out: {problem}"))

    def _planned(self, weights: dict[str, torch.Tensor]) -> PlannedDetector:
        spec = self.settings.network
        network = FourViewDetector(spec)
        load_detector_weights(network, weights)
        device = choose_device(Device.AUTO)
        precision = choose_precision(Precision.AUTO, device)
        plan = EagerPlan(network.eval(), spec.proposals_per_level, device, precision)
        return PlannedDetector(plan, spec, self.settings.bundle.lesion_types, FlipMode.ALL)

    def _curve(self, name: str) -> Callable[[int, dict[str, float]], None]:
        path = self.work / f"{name}.csv"

        def log(step: int, losses: dict[str, float]) -> None:
            with path.open("a", encoding="utf-8") as file:
                if file.tell() == 0:
                    file.write("step," + ",".join(losses) + "\n")
                file.write(f"{step}," + ",".join(f"{value:.5f}" for value in losses.values()) + "\n")
            if step % SHOWN_EVERY == 0:
                self.log(f"{name} step {step}: " + " ".join(f"{k} {v:.3f}" for k, v in losses.items()))

        return log

    # what it finds where it has not learned

    def judged(self, detector: PlannedDetector) -> Found:
        """Candidates in the exams that judges learn from, by detectors that have not seen them."""
        path = self.work / "found.safetensors"
        of = self.of(*OF_FOUND)
        known = load_found(path, of)
        if known is not None:
            return known
        found: dict[str, Candidates] = {}
        for k, fold in enumerate(self.parts.folds):
            finder, embedder = detector, None
            if self.settings.split.cross_fit:
                kept = {exam.exam_id for exam in fold}
                others = [exam for exam in self.parts.learn if exam.exam_id not in kept]
                steps = self.settings.cross_fit_steps or self.settings.detector.steps
                network = self._fitted_detector(f"detector-without-{k}", others, steps)
                finder, embedder = self._planned(network.state_dict()), detector
            self.log(f"finding lesions in part {k + 1} of {len(self.parts.folds)}")
            samples = self.archive.samples(fold, self.settings.bundle.grid_mm)
            found |= find(samples, finder, self.settings.network, embedder)
        save_found(path, found, of)
        return found

    # place and character

    def character_samples(self, found: Found, detector: PlannedDetector) -> list[CharacterSample]:
        """What the character network learns from."""
        return [
            one
            for sample in self._read(self.parts.judge)
            for one in character_samples(
                sample, found, detector, self.settings.network, self.settings.character
            )
        ]

    def networks(self, samples: Sequence[CharacterSample]) -> LesionNetworks:
        """The bundle's networks for place and character, as their file has them."""
        settings, place = self.settings, self._place()
        networks = LesionNetworks(
            settings.network.representation, settings.character, with_place=place is not None
        )
        if place is not None:
            networks.quadrant, networks.depth = place
        networks.character = self._character("character", samples)
        path = self.work / LESION
        save_half(networks, path)
        networks.load_state_dict({k: v.float() for k, v in load_file(path).items()})
        return networks.eval()

    def _place(self) -> tuple[QuadrantNetwork, DepthNetwork] | None:
        """Networks for quadrant and depth, where the table tells any."""
        told = (lesion for lesions in self.archive.annotations.lesions.values() for lesion in lesions)
        if not any(has_place(lesion) for lesion in told):
            return None
        self.log("fitting quadrant and depth")
        exams = list({exam.exam_id: exam for exam in (*self.parts.learn, *self.parts.judge)}.values())
        samples = [sample.light for sample in self._read_light(exams)]
        settings = self.settings
        checkpoint = self.checkpoint("place", "place")
        return fit_place(samples, settings.bundle.grid_mm, settings.place, checkpoint, seed=settings.seed)

    def _character(self, name: str, samples: Sequence[CharacterSample]) -> CharacterNetwork:
        self.log(f"fitting the {name} on {len(samples)} findings")
        settings = self.settings
        return fit_character(
            samples,
            settings.character,
            settings.character_fit,
            self.checkpoint(name, *OF_FOUND, "character", "character_fit", "trunk_start"),
            seed=settings.seed,
            start=settings.trunk_start,
        )

    def stage(self, networks: LesionNetworks) -> LesionStage:
        """What makes findings of candidates."""
        bundle = self.settings.bundle
        return LesionStage(networks, bundle.grid_mm, self.settings.character, bundle.measure_calcifications)

    def described(
        self, found: Found, samples: Sequence[CharacterSample], networks: LesionNetworks
    ) -> Iterator[ExamFindings]:
        """Findings of the judges' exams; their character is told by networks without their patient."""
        for k, fold in enumerate(self.parts.folds):
            patients = {self.archive.patients[exam.exam_id] for exam in fold}
            others = [one for one in samples if one.group not in patients]
            without = LesionNetworks(
                self.settings.network.representation,
                self.settings.character,
                with_place=networks.quadrant is not None,
            )
            without.load_state_dict(networks.state_dict())
            without.character = self._character(f"character-without-{k}", others)
            stage = self.stage(without.eval())
            for sample in self._read(fold):
                yield findings_of(sample, _as_found(found), stage, self.settings.network)

    # the rest

    def held_out(self) -> Iterator[ExamSample]:
        """The validation patients' exams."""
        return self._read(self.parts.validation)

    def kept_exams(self) -> list[ExamSample]:
        """Exams that may go with the bundle: the validation patients' first ones with all their views."""
        if not self.settings.bundle.keep_views:
            return []
        exams = [exam for exam in self.parts.validation if len(exam.views) > 1][:NUM_CONSIDERED]
        return [sample.light for sample in self._read(exams)]

    def _read(self, exams: Sequence[ExamRef]) -> Iterator[ExamSample]:
        bundle = self.settings.bundle
        detail_mm = 0.0 if bundle.measure_calcifications else self.settings.character.detail_mm
        return self.archive.samples(exams, bundle.grid_mm, detail_mm)


def _as_found(found: Found) -> Callable[[ExamBatch], list[Candidates]]:
    """A detector that says again what was found."""
    return lambda batch: [found[view.sop_instance_uid] for view in batch.views]


def save_half(network: nn.Module, path: Path) -> None:
    """Weights in half precision: twice as small, and far finer than the fit is certain of."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)
