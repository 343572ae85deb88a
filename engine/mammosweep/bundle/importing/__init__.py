"""Published checkpoints as this engine's: read `convert.py` (the seam) first, then `torchvision.py`.

What a checkpoint's file does not tell, whoever imports it has to: `settings.py`.
"""

from mammosweep.bundle.importing.convert import Convert, Converted, detector_spec
from mammosweep.bundle.importing.detectron2 import from_detectron2
from mammosweep.bundle.importing.settings import ImportSettings, Layout
from mammosweep.bundle.importing.torchvision import from_torchvision

__all__ = ["LAYOUTS", "Convert", "Converted", "ImportSettings", "Layout", "detector_spec"]

LAYOUTS: dict[Layout, Convert] = {
    Layout.TORCHVISION: from_torchvision,
    Layout.DETECTRON2: from_detectron2,
}
