"""A screening unit's nights, planned beforehand, so that each morning's worklist is known without the engine.

Phantom exams arrive over simulated days: with a view that comes a day late, files that come twice, files that
are cut or no image at all, and earlier exams of the same patients, there from the beginning or fetched later.
As a script it plays 200 exams: python -m tests.e2e.night --folder runs/night.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.run import tiny

from mammosweep.clock import StageClock
from mammosweep.config import ArchiveConfig, DetectConfig, FlipMode, RunConfig, SweepConfig
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam
from mammosweep.report.tables import read_table
from mammosweep.run.nightly import NightSettings, prepare_night
from mammosweep.run.screener import Screener

EVE = date(2024, 3, 10)  # night d is the morning of EVE + d days
VIEWS = ("LCC", "RCC", "LMLO", "RMLO")  # the order of records.SLOTS
SYNTAXES = (Syntax.EXPLICIT, Syntax.JPEG_LOSSLESS, Syntax.RLE, Syntax.JPEG_LS)
KINDS = ("whole",) * 6 + (
    "late",
    "twice",
    "twice later",
    "one cut",
    "all cut",
    "mended",
    "unread",
    "repeated",
)


@dataclass(frozen=True)
class Planned:
    """One exam, and on which day which of its views is there."""

    number: int
    patient: int
    study_date: date
    kind: str
    day: int  # it arrives before that day's night
    role: str = "current"  # or "prior"
    gone_on: int | None = None  # its files are taken away before that night

    @property
    def exam_id(self) -> str:
        return f"1.2.826.0.1.3680043.8.498.7.{self.number}"

    @property
    def second_day(self) -> int | None:
        """When its digest changes."""
        return self.day + 1 if self.kind in ("late", "twice later", "mended") else None

    def revision(self, day: int) -> int:
        return 2 if self.second_day is not None and day >= self.second_day else 1

    def used(self, day: int) -> tuple[str, ...]:
        """The views that can be scored."""
        missing = {"late": VIEWS[-1:], "one cut": VIEWS[:1], "all cut": VIEWS, "mended": VIEWS}
        gone = missing.get(self.kind, ())
        if self.kind in ("late", "mended") and self.revision(day) == 2:
            gone = ()
        return tuple(view for view in VIEWS if view not in gone)

    def is_new(self, day: int) -> bool:
        """Before the first night only what was made the day before is new."""
        was_stock = day == 1 and self.study_date < EVE
        return day in (self.day, self.second_day) and not was_stock


@dataclass(frozen=True)
class Expected:
    """A line of a morning's worklist."""

    exam_id: str
    revision: int
    score: float | None
    reason: str | None
    history: tuple[tuple[str, float | None, bool], ...]  # date, score, whether its files are there


Score = Callable[[Planned, int], float | None]


