"""``python -m tests.fuzz.run --files 100000 --seed 1``: spoil files and watch what the engine makes of them.

File number n of a seed is always the same. A run that was stopped goes on where it was; a finding's bytes are
kept in ``runs/fuzz`` under the seed, its number and its kind. Exit code 1 where there is any finding.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.corpus import Seed, make_corpus
from tests.fuzz.judge import CONFIG, Fate, Judged, judge, truths
from tests.fuzz.mutate import Mutant, mutant
from tests.fuzz.watch import Watch

from mammosweep.pixels.reader import FrameReader

__all__ = ["Tally", "fuzz", "main"]

RUNS = Path(__file__).parent.parent.parent / "runs" / "fuzz"
SAVE_EVERY = 2000
"""Files between two checkpoints, and between two looks at the memory."""


@dataclass(slots=True)
class Tally:
    """What became of the files so far."""

    seed: int
    done: int = 0
    fates: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and fate
    reasons: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, index: int, kind: str, judged: Judged) -> None:
        """Count one file."""
        self.done = index + 1
        self.fates[kind, judged.fate] += 1
        self.reasons[judged.reason] += bool(judged.reason)
        if judged.finding:
            self.fates[kind, "finding"] += 1
            self.findings.append(f"seed {self.seed}, file {index}, {kind}: {judged.finding}")

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        record = {
            "done": self.done,
            "fates": [[kind, fate, num] for (kind, fate), num in sorted(self.fates.items())],
            "reasons": dict(sorted(self.reasons.items())),
            "findings": self.findings,
        }
        folder.mkdir(parents=True, exist_ok=True)
        partial = _checkpoint(folder, self.seed).with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
        partial.replace(_checkpoint(folder, self.seed))

    @classmethod
    def load(cls, folder: Path, seed: int) -> Tally:
        """The checkpoint of this seed, or a new tally."""
        path = _checkpoint(folder, seed)
        if not path.exists():
            return cls(seed)
        record = json.loads(path.read_text(encoding="utf-8"))
        fates = Counter({(kind, fate): num for kind, fate, num in record["fates"]})
        return cls(seed, record["done"], fates, Counter(record["reasons"]), record["findings"])

    def table(self) -> str:
        """One line for each kind."""
        columns = [*Fate, "finding"]
        lines = [f"{'kind':32}" + "".join(f"{column:>15}" for column in columns)]
        for kind in sorted({kind for kind, _ in self.fates}):
            lines.append(f"{kind:32}" + "".join(f"{self.fates[kind, c] or '':>15}" for c in columns))
        total = {c: sum(n for (_, fate), n in self.fates.items() if fate == c) for c in columns}
        lines.append(f"{'all':32}" + "".join(f"{total[c]:>15}" for c in columns))
        return "\n".join(lines)


def _checkpoint(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed}.json"


def make(seed: int, index: int, corpus: Sequence[Seed]) -> tuple[str, Seed, Mutant]:
    """File number ``index`` of a seed."""
    return mutant(Random(f"{seed}/{index}"), corpus)


def fuzz(tally: Tally, files: int, folder: Path, watch: Watch, seconds: float = float("inf")) -> None:
    """Go on to this number of files, or for this long."""
    corpus = make_corpus()
    pixels = truths(corpus)
    stop = time.monotonic() + seconds
    kinds: dict[int, tuple[str, Mutant]] = {}

    def jobs() -> Iterator[tuple[int, Seed, Mutant]]:
        for index in range(tally.done, files):
            if time.monotonic() > stop:
                return
            kind, parent, made = make(tally.seed, index, corpus)
            kinds[index] = kind, made
            yield index, parent, made

    with FrameReader(CONFIG) as reader:
        for index, judged in judge(jobs(), reader, pixels):
            kind, made = kinds.pop(index)
            tally.add(index, kind, judged)
            if judged.finding:
                _keep(folder, tally.seed, index, kind, made.data)
            if tally.done % SAVE_EVERY == 0:
                tally.save(folder)
                watch.look([worker.pid for worker in reader.workers])
    tally.save(folder)


def _keep(folder: Path, seed: int, index: int, kind: str, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{seed}-{index}-{kind.replace(' ', '-')}.dcm").write_bytes(data)


def main(arguments: list[str]) -> int:
    """Run, print the table, and say by the exit code whether there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=RUNS)
    parser.add_argument("--anew", action="store_true", help="forget the checkpoint")
    options = parser.parse_args(arguments)
    tally = Tally(options.seed) if options.anew else Tally.load(options.folder, options.seed)
    watch, start, before = Watch(), time.monotonic(), tally.done
    fuzz(tally, options.files, options.folder, watch)
    seconds = time.monotonic() - start
    print(tally.table())
    print(f"\n{tally.done} files, {tally.done - before} of them now in {seconds:.0f} s; {watch.summary()}")
    leaks = watch.leaks()
    for line in [*tally.findings[:50], *leaks]:
        print(line)
    return 1 if tally.findings or leaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
