"""The character network: malignancy, and what mass and calcification look like, in BI-RADS words."""

from __future__ import annotations

from torch import Tensor, nn

from mammosweep.records import LesionType

__all__ = ["ATTRIBUTES", "CharacterNetwork", "character_words"]

ATTRIBUTES: dict[str, tuple[LesionType, tuple[str, ...]]] = {
    "shape": (LesionType.MASS, ("round", "oval", "irregular")),
    "margin": (LesionType.MASS, ("circumscribed", "indistinct", "spiculated")),
    "morphology": (LesionType.CALCIFICATION, ("round", "fine_pleomorphic", "fine_linear")),
    "distribution": (LesionType.CALCIFICATION, ("clustered", "segmental", "linear")),
}
"""Attribute -> the lesion type it describes, and its words."""

MALIGNANCY = "malignancy"


class CharacterNetwork(nn.Module):
    """Multi-task heads on a finding's box-head representation."""

    def __init__(self, representation: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(representation, 96), nn.ReLU(), nn.Dropout(0.2))
        heads = {name: nn.Linear(96, len(words)) for name, (_, words) in ATTRIBUTES.items()}
        self.heads = nn.ModuleDict({MALIGNANCY: nn.Linear(96, 1), **heads})

    def forward(self, embeddings_KD: Tensor) -> dict[str, Tensor]:
        """``malignancy`` (K,) logits and (K, words) logits for each attribute."""
        vector = self.trunk(embeddings_KD)
        found = {name: head(vector) for name, head in self.heads.items()}
        return found | {MALIGNANCY: found[MALIGNANCY].squeeze(1)}


def character_words(logits: dict[str, Tensor], index: int, kind: LesionType) -> dict[str, str]:
    """The likeliest word of each attribute that describes this lesion type."""
    return {
        name: words[int(logits[name][index].argmax())]
        for name, (described, words) in ATTRIBUTES.items()
        if described is kind
    }
