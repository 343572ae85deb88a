"""Exam outcomes as Parquet: the four files of a chunk, and their merger into the sweep's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mammosweep.errors import LedgerError
from mammosweep.records import ExamOutcome, Finding, ImageRecord, Lesion
from mammosweep.report.atomic import replacing
from mammosweep.report.reasons import reasons_text
from mammosweep.report.schemas import CHARACTERS, SCHEMA_VERSION, SORT_KEYS, TABLES

__all__ = ["SCHEMA_VERSION", "TABLES", "Gathered", "compact", "read_table", "write_tables"]

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def write_tables(folder: Path, outcomes: Sequence[ExamOutcome], strays: Sequence[ImageRecord] = ()) -> None:
    """Write one chunk: images, findings, lesions and exams.parquet in `folder`, rows sorted.

    Args:
        folder: made if it is missing.
        outcomes: what the chunk's exams leave with.
        strays: files that belong to no exam.
    """
    rows: Rows = {name: [] for name in TABLES}
    for outcome in outcomes:
        rows["images"] += [_image_row(image, outcome.exam_id) for image in outcome.images]
        rows["findings"] += [_finding_row(finding, outcome.exam_id) for finding in outcome.findings]
        rows["lesions"] += [_lesion_row(lesion, outcome.exam_id) for lesion in outcome.lesions]
        rows["exams"].append(_exam_row(outcome))
    rows["images"] += _stray_rows(strays)
    for name, schema in TABLES.items():
        _write(folder, name, pa.Table.from_pylist(rows[name], schema=schema))


@dataclass(frozen=True, slots=True)
class Gathered:
    """What goes into the sweep's tables together: whole exams out of parts, and files without an exam."""

    chosen: Sequence[tuple[Path, Sequence[str]]]  # a part's folder, and the ids of its exams that are taken
    strays: Sequence[ImageRecord] = ()


def compact(
    groups: Iterable[Gathered], out: Path, check: Callable[[Mapping[str, pa.Table]], None] = lambda _: None
) -> None:
    """Merge the chunks' tables into `out`; what was not chosen stays in the parts.

    Args:
        groups: each becomes a row group of every table, its rows sorted; one of them is in memory at a time.
        out: the sweep's folder; each file there is replaced at once, or not at all.
        check: is told every group's tables by name before they are written; what it raises ends it.

    Raises:
        LedgerError: a part's table is missing, unreadable or of another schema version.
    """
    with ExitStack() as files:
        writers: dict[str, pq.ParquetWriter] = {}
        for name, schema in TABLES.items():
            temporary = files.enter_context(replacing(out / f"{name}.parquet"))
            writers[name] = files.enter_context(_writer(temporary, schema))
        for group in groups:
            tables = _gather(group)
            check(tables)
            for name, table in tables.items():
                if table.num_rows:
                    writers[name].write_table(table, row_group_size=table.num_rows)


def _gather(group: Gathered) -> dict[str, pa.Table]:
    stray_images = pa.Table.from_pylist(_stray_rows(group.strays), schema=TABLES["images"])
    kept = {name: [schema.empty_table()] for name, schema in TABLES.items()}
    kept["images"].append(stray_images)
    for part, exam_ids in group.chosen:
        wanted = pa.array(exam_ids, pa.string())
        for name, tables in kept.items():
            table = read_table(part, name)
            tables.append(table.filter(pc.is_in(table["exam_id"], value_set=wanted)))
    # A part that an earlier version wrote lacks the columns that came since: they are null there.
    whole = {name: pa.concat_tables(tables, promote_options="default") for name, tables in kept.items()}
    return {name: _ordered(name, table) for name, table in whole.items()}


