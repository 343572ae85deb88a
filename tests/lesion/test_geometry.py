"""Places by geometry alone: what phantoms plant is found again, and what is not seen is not claimed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammosweep.fit.samples import ViewSample, open_annotated
from mammosweep.geometry import PixelGrid, Size
from mammosweep.lesion.geometry import CONFIDENT, Place, find_pectoral, nipple_on_grid, places, settle
from mammosweep.phantom import PhantomConfig, Syntax, write_phantoms
from mammosweep.phantom.anatomy import Plane, make_breasts, project
from mammosweep.records import Laterality, Position

GRID_MM = 0.4
SEED = 20
EXAMS = 8
PHANTOMS = PhantomConfig(spacing_mm=0.4, lesion_rate=1.0)

BLANK = np.zeros((500, 250), dtype=np.float32)
TIP = (210.0, 250.0)  # network pixels; the nipple itself stands out 4 mm: at x 80, y 100 mm


@dataclass(frozen=True)
class Seen:
    sample: ViewSample
    plane: Plane  # as it was planted

    @property
    def position(self) -> Position:
        return self.sample.view.position

    @property
    def gray(self) -> np.ndarray:
        return self.sample.normalised.gray

    @property
    def nipple(self) -> tuple[float, float]:
        landmarks = self.sample.normalised.landmarks
        assert landmarks is not None
        return nipple_on_grid(landmarks.nipple_px, self.sample.grid)

    def places(self) -> list[Place]:
        landmarks, view = self.sample.normalised.landmarks, self.sample.view
        assert landmarks is not None
        confidence, boxes = landmarks.nipple_confidence, self.sample.boxes_net
        return places(self.gray, GRID_MM, self.nipple, confidence, view.laterality, view.position, boxes)


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> list[Seen]:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, exams=EXAMS, seed=SEED, syntaxes=[Syntax.JPEG_LS], config=PHANTOMS)
    archive = open_annotated(folder / "truth.parquet", folder)
    samples = [view for exam in archive.samples(archive.exams, GRID_MM) for view in exam.views]
    return [Seen(sample, _planted(sample)) for sample in samples]


def _planted(sample: ViewSample) -> Plane:
    index = int(sample.view.path.split("/")[0].removeprefix("exam"))
    left, right = make_breasts(SEED, index)
    breast = left if sample.view.laterality is Laterality.LEFT else right
    return project(breast, sample.view.position, PHANTOMS)


@pytest.mark.parametrize("position", Position)
def test_depth_and_quadrant_are_those_that_were_planted(seen, position):
    found = [
        (place, lesion)
        for view in seen
        if view.position is position
        for place, lesion in zip(view.places(), view.sample.lesions, strict=True)
    ]
    errors = [abs(place.depth - lesion.depth) for place, lesion in found]
    right = [place.quadrant == lesion.quadrant for place, lesion in found]

    assert len(found) >= 10
    assert np.mean(errors) <= 0.05
    assert np.mean(right) >= 0.9  # of 24 exams at 0.1 mm, 0.98: a lesion may lie on a region's border


def test_the_pectoral_line_runs_where_the_muscle_ends(seen):
    for view in seen:
        if view.position is not Position.MLO:
            continue
        y_mm = view.nipple[1] * GRID_MM
        line = find_pectoral(view.gray, GRID_MM, y_mm)

        assert line is not None
        heights = np.linspace(5.0, y_mm, 20)  # the crop of these views begins at the image's upper edge
        apart = [line.x_mm(y) - x for y, x in zip(heights, view.plane.muscle_edge(heights), strict=True)]
        assert np.abs(apart).max() <= 5.0  # the muscle's edge bulges by 4 mm, a line does not
        assert np.abs(np.mean(apart)) <= 2.0


def test_a_view_without_a_muscle_gives_no_confident_line(seen):
    confidences = [
        line.confidence if (line := find_pectoral(view.gray, GRID_MM, view.nipple[1] * GRID_MM)) else 0.0
        for view in seen
        if view.position is Position.CC
    ]

    assert max(confidences) < CONFIDENT


def test_a_breast_that_is_gray_all_over_has_no_pectoral_line():
    assert find_pectoral(BLANK, GRID_MM, 100.0) is None


def test_a_nipple_at_the_upper_edge_leaves_no_room_for_a_muscle():
    assert find_pectoral(BLANK, GRID_MM, 10.0) is None


def test_depth_without_a_visible_muscle_is_told_without_confidence():
    (place,) = _places_mm([(40.0, 100.0)], Position.MLO)

    assert place.depth == pytest.approx(0.5)  # from the image's edge
    assert place.confidence == 0.0


@pytest.mark.parametrize(
    ("position", "across_mm", "rise_mm", "word"),
    [
        (Position.CC, 15, 15, "areola"),
        (Position.CC, 50, 9, "middle"),
        (Position.CC, 50, -9, "middle"),
        (Position.CC, 50, 12, "outer"),
        (Position.CC, 50, 60, "outer"),
        (Position.CC, 50, -12, "inner"),
        (Position.MLO, 15, -15, "areola"),
        (Position.MLO, 50, 9, "middle"),
        (Position.MLO, 50, 12, "upper"),
        (Position.MLO, 50, 50, "axillary_tail"),
        (Position.MLO, 50, -12, "lower"),
        (Position.MLO, 50, -60, "lower"),
    ],
    ids=str,
)
@pytest.mark.parametrize("laterality", Laterality)
def test_a_quadrant_is_told_by_the_way_from_the_nipple(laterality, position, across_mm, rise_mm, word):
    (place,) = _places_mm([(80.0 - across_mm, 100.0 - rise_mm)], position, laterality)

    assert place.quadrant == word
    assert place.nipple_mm == pytest.approx(math.hypot(across_mm, rise_mm), abs=1e-4)


@given(
    x=st.floats(-50, 300), y=st.floats(-50, 600), tip=st.floats(0, 250), position=st.sampled_from(Position)
)
def test_depth_lies_between_nipple_and_wall_wherever_a_box_and_the_nipple_are(x, y, tip, position):
    box = [[x, y, x + 10, y + 10]]

    (place,) = places(BLANK, GRID_MM, (tip, 250.0), 0.8, Laterality.LEFT, position, box)

    assert place.depth is not None
    assert 0.0 <= place.depth <= 1.0


@pytest.mark.parametrize(("nipple", "confidence"), [(None, 0.0), (TIP, 0.1)], ids=["not looked for", "flat"])
def test_nothing_is_known_of_places_without_a_nipple(nipple, confidence):
    boxes = np.zeros((2, 4), dtype=np.float32)

    known = places(BLANK, GRID_MM, nipple, confidence, Laterality.LEFT, Position.CC, boxes)

    assert known == [Place(None, None, None, 0.0)] * 2


def test_no_findings_have_no_places():
    assert _places_mm([], Position.CC) == []


@pytest.mark.parametrize("mirrored", [False, True], ids=["wall left", "wall right"])
def test_the_nipple_goes_the_way_that_boxes_go(mirrored):
    grid = PixelGrid(
        crop_px=(100.0, 50.0, 900.0, 2050.0), net_size=Size(rows=500, columns=200), mirrored=mirrored
    )

    x, y = nipple_on_grid((300.0, 1050.0), grid)

    assert (x, y) == ((150.0, 250.0) if mirrored else (50.0, 250.0))


FAR = Place(depth=0.9, quadrant="upper", nipple_mm=None, confidence=1.0)
NEAR = Place(depth=0.4, quadrant="upper", nipple_mm=None, confidence=1.0)
SURE = Place(depth=0.3, quadrant="areola", nipple_mm=20.0, confidence=0.8)
UNSURE = Place(depth=0.3, quadrant="areola", nipple_mm=20.0, confidence=0.4)
UNKNOWN = Place(depth=None, quadrant=None, nipple_mm=None, confidence=0.0)


@pytest.mark.parametrize(
    ("network", "geometry", "depth", "gave"),
    [
        (NEAR, SURE, 0.4, "network"),
        (FAR, SURE, 0.3, "geometry"),
        (FAR, UNSURE, 0.9, "network"),
        (FAR, UNKNOWN, 0.9, "network"),
        (None, UNSURE, 0.3, "geometry"),
        (None, UNKNOWN, None, None),
    ],
    ids=["near", "far", "far from a guess", "no nipple", "no network", "neither"],
)
def test_networks_are_believed_unless_a_confident_geometry_is_far(network, geometry, depth, gave):
    settled, by = settle(network, geometry)

    assert (settled.depth, by) == (depth, gave)
    assert settled.nipple_mm == geometry.nipple_mm


def _places_mm(
    centres_mm: list[tuple[float, float]], position: Position, laterality: Laterality = Laterality.LEFT
) -> list[Place]:
    centres = np.asarray(centres_mm, dtype=np.float64).reshape(-1, 2) / GRID_MM
    boxes = np.concatenate([centres - 5.0, centres + 5.0], axis=1)
    return places(BLANK, GRID_MM, TIP, 0.8, laterality, position, boxes)
