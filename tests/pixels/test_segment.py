"""Where the breast is: on drawn films with all that films carry, and on real ones."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammosweep.errors import GeometryError, Reason
from mammosweep.pixels.segment import WORK_SPACING_MM, segment

SHARED = Path(os.environ.get("MAMMOSWEEP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILMS = SHARED / "cbis_mass_train"
FILM_MM = (0.29, 0.17)  # a pixel of these 800 x 800 images, down and across, on the average
EVERY = 12  # of 1,231 films


def drawn(*extras, centre=(140, 0), radii=(90, 80), size=(290, 220), gray=110):
    """A half ellipse of tissue on the working grid, and what ``extras`` add to it."""
    y, x = np.mgrid[: size[0], : size[1]]
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    image = np.where(inside, gray + 30 * np.sin(x / 9) * np.cos(y / 11), 4).astype(np.uint8)
    for extra in extras:
        extra(image)
    return image


def label(image):
    cv2.putText(image, "RCC", (130, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 250, 4)


def tape(image):
    image[20:32, 60:] = 200


def slanted_rim(image):
    """As of a film that lay askew in the scanner: 1 to 9 mm along the chest wall."""
    for row in range(image.shape[0]):
        image[row, : 1 + row * 10 // image.shape[0]] = 255


def rim_all_around(image):
    for _ in range(4):
        image[:4] = 252
        image[:] = np.rot90(image) if image.shape[0] == image.shape[1] else image[::-1, ::-1]
    image[:, :4], image[:, -4:] = 252, 252


def collar(image):
    """Clothing along the upper edge, joined to the tissue, 20 mm thick."""
    image[:25] = 90
    image[:60, :40] = 110


def glow(image):
    image[:, :12] = np.maximum(image[:, :12], 60)


@pytest.mark.parametrize(
    "extras",
    [
        (),
        (label,),
        (tape,),
        (slanted_rim,),
        (rim_all_around,),
        (collar,),
        (glow,),
        (label, tape, slanted_rim),
    ],
    ids=lambda extras: "+".join(extra.__name__ for extra in extras) or "nothing",
)
@pytest.mark.parametrize("mirrored", [False, True], ids=["left", "right"])
def test_the_breast_is_found_and_nothing_else(extras, mirrored):
    image = drawn(*extras)

    breast = segment(np.ascontiguousarray(image[:, ::-1]) if mirrored else image)

    mask = breast.mask[:, ::-1] if mirrored else breast.mask
    assert breast.wall.right == mirrored
    assert mask[90:190, 12:60].all()
    assert not mask[:, 100:].any()
    assert not mask[245:].any() or glow in extras


def test_a_rim_takes_no_more_of_the_breast_than_it_covers():
    breast = segment(drawn(slanted_rim))

    assert breast.mask[70, 6]  # the rim is 3 pixels wide here, 9 at the lower edge
    assert not breast.mask[200, 5]


def test_tissue_that_its_window_saturates_is_no_rim():
    def white_muscle(image):
        image[60:200, :20] = 255

    assert segment(drawn(white_muscle)).mask[80:180, 0].all()


def test_a_bright_frame_from_edge_to_edge_is_refused():
    with pytest.raises(GeometryError, match="background") as caught:
        segment(drawn(centre=(140, 110), radii=(400, 400)))

    assert caught.value.reason is Reason.BREAST_IMPLAUSIBLE


def test_a_breast_larger_than_any_detector_is_refused():
    with pytest.raises(GeometryError, match="height in mm") as caught:
        segment(drawn(size=(900, 700), centre=(450, 0), radii=(400, 300)))

    assert caught.value.reason is Reason.BREAST_IMPLAUSIBLE


def test_two_breasts_in_one_image_are_refused():
    def other_breast(image):
        image[:] = np.maximum(image, image[:, ::-1])

    with pytest.raises(GeometryError, match="two regions") as caught:
        segment(drawn(other_breast, radii=(90, 70)))

    assert caught.value.reason is Reason.BOTH_BREASTS


def test_a_breast_that_lies_on_its_side_is_refused():
    lying = np.ascontiguousarray(np.rot90(drawn(size=(220, 220), centre=(110, 0), radii=(80, 70))))

    with pytest.raises(
        GeometryError, match="lower edge; expected the chest wall at the left or right"
    ) as caught:
        segment(lying)

    assert caught.value.reason is Reason.BREAST_IMPLAUSIBLE


def lesions_of_films():
    with (FILMS / "boxes.csv").open(newline="") as file:
        boxes = defaultdict(list)
        for row in csv.DictReader(file):
            boxes[row["file"]].append([float(row[key]) for key in "xywh"])
    return dict(sorted(boxes.items())[::EVERY])


@pytest.mark.skipif(not FILMS.is_dir(), reason="the shared films are not here")
def test_on_real_films_lesions_lie_inside_the_breast_and_both_views_agree_on_the_side():
    """Of all 1,231: 99.5 % of 1,318 boxes in the crop, none refused, no breast's two views disagree."""
    inside, walls = [], {}
    for file, boxes in lesions_of_films().items():
        film = cv2.imread(str(FILMS / "images" / file), cv2.IMREAD_GRAYSCALE)
        rows, columns = (round(800 * mm / WORK_SPACING_MM) for mm in FILM_MM)
        breast = segment(cv2.resize(film, (columns, rows), interpolation=cv2.INTER_AREA))
        walls[file] = breast.wall
        left, top, right, bottom = breast.rectangle
        for x, y, width, height in np.array(boxes) / 800 * [columns, rows, columns, rows]:
            inside.append(
                left - 1 <= x and top - 1 <= y and x + width <= right + 1 and y + height <= bottom + 1
            )

    assert len(inside) > 100
    assert np.mean(inside) >= 0.99
    assert min(wall.confidence for wall in walls.values()) > 0.5
    for file, wall in walls.items():
        other = walls.get(file.replace("_CC", "_MLO"), wall)
        assert other.right == wall.right, file
