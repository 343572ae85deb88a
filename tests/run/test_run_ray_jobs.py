"""What dying leads to, and what goes between actors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammosweep.config import SweepConfig
from mammosweep.decide import decide
from mammosweep.errors import ConfigError, DeviceError, Reason
from mammosweep.geometry import PixelGrid, Size
from mammosweep.records import Laterality, Position, Provenance, ScreenedExam, ViewPicture
from mammosweep.run import ray_pictures
from mammosweep.run.chunks import Chunk, cut
from mammosweep.run.ledger import Ledger, Writer
from mammosweep.run.ray_actors import DecisionActor, Loading, Place, ScreeningActor
from mammosweep.run.ray_jobs import Job, after_death, unscreened

PROVENANCE = Provenance(
    engine_version="0",
    bundle="tiny 1",
    bundle_digest="a" * 64,
    settings_digest="b" * 64,
    device="cpu",
    precision="fp32",
)


@pytest.fixture
def chunk(exam, identity):
    (chunk,) = cut([exam("E1"), exam("E2")], (), 2, identity)
    return chunk


def test_a_chunk_is_run_again_twice_and_then_exam_by_exam(chunk, identity):
    (second,) = after_death(Job(chunk), identity)
    (third,) = after_death(second, identity)
    alone = after_death(third, identity)

    assert [job.chunk for job in (second, third)] == [chunk, chunk]
    assert all(job.is_suspect for job in (second, third, *alone))
    assert [[exam.exam_id for exam in job.chunk.exams] for job in alone] == [["E1"], ["E2"]]


def test_an_exam_is_guilty_after_two_deaths_alone(chunk, identity):
    alone, _ = after_death(Job(chunk, deaths=2), identity)

    (again,) = after_death(alone, identity)
    (guilty,) = after_death(again, identity)

    assert not again.is_guilty
    assert guilty.is_guilty


def test_a_chunk_of_one_exam_need_not_be_divided(exam, identity):
    job = Job(Chunk("c", (exam("E1"),)), deaths=2)

    (guilty,) = after_death(job, identity)

    assert guilty.is_guilty


def test_a_guilty_exam_says_why_it_has_no_score(exam):
    outcome = decide(unscreened(exam("E1"), PROVENANCE), None)

    assert outcome.reason is Reason.WORKER_DIED
    assert [(str(i.status), i.reason) for i in outcome.images] == [("rejected", Reason.WORKER_DIED)]


def test_pictures_go_through_files_and_leave_no_pixel_behind(exam, tmp_path):
    (tmp_path / "parts").mkdir()
    seen = replace(unscreened(exam("E1"), PROVENANCE), pictures=(picture(),))

    sent = ray_pictures.write(tmp_path, ray_pictures.staging_name("c", "1"), 0, seen)

    assert [p.gray.size for p in sent.pictures] == [0]
    taken = ray_pictures.take(tmp_path, ray_pictures.staging_name("c", "1"), 0, sent)
    np.testing.assert_array_equal(taken.pictures[0].gray, picture().gray)
    ray_pictures.remove(tmp_path, "c")
    assert list((tmp_path / "parts").iterdir()) == []


def picture():
    return ViewPicture(
        sop_instance_uid="1.2",
        laterality=Laterality.LEFT,
        position=Position.CC,
        gray=np.arange(12, dtype=np.uint8).reshape(3, 4),
        grid=PixelGrid(crop_px=(0.0, 0.0, 4.0, 3.0), net_size=Size(3, 4), mirrored=False),
    )


def test_a_node_without_the_sweeps_folder_is_named_before_work(tmp_path, identity):
    place = Place(
        source_url=str(tmp_path),
        writer=Writer(tmp_path / "elsewhere", "run", identity),
        probe=".tmp-shared-1",
        pages=False,
        bundle_note="",
    )

    with pytest.raises(DeviceError, match="storage that all mount at the same path"):
        DecisionActor().begin(place, None)


def test_a_node_with_another_bundle_is_named_before_work():
    loading = Loading(
        loader="mammosweep.run.screener:load_finder",
        config=SweepConfig(),
        bundle=None,
        bundle_digest="0" * 64,
    )

    with pytest.raises(ConfigError, match="is another than the driver's"):
        ScreeningActor().load(loading)


def test_what_a_killed_run_left_for_its_actors_is_cleared(tmp_path, identity):
    with Ledger(tmp_path, identity):
        for name in ("shared-1", "trial-1", "c-pictures-1"):
            (tmp_path / "parts" / f".tmp-{name}").mkdir()

    with Ledger(tmp_path, identity):
        assert list((tmp_path / "parts").iterdir()) == []


def test_a_stream_ends_where_no_chunk_waits_and_begins_anew(exam, identity, tmp_path):
    from mammosweep.run.ray_actors import _Stream
    from mammosweep.run.screener import Finder

    begun = []

    def find(exams, source):
        begun.append(1)
        yield from [
            ScreenedExam(exam=e, imaged=(), images=(), findings=(), provenance=PROVENANCE) for e in exams
        ]  # all are taken before the first is given

    place = Place(
        source_url="", writer=Writer(tmp_path, "run", identity), probe="", pages=False, bundle_note=""
    )
    stream = _Stream(Finder(find=find, provenance=PROVENANCE), None, place)
    chunks = list(cut([exam("E1"), exam("E2"), exam("E3")], (), 2, identity))

    found = [[e.exam.exam_id for e in stream.screened(chunk).exams] for chunk in chunks]

    assert found == [["E1", "E2"], ["E3"]]
    assert len(begun) == 2
