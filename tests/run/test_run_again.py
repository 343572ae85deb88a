"""What the storage did not give is done again by the next run, and only that."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from mammosweep.archive.verdict import refused
from mammosweep.errors import Reason
from mammosweep.report.tables import TABLES, read_table
from mammosweep.run.ledger import AGAIN, Ledger, read_parts
from mammosweep.run.local import prepare
from mammosweep.run.status import State, status


def rows(out):
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def swept(tiny, out, source, lost=None, calls=None, reason=Reason.READ_FAILED):
    """A sweep in which one file could be read when it was indexed, and not when its pixels were wanted."""

    def load(config, bundle):
        screener = tiny.tiny_screener(calls=calls)

        def screen(exams, source):
            for outcome in screener.screen(exams, source):
                images = (
                    refused(i, reason, "the storage failed") if i.path == lost else i for i in outcome.images
                )
                yield dataclasses.replace(outcome, images=tuple(images))

        return dataclasses.replace(screener, screen=screen)

    with prepare(out, source, config=tiny.settings(2), load=load) as ready:
        return ready.run()


def reasons(out):
    return {row["path"]: row["reason"] for row in rows(out)["images"] if row["path"] != "notes.txt"}


@pytest.mark.parametrize("reason", [Reason.READ_FAILED, Reason.READ_TIMEOUT, Reason.FILE_MISSING])
def test_an_exam_whose_file_was_not_given_has_its_row_and_is_done_again(
    tiny, shared_archive, finished, tmp_path, reason
):
    out, calls = tmp_path / "out", []

    swept(tiny, out, shared_archive, lost="exam11/LCC.dcm", reason=reason)
    first = status(out), reasons(out)
    again = swept(tiny, out, shared_archive, calls=calls)

    assert first[0].state is State.COMPLETE
    assert first[1]["exam11/LCC.dcm"] == reason
    assert [exam_id[-3:] for exam_id in calls] == [".10", ".11"]  # its chunk, and no other
    assert not again.nothing_new
    assert rows(out) == rows(finished)
    assert [part for part in read_parts(out) if part.chunk_id.endswith(AGAIN)] == []


def test_a_reason_that_lies_in_the_file_stays(tiny, shared_archive, tmp_path):
    out, calls = tmp_path / "out", []

    swept(tiny, out, shared_archive, lost="exam11/LCC.dcm", reason=Reason.DECODE_FAILED)
    again = swept(tiny, out, shared_archive, calls=calls)

    assert (again.nothing_new, calls) == (True, [])


def test_a_file_that_was_not_given_when_it_was_indexed_either_is_not_tried_for_ever(
    tiny, archive, tmp_path, monkeypatch
):
    (archive / "exam11" / "LCC.dcm").unlink()
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,exam_id,laterality,view\nexam11/LCC.dcm,e,L,CC\n")  # names what is not there
    out = tmp_path / "out"

    tiny.tiny_sweep(out, archive, manifest=manifest)
    again = tiny.tiny_sweep(out, archive, manifest=manifest)

    assert again.nothing_new
    assert [image for image in rows(out)["images"] if image["reason"] == "file_missing"]


def test_a_kill_while_parts_are_taken_back_leaves_no_sweep_that_passes_for_complete(
    tiny, shared_archive, finished, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    swept(tiny, out, shared_archive, lost="exam11/LCC.dcm")
    identity = read_parts(out)[0].identity
    with monkeypatch.context() as patch, Ledger(out, identity) as ledger:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.take_back()
    assert status(out).state is State.STOPPED

    tiny.tiny_sweep(out, shared_archive)

    assert rows(out) == rows(finished)
    assert list(out.glob("parts/.tmp-*")) == []


def killed(*_):
    raise KeyboardInterrupt
