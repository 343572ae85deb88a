"""How people look through an archive today: ``python -m benchmarks.peers.header_loop FOLDER PROCESSES``.

Every file is parsed by `pydicom.dcmread` up to its pixels; no value is looked at, nothing is checked or kept.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import Pool

import pydicom

CHUNK_FILES = 64


def main(folder: str, processes: int) -> None:
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]  # noqa: PTH118
    if processes == 1:
        for path in paths:
            parse(path)
        return
    with Pool(processes) as pool:
        for _ in pool.imap(parse, paths, CHUNK_FILES):
            pass


def parse(path: str) -> None:
    pydicom.dcmread(path, stop_before_pixels=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
