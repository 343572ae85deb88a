"""Rows of a catalog while it is made: in memory while they are few, on disk in buckets once they are many.

A bucket holds whole exams. Which one an exam goes to follows from its id alone, so it is the same in every
catalog, and two catalogs of one archive can be compared bucket by bucket.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mammosweep.archive.catalog_file import SCHEMA, table_of
from mammosweep.records import ImageRecord, ImageStatus

__all__ = ["SPILL_ROWS", "Spool", "bucket_of"]

NUM_BUCKETS = 256
"""Of a million exams each holds some four thousand: 15 MB of rows."""

SPILL_ROWS = 50_000
"""More rows than this go to disk."""


def bucket_of(record: ImageRecord) -> int:
    """The bucket of a file's exam; of its own path where it has none."""
    text = record.path if record.exam_id is None else record.exam_id
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0]


class Spool:
    """Takes rows in any order; gives them back in groups of whole exams, each ordered by path.

    Args:
        folder: made where rows are many; what a killed run left there goes. None: a temporary one.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._records: list[ImageRecord] = []
        self._keys: list[str] = []
        self._tables: list[pa.Table] = []
        self._num_buffered = 0
        self._spilled: _Spilled | None = None

    def add(self, record: ImageRecord, key: str) -> None:
        """Take a record, with the key of its manifest row (empty: it has none)."""
        self._records.append(record)
        self._keys.append(key)
        self._num_buffered += 1
        if self._num_buffered >= SPILL_ROWS:
            self._spill()

    def add_table(self, rows: pa.Table) -> None:
        """Take rows of another catalog."""
        self._tables.append(rows)
        self._num_buffered += rows.num_rows
        if self._num_buffered >= SPILL_ROWS:
            self._spill()

    def groups(self) -> Iterator[pa.Table]:
        """All rows; each group's ``shared_uid`` says which UIDs another group has too."""
        if self._spilled is None:
            yield self._buffered().sort_by("path")
            return
        self._spill()
        yield from self._spilled.groups()

    def shared(self) -> list[pa.Table]:
        """The rows whose UID is in several groups."""
        if self._spilled is None:
            return []
        self._spill()
        return [shared for group in self._spilled.groups() if (shared := _shared_rows(group)).num_rows]

    def close(self) -> None:
        """Remove what lies on disk."""
        if self._spilled is not None:
            self._spilled.close()

    def _buffered(self) -> pa.Table:
        if self._records:
            buckets = [bucket_of(record) for record in self._records]
            self._tables.append(table_of(self._records, self._keys, buckets))
        rows = pa.concat_tables([SCHEMA.empty_table(), *(table.cast(SCHEMA) for table in self._tables)])
        self._records, self._keys, self._tables, self._num_buffered = [], [], [], 0
        return rows

    def _spill(self) -> None:
        rows = self._buffered()
        if self._spilled is None:
            self._spilled = _Spilled(self._folder)
        if rows.num_rows:
            self._spilled.add(rows)


def _shared_rows(group: pa.Table) -> pa.Table:
    return group.filter(group["shared_uid"])


class _Spilled:
    """A file for each bucket, and which UID was seen in which."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder or Path(tempfile.mkdtemp(prefix="mammosweep-catalog-"))
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self._uids: list[NDArray[np.uint64]] = []
        self._buckets: list[NDArray[np.uint16]] = []
        self._in_several: NDArray[np.uint64] | None = None

    def add(self, rows: pa.Table) -> None:
        ordered = rows.sort_by("bucket")
        buckets = ordered["bucket"].to_numpy()
        starts = np.flatnonzero(np.diff(buckets, prepend=-1)).tolist()
        for start, end in zip(starts, [*starts[1:], len(buckets)], strict=True):
            self._writer(int(buckets[start])).write_table(ordered.slice(start, end - start).combine_chunks())
        used = pc.equal(ordered["header_status"], ImageStatus.USED)
        kept = ordered.filter(pc.and_(used, pc.is_valid(ordered["sop_instance_uid"])))
        self._uids.append(_hashes(kept["sop_instance_uid"].to_pylist()))
        self._buckets.append(kept["bucket"].to_numpy())
        self._in_several = None

    def groups(self) -> Iterator[pa.Table]:
        for writer in self._writers.values():
            writer.close()
        in_several = self._uids_in_several()
        for bucket in sorted(self._writers):
            with pa.memory_map(str(self._file(bucket))) as file:
                rows = pa.ipc.open_stream(file).read_all().combine_chunks().sort_by("path")
            if len(in_several):
                is_shared = np.isin(_hashes(rows["sop_instance_uid"].to_pylist()), in_several)
                used = rows["header_status"].to_numpy(zero_copy_only=False) == ImageStatus.USED
                flags = pa.array(is_shared & used)
                column = SCHEMA.get_field_index("shared_uid")
                rows = rows.set_column(column, SCHEMA.field(column), flags)
            yield rows

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, bucket: int) -> Path:
        return self._folder / f"{bucket:03d}.arrow"

    def _writer(self, bucket: int) -> pa.ipc.RecordBatchStreamWriter:
        if bucket not in self._writers:
            self._writers[bucket] = pa.ipc.new_stream(str(self._file(bucket)), SCHEMA)
        return self._writers[bucket]

    def _uids_in_several(self) -> NDArray[np.uint64]:
        """Hashes of the UIDs that lie in more than one bucket; almost always none."""
        if self._in_several is None:
            pairs = np.stack([np.concatenate(self._uids), np.concatenate(self._buckets).astype(np.uint64)])
            distinct = np.unique(pairs, axis=1)[0]
            hashes, counts = np.unique(distinct, return_counts=True)
            self._in_several = hashes[counts > 1]
            self._uids, self._buckets = [pairs[0]], [pairs[1].astype(np.uint16)]
        return self._in_several


def _hashes(texts: Sequence[str | None]) -> NDArray[np.uint64]:
    encoded = ((text or "").encode("utf-8", "surrogatepass") for text in texts)
    digests = [hashlib.blake2b(text, digest_size=8).digest() for text in encoded]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
