from __future__ import annotations

import numpy as np
import pytest

from mammosweep.errors import ConfigError
from mammosweep.evaluate.delong import compare, delong
from mammosweep.evaluate.evaluation import Settings, evaluate
from mammosweep.evaluate.hybrid import read_readers

ENGINE = [0.2 + 0.01 * (i % 7) + (0.5 if (i % 2 == 0) is not (i % 6 == 0) else 0.0) for i in range(48)]
LABELS = np.arange(48) % 2 == 0
READER = np.round(np.where(np.arange(48) % 5 == 0, 0.5, np.where(LABELS, 0.7, 0.3)), 2)


def readers(tmp_path, header, rows):
    path = tmp_path / "readers.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return read_readers(path)


def run(clinic, table, weight=0.5):
    return evaluate(
        clinic.tables,
        clinic.truth(unlisted_clean=True),
        Settings(num_bootstraps=20, weight=weight),
        readers=table,
    ).hybrid


@pytest.mark.parametrize("weight", [0.5, 0.2])
def test_the_hybrid_is_the_weighted_mean_of_reader_and_engine(clinic, tmp_path, weight):
    table = readers(tmp_path, "exam_id,r1", [f"E{i},{READER[i]}" for i in range(48)])

    found = run(clinic, table, weight)

    both = weight * READER + (1 - weight) * np.array(ENGINE)
    (row,) = found.rows
    assert (found.of, found.num_not_matched, row.num) == ("exams", 0, 48)
    assert row.engine == delong(ENGINE, LABELS)
    assert row.alone == delong(READER, LABELS)
    assert row.hybrid.value == pytest.approx(delong(both, LABELS).value)
    assert row.hybrid_against_engine.p == pytest.approx(compare(both, ENGINE, LABELS).p)
    assert row.hybrid.value > row.engine.value


def test_readings_of_breasts_find_their_patient_and_side(clinic, tmp_path):
    rows = [
        f"P{i},{side},{READER[i] if side == 'LEFT' else 0.1}" for i in range(48) for side in ("LEFT", "RIGHT")
    ]

    found = run(clinic, readers(tmp_path, "patient,side,r1", rows))

    assert (found.of, found.rows[0].num, found.rows[0].num_positive) == ("breasts", 96, 24)


def test_several_readers_are_averaged_too_and_gaps_are_left_out(clinic, tmp_path):
    rows = [f"E{i},{READER[i]},{'' if i < 4 else 0.4}" for i in range(48)]

    found = run(clinic, readers(tmp_path, "exam_id,r1,r2", [*rows, "nobody,0.5,0.5"]))

    assert [(row.reader, row.num) for row in found.rows] == [
        ("r1", 48),
        ("r2", 44),
        ("mean of the readers", 48),
    ]
    assert found.num_not_matched == 1
    assert found.rows[1].alone.value == 0.5


WRONG = {
    "no reader": ("exam_id\n", ["E1"], "a column of probabilities for each reader"),
    "no key": ("name,r1", ["x,0.5"], "expected exam_id or patient"),
    "percent": ("exam_id,r1", ["E1,0.5", "E2,50"], "row 2: column r1 is '50'; expected a probability"),
    "words": ("exam_id,r1", ["E1,high"], "row 1: column r1 is 'high'; expected a probability"),
}


@pytest.mark.parametrize(("header", "rows", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_refused(tmp_path, header, rows, said):
    with pytest.raises(ConfigError, match=said):
        readers(tmp_path, header, rows)


def test_a_table_of_other_exams_and_a_weight_beyond_one_are_refused(clinic, tmp_path):
    table = readers(tmp_path, "exam_id,r1", ["nobody,0.5"])

    with pytest.raises(ConfigError, match="none of the 1 rows of the readers' table is an evaluated case"):
        run(clinic, table)
    with pytest.raises(ConfigError, match=r"the readers' weight is 1\.5"):
        run(clinic, table, 1.5)
