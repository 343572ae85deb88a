from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammosweep.report.known import KnownExam
from mammosweep.report.night import FileReason, NightExam, NightList, write_night
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


def known(exam_id, day, **about):
    """An exam as the nights know it."""
    return KnownExam(
        **{
            "exam_id": exam_id,
            "revision": 1,
            "arrived_at": datetime(2024, 3, day, 5, tzinfo=UTC),
            "revised_at": datetime(2024, 3, day, 5, tzinfo=UTC),
            "patient_key": "9f2c41d07ab3",
            "study_date": date(2016, 5, 4),
            "status": "scored",
            "score": 0.25,
            "category": "3",
            "bundle": "reference 1",
            "present": True,
        }
        | about
    )


@pytest.fixture
def night(tmp_path, scored, unscored):
    """A night's folder: an exam with a score, revised and with a history, and one without."""
    outcomes = [scored("<b>" + "1.2.840.113619.2.203.4.2147483647.1329456322" * 2), unscored("unread")]
    write_tables(tmp_path / "state", outcomes)
    for outcome in outcomes:
        write_exam_page(tmp_path / "state" / "pages", outcome)
    history = tuple(known(f"prior{n}", 1, study_date=date(2015 - 2 * n, 5, 4), score=n / 9) for n in range(5))
    exams = (
        NightExam(known(outcomes[0].exam_id, 3, revision=2), history),
        NightExam(
            known("unread", 3, status="not_scored", score=None),
            (known("gone", 1, present=False, bundle="older 3"),),
        ),
    )
    folder = tmp_path / "night"
    folder.mkdir()
    listed = NightList(
        name="n1",
        night=date(2024, 3, 3),
        made_at=datetime(2024, 3, 3, 5, tzinfo=UTC),
        after=date(2024, 3, 2),
        previous=date(2024, 3, 2),
        exams=exams,
        fates={"listed": 2, "read": 3, "prior": 4, "gone": 5},
        num_exams=1000,
        num_left=6,
        files=(FileReason("rejected", "truncated", 7, 2),),
        bundle="reference 1",
        bundle_note="",
    )
    write_night(folder, listed, read_table(tmp_path / "state", "exams"), tmp_path / "state" / "pages")
    return folder


def test_given_a_nights_page_when_a_browser_opens_it_then_it_says_what_is_to_be_read_and_why(tmp_path, night):
    dom = browse(tmp_path / "profile", night / "worklist.html", "--dump-dom")
    text = " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", dom, flags=re.DOTALL).split())

    assert "Worklist of Sunday, 3 March 2024" in text
    assert "14 new or revised = 2 to be read + 4 earlier exams of patients with a later one" in text
    assert "6 exams left the source tonight." in text
    assert "2013-05-04 0.111 2011-05-04 0.222 and 2 before" in text
    assert "revision 2 2024-03-03" in text
    assert "2016-05-04 0.250 older 3 files gone" in text
    assert "rejected the file is cut short 7 2" in text
    assert text.index("unread") < text.index("113619")
    assert "<script" not in dom
    assert "<b>" not in dom
    links = re.findall(r'href="(pages/[^"]*)"', dom)
    assert len(links) == 2
    assert all((night / link).is_file() for link in links)
    assert (night / "index.html").read_bytes() == (night / "worklist.html").read_bytes()


def test_given_a_nights_page_when_it_is_shown_then_none_scrolls_sideways_and_its_style_passed_the_policy(
    tmp_path, night
):
    excess = overflow_px(tmp_path, [night / "worklist.html"], widths=(360, 1280, 1600))
    picture = screenshot(tmp_path, night / "worklist.html", 1280, 900)

    assert list(excess.values()) == [0, 0, 0]
    assert picture[880, 5].max() < 60


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
