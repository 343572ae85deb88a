"""What a codestream says of itself, read before anything is allocated. `check.py` is the door."""

from __future__ import annotations

from mammosweep.pixels.codestream.check import check_codestream
from mammosweep.pixels.codestream.outline import CodestreamInfo

__all__ = ["CodestreamInfo", "check_codestream"]
