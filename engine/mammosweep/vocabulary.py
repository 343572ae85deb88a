"""The words of a finding: where it lies, and what it looks like."""

from __future__ import annotations

from mammosweep.records import LesionType, Position

__all__ = ["CHARACTER", "DESCRIBES", "QUADRANTS"]

QUADRANTS: dict[Position, tuple[str, ...]] = {
    Position.CC: ("outer", "middle", "inner", "areola"),
    Position.MLO: ("upper", "middle", "lower", "axillary_tail", "areola"),
}
"""The places of each view, as the method names them."""

CHARACTER: dict[str, tuple[str, ...]] = {
    "shape": ("round", "oval", "lobulated", "irregular"),
    "margin": ("circumscribed", "obscured", "microlobulated", "indistinct", "spiculated"),
    "morphology": ("round", "amorphous", "coarse_heterogeneous", "fine_pleomorphic", "fine_linear"),
    "distribution": ("diffuse", "regional", "clustered", "segmental", "linear"),
}
"""ACR BI-RADS, 5th edition, each from benign to suspicious; "lobulated" is the 4th edition's, "clustered" is
what the 5th calls grouped. A bundle tells apart some of them."""

DESCRIBES: dict[str, LesionType] = {
    "shape": LesionType.MASS,
    "margin": LesionType.MASS,
    "morphology": LesionType.CALCIFICATION,
    "distribution": LesionType.CALCIFICATION,
}
"""Asymmetries and distortions have no words of their own."""