@dataclass
class Unit:
    """The plan, the archive as it grows, and where nights are kept."""

    folder: Path
    exams: list[Planned]
    bundle: bool = False  # screen with the real networks; else a coarse figure of the bytes, with many ties
    drawn: int = 5  # different pictures; exams beyond that differ in their identifiers
    read: list[str] = field(default_factory=list)

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def draw(self) -> None:
        """Write every exam whole, outside the archive."""
        config = PhantomConfig(spacing_mm=0.4, lesion_rate=0.5)
        pictures = [make_exam(5, index, config) for index in range(self.drawn)]
        for exam in self.exams:
            picture = pictures[exam.number % self.drawn]
            views = tuple(
                replace(view, sop_instance_uid=f"{exam.exam_id}.{place}")
                for place, view in enumerate(picture.views, start=1)
            )
            about = {
                "exam_id": exam.exam_id,
                "patient_id": f"PATIENT-{exam.patient}",
                "study_date": exam.study_date,
            }
            # A file that is cut must be one whose length says so.
            syntax = SYNTAXES[0 if "cut" in exam.kind else exam.number % len(SYNTAXES)]
            write_exam(replace(picture, views=views, **about), self._drawn(exam), syntax=syntax)

    def deliver(self, day: int) -> None:
        """What reaches the archive before the night of that day."""
        (self.archive / "inbox").mkdir(parents=True, exist_ok=True)
        (self.archive / "inbox" / f"note-{day}.txt").write_text("no mammogram")
        for exam in self.exams:
            if exam.gone_on == day:
                shutil.rmtree(self._place(exam))
            if exam.day == day:
                self._arrive(exam)
            if exam.second_day == day:
                self._arrive_again(exam)

    def _arrive(self, exam: Planned) -> None:
        place = self._place(exam)
        place.mkdir(parents=True)
        for view in VIEWS:
            data = self.data(exam, view)
            if exam.kind == "late" and view == VIEWS[-1]:
                continue
            is_cut = exam.kind in ("all cut", "mended") or (exam.kind == "one cut" and view == VIEWS[0])
            (place / f"{view}.dcm").write_bytes(data[: len(data) * 2 // 3] if is_cut else data)
        if exam.kind == "twice":
            (place / "copy-of-LCC.dcm").write_bytes(self.data(exam, "LCC"))
            (self.archive / "inbox" / f"{exam.number}.dcm").write_bytes(self.data(exam, "RCC"))

    def _arrive_again(self, exam: Planned) -> None:
        names = {"late": VIEWS[-1:], "mended": VIEWS, "twice later": ()}[exam.kind]
        for view in names:
            (self._place(exam) / f"{view}.dcm").write_bytes(self.data(exam, view))
        if exam.kind == "twice later":
            (self.archive / "inbox" / f"again-{exam.number}.dcm").write_bytes(self.data(exam, "RMLO"))

    def data(self, exam: Planned, view: str) -> bytes:
        """A file as the modality sent it."""
        return (self._drawn(exam) / f"{view}.dcm").read_bytes()

    def _drawn(self, exam: Planned) -> Path:
        return self.folder / "drawn" / str(exam.number)

    def _place(self, exam: Planned) -> Path:
        return self.archive / f"{exam.study_date:%Y}" / str(exam.number)

    def night(self, day: int, **settings):
        """Make the night of that day."""
        chosen = NightSettings(state=self.state, out=self.out, **settings)
        with prepare_night(
            self.archive,
            chosen,
            config=SweepConfig(
                archive=ArchiveConfig(workers=1),
                detect=DetectConfig(flips=FlipMode.NONE),
                run=RunConfig(chunk_exams=8),
            ),
            now=moment(day),
            load=None if self.bundle else lambda config, bundle: coarse_screener(),
        ) as night:
            night.sweep()
            night.check_source()
            return night.publish()

    def expected(self, day: int, score: Score | None = None, read: tuple[str, ...] = ()) -> list[Expected]:
        """The morning's worklist, from the plan."""
        score = score or self.coarse_score
        listed = [
            self._expected(exam, day, score)
            for exam in self.exams
            if exam.role == "current" and exam.is_new(day) and exam.exam_id not in read
        ]
        return sorted(listed, key=lambda e: (e.score is not None, -(e.score or 0.0), e.exam_id))

    def _expected(self, exam: Planned, day: int, score: Score) -> Expected:
        before = [
            other
            for other in self.exams
            if other.patient == exam.patient
            and other is not exam
            and other.day <= day
            and other.study_date <= exam.study_date
        ]
        before.sort(key=lambda other: other.study_date, reverse=True)
        return Expected(
            exam_id=exam.exam_id,
            revision=exam.revision(day),
            score=score(exam, day),
            reason=None if exam.used(day) else "truncated",
            history=tuple(
                (
                    other.study_date.isoformat(),
                    score(other, day),
                    other.gone_on is None or day < other.gone_on,
                )
                for other in before
            ),
        )

    def coarse_score(self, exam: Planned, day: int) -> float | None:
        """What `coarse_screener` must give, from the files as they were sent."""
        used = exam.used(day)
        return coarse(b"".join(self.data(exam, view) for view in used)) if used else None

    def score_in_tables(self) -> Score:
        """The networks' scores, which no plan can know; exams that are gone have theirs from before."""
        rows = {row["exam_id"]: row["score"] for row in read_table(self.state, "exams").to_pylist()}
        self._scores = getattr(self, "_scores", {}) | rows
        return lambda exam, day: self._scores[exam.exam_id]

    def num_prior(self, day: int) -> int:
        """Earlier exams that are new: of those there before the first night only the date is known."""
        return sum(exam.role == "prior" and exam.day == day > 1 for exam in self.exams)


def moment(day: int) -> datetime:
    return datetime.combine(EVE + timedelta(days=day), datetime.min.time(), UTC) + timedelta(hours=5)


def coarse(data: bytes) -> float:
    return round(int(hashlib.sha256(data).hexdigest()[:8], 16) / 2**32, 1)


def coarse_screener() -> Screener:
    """Scores of one digit, so that many exams share one."""
    about = tiny.tiny_screener()

    def screen(exams, source):
        for exam in exams:
            score = None if exam.reason else round(tiny.score_of(exam, source), 1)
            yield tiny.outcome_of(exam, about.provenance, score)

    return Screener(
        screen=screen, provenance=about.provenance, bundle_note=about.bundle_note, clock=StageClock()
    )


def plan(exams: int, days: int, seed: int = 1) -> list[Planned]:
    """So many current exams over so many days, and earlier ones of some of their patients."""
    rng = random.Random(seed)
    kinds = [KINDS[number % len(KINDS)] for number in range(exams)]
    planned: list[Planned] = []
    for number, kind in enumerate(kinds):
        # What changes a day later must arrive before the last day.
        day = rng.randint(1, days - 1) if kind in ("late", "twice later", "mended") else rng.randint(1, days)
        made = EVE + timedelta(days=day - 1)
        planned.append(Planned(1000 + number, number, made, kind, day))
        if kind == "repeated":  # taken again ten days before: both are to be read
            planned.append(Planned(4000 + number, number, made - timedelta(days=10), "whole", day))
        if number % 3 == 0:  # in the archive before the first night
            gone = day if number % 6 == 0 and day > 1 else None
            two_years = made - timedelta(days=730)
            planned.append(Planned(2000 + number, number, two_years, "whole", 1, "prior", gone))
        if number % 4 == 0:  # fetched with the current exam
            planned.append(Planned(3000 + number, number, made - timedelta(days=1461), "whole", day, "prior"))
    return planned


def faults(unit: Unit, day: int, expected: list[Expected]) -> list[str]:
    """Where what is published differs from what was planned: nothing, where all is right."""
    folder = unit.out / "current"
    record = json.loads((folder / "worklist.json").read_text(encoding="utf-8"))
    with (folder / "worklist.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    page = (folder / "worklist.html").read_text(encoding="utf-8")
    rows = record["exams"]
    found = [
        Expected(
            row["exam_id"],
            row["revision"],
            row["score"],
            row["reason"],
            tuple((prior["study_date"], prior["score"], prior["in_source"]) for prior in row["history"]),
        )
        for row in rows
    ]
    said = [f"{a} was expected, {b} found" for a, b in zip(expected, found, strict=False) if a != b]
    ids = [e.exam_id for e in expected]
    compared = {
        "exams": (len(expected), len(found)),
        "night": ((EVE + timedelta(days=day)).isoformat(), record["night"]),
        "prior": (unit.num_prior(day), record["counts"]["prior"]),
        "ranks": (list(range(1, len(ids) + 1)), [row["rank"] for row in rows]),
        "CSV": (
            [(e.exam_id, str(e.revision), len(e.history)) for e in expected],
            [
                (r["exam_id"], r["revision"], len(r["history"].split("; ")) if r["history"] else 0)
                for r in lines
            ],
        ),
        "page": (ids, re.findall(r'<td class="id">\s*<a href="pages/[0-9a-f]{16}\.html">([^<]*)</a>', page)),
    }
    said += [
        f"{what}: {want} was expected, {got} found" for what, (want, got) in compared.items() if want != got
    ]
    links = [row["link"] for row in rows] + [
        p["link"] for row in rows for p in row["history"] if p["in_source"]
    ]
    said += [
        f"{link or 'no page'} is not there" for link in links if not link or not (folder / link).is_file()
    ]
    return said


def main() -> None:
    """Play the nights and say of each morning whether its worklist was right."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--exams", type=int, default=200)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--drawn", type=int, default=40)
    parser.add_argument("--bundle", action="store_true", help="screen with the networks of MAMMOSWEEP_BUNDLE")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    planned = plan(options.exams, options.days)
    unit = Unit(options.folder, planned, bundle=options.bundle, drawn=options.drawn)
    unit.draw()
    wrong = 0
    for day in range(1, options.days + 1):
        unit.deliver(day)
        began = time.perf_counter()
        summary = unit.night(day)
        seconds = time.perf_counter() - began
        score = unit.score_in_tables() if options.bundle else None
        said = faults(unit, day, unit.expected(day, score))
        wrong += bool(said)
        print(
            f"night {summary.night}: {summary.listed} to be read, {summary.unassessed} unassessed, "
            f"{summary.revised} revised, {summary.fates['prior']} earlier, {seconds:.1f} s: "
            f"{'WRONG' if said else 'right'}"
        )
        print("".join(f"  {line}\n" for line in said), end="")
    print(
        f"{len(planned)} exams, {options.days} mornings, {wrong} wrong; {unit.out / 'current/worklist.html'}"
    )
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