def read_table(out: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One of the four tables, as written by `write_tables` or `compact`; some columns of it, or all.

    Raises:
        LedgerError: the file is missing, unreadable or of another schema version.
    """
    path = out / f"{name}.parquet"
    try:
        # Opened by hand: read_table() would take a folder named a=b for a partition and add a column.
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read(columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(
            f"{out.name}/{path.name} cannot be read ({type(error).__name__}); expected a table of a sweep; "
            "remove that folder and run the sweep again"
        ) from None
    found = (table.schema.metadata or {}).get(b"mammosweep.schema_version", b"none").decode()
    if found != str(SCHEMA_VERSION):
        raise LedgerError(
            f"{out.name}/{path.name} has schema version {found}; expected {SCHEMA_VERSION}; "
            "give another output folder"
        )
    return table


def _write(folder: Path, name: str, table: pa.Table) -> None:
    with replacing(folder / f"{name}.parquet") as temporary, _writer(temporary, TABLES[name]) as writer:
        writer.write_table(_ordered(name, table))


def _ordered(name: str, table: pa.Table) -> pa.Table:
    ordered = table.sort_by([(key, "ascending") for key in SORT_KEYS[name]]).combine_chunks()
    return ordered.cast(TABLES[name])


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="zstd")


def _stray_rows(strays: Iterable[ImageRecord]) -> list[Row]:
    return [_image_row(image, image.exam_id) for image in strays]


def _image_row(image: ImageRecord, exam_id: str | None) -> Row:
    return {
        "path": image.path,
        "sop_instance_uid": image.sop_instance_uid,
        "study_instance_uid": image.study_instance_uid,
        "exam_id": exam_id,
        "laterality": image.laterality,
        "view_position": image.view_position,
        "transfer_syntax": image.transfer_syntax,
        "rows": image.rows,
        "columns": image.columns,
        "spacing_mm": image.spacing_mm,
        "status": image.status,
        "reason": image.reason,
        "message": image.message,
        "flags": image.flags,
        "voi": image.voi,
        "levels_left_out": image.levels_left_out,
        "manufacturer": image.manufacturer,
    }


def _finding_row(finding: Finding, exam_id: str) -> Row:
    return {
        "exam_id": exam_id,
        "sop_instance_uid": finding.sop_instance_uid,
        "laterality": finding.laterality,
        "view_position": finding.position,
        **_box("", finding),
        "type": finding.type,
        "score": finding.score,
        "flip_votes": finding.flip_votes,
        "quadrant": finding.quadrant,
        "depth": finding.depth,
        "malignancy": finding.malignancy,
        **{name: finding.character.get(name) for name in CHARACTERS},
        "lesion_id": finding.lesion_id,
        "place": finding.place,
        "nipple_mm": finding.nipple_mm,
        "character_scores": _by_name(finding.character_scores),
        "calcification": _by_name(finding.calcification),
        "detector_score": finding.score if finding.detector_score is None else finding.detector_score,
        "second_look": finding.second_look,
    }


def _lesion_row(lesion: Lesion, exam_id: str) -> Row:
    return {
        "exam_id": exam_id,
        "lesion_id": lesion.lesion_id,
        "laterality": lesion.laterality,
        "type": lesion.type,
        "match_probability": lesion.match_probability,
        "malignancy": lesion.malignancy,
        "category": lesion.category,
        "cc_sop_instance_uid": lesion.cc and lesion.cc.sop_instance_uid,
        **_box("cc_", lesion.cc),
        "mlo_sop_instance_uid": lesion.mlo and lesion.mlo.sop_instance_uid,
        **_box("mlo_", lesion.mlo),
        "reasons": reasons_text(lesion),
        "contributions": _by_name(lesion.contributions),
    }


def _exam_row(outcome: ExamOutcome) -> Row:
    provenance = outcome.provenance
    return {
        "exam_id": outcome.exam_id,
        "exam_digest": outcome.exam_digest,
        "patient_key": outcome.patient_key,
        "study_date": outcome.study_date,
        "status": outcome.status,
        "reason": outcome.reason,
        "message": outcome.message,
        "flags": outcome.flags,
        "score": outcome.score,
        "score_left": outcome.score_left,
        "score_right": outcome.score_right,
        "benign_left": outcome.benign_left,
        "benign_right": outcome.benign_right,
        "category": outcome.category,
        "engine_version": provenance.engine_version,
        "bundle": provenance.bundle,
        "bundle_digest": provenance.bundle_digest,
        "settings_digest": provenance.settings_digest,
        "device": provenance.device,
        "precision": provenance.precision,
        "plan": provenance.plan,
    }


def _by_name(values: Mapping[str, float]) -> list[Row]:
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def _box(prefix: str, finding: Finding | None) -> Row:
    edges = finding.box_px if finding else (None,) * 4
    return dict(zip((f"{prefix}{key}" for key in ("x1", "y1", "x2", "y2")), edges, strict=True))
