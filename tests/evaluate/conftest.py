"""A sweep's tables and their truth, made by hand: what was found where, and what is there."""

from __future__ import annotations

from collections import defaultdict

import pytest

from mammosweep.evaluate.truth import TrueImage, TrueMark, Truth
from mammosweep.records import LesionType


class Desk:
    """Writes the rows that a sweep would; an image is named by exam, side and view: "A L CC"."""

    def __init__(self):
        self.images, self.findings, self.lesions, self.exams = {}, [], {}, {}
        self.marks = defaultdict(list)
        self.listed, self.words, self.patients = set(), {}, {}

    def exam(self, exam_id, *, views=("L CC", "L MLO", "R CC", "R MLO"), scores=(0.0, 0.0), **more):
        for view in views:
            side, position = view.split()
            name = f"{exam_id} {view}"
            self.images[name] = {
                "path": name,
                "sop_instance_uid": f"uid {name}",
                "exam_id": exam_id,
                "laterality": side,
                "view_position": position,
                "spacing_mm": [0.5, 0.5],
                "status": "used",
                "reason": None,
            }
        self.exams[exam_id] = {
            "exam_id": exam_id,
            "patient_key": f"key {exam_id}",
            "score": max(scores),
            "score_left": scores[0],
            "score_right": scores[1],
            "bundle": "tiny 1",
            **more,
        }
        return self

    def true(self, image, lesion_id, box, **more):
        """A lesion in an image."""
        mark = {"type": LesionType.MASS, "linked": True, **more}
        self.listed.add(image)
        self.marks[image].append(TrueMark(lesion_id=lesion_id, box_px=box, **mark))
        return self

    def clean(self, *images):
        """Images that are known to be without a lesion."""
        self.listed |= set(images)
        return self

    def found(self, image, lesion_id, box, score, *, malignancy=0.5, category="4A", **more):
        """A finding in an image, of the engine's lesion of that id in the image's exam."""
        exam_id, side, position = image.split()
        x1, y1, x2, y2 = box
        self.findings.append(
            {
                "exam_id": exam_id,
                "sop_instance_uid": f"uid {image}",
                "lesion_id": lesion_id,
                **{"x1": x1, "y1": y1, "x2": x2, "y2": y2},
                **{"type": "mass", "score": score, "quadrant": None, "depth": None, **more},
            }
        )
        lesion = self.lesions.setdefault(
            (exam_id, lesion_id),
            {
                "exam_id": exam_id,
                "lesion_id": lesion_id,
                "laterality": side,
                "malignancy": malignancy,
                "category": category,
                "cc_sop_instance_uid": None,
                "mlo_sop_instance_uid": None,
            },
        )
        lesion[f"{position.lower()}_sop_instance_uid"] = f"uid {image}"
        return self

    @property
    def tables(self):
        return {
            "images": list(self.images.values()),
            "findings": self.findings,
            "lesions": list(self.lesions.values()),
            "exams": list(self.exams.values()),
        }

    def truth(self, *, unlisted_clean=False, exams=None):
        return Truth(
            images=tuple(
                TrueImage(
                    path=name,
                    marks=tuple(self.marks[name]),
                    words=self.words.get(name.split()[0], {}),
                    patient=self.patients.get(name.split()[0]),
                )
                for name in sorted(self.listed)
            ),
            unlisted_clean=unlisted_clean,
            exams=exams or {},
        )


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def clinic():
    """48 exams of both views of both breasts: a lesion in each left one, every other one malignant."""
    made = Desk()
    for i in range(48):
        malignant = i % 2 == 0
        # Most malignant lesions look it; every sixth exam says the opposite.
        looks = 0.2 + 0.01 * (i % 7) + (0.5 if malignant is not (i % 6 == 0) else 0.0)
        made.exam(f"E{i}", scores=(looks, 0.1))
        for view in ("L CC", "L MLO"):
            made.true(
                f"E{i} {view}", "1", (10, 10, 40, 50), malignant=malignant, quadrant="middle", depth=0.5,
                assessment="5" if malignant else "2",
            )  # fmt: skip
            if i % 8 != 7:
                made.found(
                    f"E{i} {view}", "L1", (12, 12, 42, 48), 0.5 + 0.005 * i, malignancy=looks,
                    category="4B" if looks > 0.5 else "2", quadrant="middle", depth=0.4 + 0.001 * i,
                )  # fmt: skip
        made.found(f"E{i} R CC", "R1", (100, 100, 120, 120), 0.3 + 0.01 * i, malignancy=0.1)
        made.words[f"E{i}"] = {"density": "ab"[i % 2 if i < 44 else 0], "vendor": "v1" if i < 40 else "v2"}
        made.patients[f"E{i}"] = f"P{i}"
    return made
