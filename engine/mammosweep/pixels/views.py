"""Views are made ready ahead of the networks: what `reader.py` decodes is normalised in threads of its own.

ask ──▶ FrameReader (threads read, processes decode) ──▶ threads normalise ──▶ PendingView.read()
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mammosweep.archive.source import Source
from mammosweep.clock import StageClock
from mammosweep.config import PixelsConfig
from mammosweep.errors import Flag
from mammosweep.pixels.normalise import NormalisedView, normalise
from mammosweep.pixels.reader import FrameReader, PendingFrame
from mammosweep.records import View

__all__ = ["PendingView", "ReadView", "ViewReader"]


@dataclass(frozen=True, slots=True)
class ReadView:
    """A view for the networks, and what its pixels said on the way."""

    normalised: NormalisedView
    voi: str | None  # which of the header's presentations was applied
    levels_left_out: int  # of the wavelet transform
    flags: tuple[Flag, ...]


class PendingView:
    """A view that was asked for."""

    def __init__(self, frame: PendingFrame, result: Future[ReadView]) -> None:
        self._frame = frame
        self._result = result

    def read(self) -> ReadView:
        """Wait for the view.

        Raises:
            ImageError: the file cannot be read, its pixels not be had, or no breast be found.
            DeviceError: no worker can be started.
        """
        return self._result.result()

    def abandon(self) -> None:
        """Nobody waits for it any more; its memory goes back as soon as it is done."""
        if self._result.cancel():
            self._frame.abandon()


class ViewReader:
    """Reads, decodes and normalises views, several at once and ahead of whoever asks for them."""

    def __init__(
        self,
        config: PixelsConfig,
        grid_mm: float,
        device: str = "cpu",
        clock: StageClock | None = None,
        *,
        detail_mm: float | None = None,
    ) -> None:
        """Make one that is idle.

        Args:
            config: limits, and how many workers.
            grid_mm: side of a network pixel.
            device: "cuda" where frames are to be decoded on the GPU.
            clock: is told the seconds of "read", "decode" and "normalise".
            detail_mm: the finest grid that crops are cut on; 0: the images' own; None: no crops are wanted.
        """
        self._grid_mm = grid_mm
        self._clock = clock or StageClock()
        self._keep_detail = detail_mm is not None
        finest = grid_mm if detail_mm is None else min(grid_mm, detail_mm) or None
        self._frames = FrameReader(config, finest, device, self._clock)
        # As many as there are decoders: each hands its frame on before the next one is done.
        self._threads = ThreadPoolExecutor(len(self._frames.workers), thread_name_prefix="normalise")

    def request(self, source: Source, view: View) -> PendingView:
        """Ask for a view; views are made ready in the order of the requests."""
        frame = self._frames.request(source, view)
        return PendingView(frame, self._threads.submit(self._normalised, frame, view))

    def close(self) -> None:
        """End threads and processes; what was asked for and is not ready never comes."""
        self._frames.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _normalised(self, pending: PendingFrame, view: View) -> ReadView:
        try:
            frame = pending.frame()
            with self._clock.measure("normalise"):
                normalised = normalise(frame, view.spacing_mm, self._grid_mm, keep_detail=self._keep_detail)
            return ReadView(normalised, frame.voi, frame.reduce, frame.flags)
        finally:
            pending.release()
