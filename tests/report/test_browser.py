from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammosweep.report.page import write_exam_page, write_index
from mammosweep.report.tables import read_table, write_tables
from mammosweep.report.worklist import write_worklist

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")


def browse(profile: Path, page: Path, *what: str) -> str:
    command = [str(BROWSER), *QUIET, f"--user-data-dir={profile}", *what, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def screenshot(folder: Path, page: Path, width: int, height: int) -> np.ndarray:
    file = folder / "page.png"
    browse(folder / "profile", page, f"--screenshot={file}", f"--window-size={width},{height}")
    return cv2.imread(str(file))


def overflow_px(folder: Path, pages: list[Path], widths: tuple[int, ...]) -> dict[str, int]:
    """How much wider than its window each page is, measured by frames around copies without a policy."""
    frames = []
    for page in pages:
        copy = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8"))
        (folder / f"copy-{page.name}").write_text(copy, encoding="utf-8")
        frames += [
            f'<iframe src="copy-{page.name}" width="{width}" height="900"></iframe>' for width in widths
        ]
    (folder / "frames.html").write_text(
        "<style>iframe { border: 0 }</style>" + "".join(frames) + "<script>onload = () => "
        "document.querySelectorAll('iframe').forEach(frame => {"
        "const d = frame.contentDocument.documentElement;"
        "frame.title = frame.width + ' ' + (d.scrollWidth - d.clientWidth); })</script>"
    )
    dom = browse(folder / "profile", folder / "frames.html", "--allow-file-access-from-files", "--dump-dom")
    found = re.findall(r'src="copy-([^"]*)"[^>]* title="(\d+) (-?\d+)"', dom)
    return {f"{name} at {width}": int(excess) for name, width, excess in found}


def test_given_an_exam_page_when_a_browser_opens_it_then_films_and_boxes_are_drawn_under_the_policy(
    tmp_path, scored
):
    page = write_exam_page(tmp_path / "pages", scored("<script>document.title='run'</script>"))

    picture = screenshot(tmp_path, page, 1280, 900)
    middle = picture[500:800, 640 - 250 : 640 + 250].astype(int)

    assert picture.shape == (900, 1280, 3)
    # Films are gray; the frame's ground is black: the row's middle is the bright chest wall of both.
    assert middle[:, 230:245].mean() > 150
    assert middle[:, 255:270].mean() > 150
    # The boxes are coloured: yellow, then blue, first and second of the palette.
    chroma = np.ptp(picture[330:].astype(int), axis=2)
    assert (chroma > 100).sum() > 100
    # A dark page: the style sheet passed the policy.
    assert picture[150, 5].max() < 60


def test_given_markup_in_an_id_when_a_browser_parses_the_page_then_no_script_element_exists(tmp_path, scored):
    page = write_exam_page(tmp_path / "pages", scored("<script>document.title='run'</script>"))

    dom = browse(tmp_path / "profile", page, "--dump-dom")

    assert "<script" not in dom
    assert dom.count("<image ") == 4
    assert "L1 mass 0.75" in dom


def test_given_narrow_and_wide_screens_when_pages_are_opened_then_none_scrolls_sideways(
    tmp_path, scored, unscored
):
    outcomes = [scored("1.2.840.113619.2.203.4.2147483647.1329456322.901234" * 2), unscored()]
    pages = [write_exam_page(tmp_path / "pages", outcome) for outcome in outcomes]
    write_tables(tmp_path, outcomes)
    exams = read_table(tmp_path, "exams")
    write_worklist(tmp_path, exams)
    write_index(tmp_path, exams, {"device": "cpu"})
    pages += [tmp_path / "index.html", tmp_path / "worklist.html"]

    excess = overflow_px(tmp_path, pages, widths=(360, 1280, 1600))

    assert len(excess) == len(pages) * 3
    assert set(excess.values()) == {0}
