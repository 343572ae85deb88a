"""The character network: malignancy, and what mass and calcification look like, in BI-RADS words.

One network with several tasks, on the detector's representation of the finding and, where the bundle says so,
on a crop at a finer grid: what tells benign from malignant (spicules, a lobulated edge) is finer than what
tells a lesion from tissue.
"""

# Shapes:  K findings   D representation   S pixels of a crop's side

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.records import LesionType
from mammosweep.vocabulary import DESCRIBES

__all__ = ["IS_LESION", "MALIGNANCY", "CharacterNetwork", "character_words", "word_scores"]

MALIGNANCY = "malignancy"
IS_LESION = "lesion"
"""The task of the second look: whether there is a lesion at all."""

GRAY_MIDDLE, GRAY_SPREAD = 0.5, 0.5
"""Normalised gray enters the crop's trunk as (gray - 0.5) / 0.5: about -1 to 1, as ImageNet's did."""


class CharacterNetwork(nn.Module):
    """Multi-task heads on a finding's box-head representation and its crop."""

    def __init__(self, representation: int, spec: CharacterSpec, width: int = 96) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(representation, width), nn.ReLU(), nn.Dropout(0.2))
        self.crop = CropTrunk(spec.trunk, width) if spec.crop_px else None
        inputs = width if self.crop is None else 2 * width
        heads = {name: nn.Linear(inputs, len(words)) for name, words in spec.words.items()}
        if spec.second_look:
            heads[IS_LESION] = nn.Linear(inputs, 1)
        self.heads = nn.ModuleDict({MALIGNANCY: nn.Linear(inputs, 1), **heads})

    def forward(self, embeddings_KD: Tensor, crops_K1SS: Tensor | None = None) -> dict[str, Tensor]:
        """Logits: ``malignancy`` (K,); with a second look ``lesion`` (K,); (K, words) for each attribute."""
        vector = self.trunk(embeddings_KD)
        if self.crop is not None:
            vector = torch.cat([vector, self.crop(crops_K1SS)], dim=1)
        found = {name: head(vector) for name, head in self.heads.items()}
        return found | {name: found[name].squeeze(1) for name in (MALIGNANCY, IS_LESION) if name in found}


class CropTrunk(nn.Module):
    """One vector of a crop: convolutions, and the mean over what they see."""

    def __init__(self, trunk: str, width: int) -> None:
        super().__init__()
        self.body, channels = _timm_body(trunk) if trunk else _own_body()
        self.vector = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, width), nn.ReLU())

    def forward(self, crops_K1SS: Tensor) -> Tensor:
        """(K, width)."""
        features = self.body((crops_K1SS - GRAY_MIDDLE) / GRAY_SPREAD)
        last = features[-1] if isinstance(features, list) else features
        return self.vector(last.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def _own_body() -> tuple[nn.Module, int]:
    # Batch norms: 400 steps on 440 crops of phantoms end at a malignancy AUC of 0.88 on other phantoms; with
    # group norms they end at 0.72.
    sides = ((1, 16), (16, 24), (24, 32), (32, 48), (48, 64))
    blocks = [
        layer
        for inputs, outputs in sides
        for layer in (
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )
    ]
    return nn.Sequential(*blocks), sides[-1][1]


def _timm_body(trunk: str) -> tuple[nn.Module, int]:
    body: Any = timm.create_model(trunk, features_only=True, in_chans=1, pretrained=False)
    return body, int(body.feature_info.channels()[-1])


def character_words(
    logits: dict[str, Tensor], index: int, kind: LesionType, words: dict[str, tuple[str, ...]]
) -> dict[str, str]:
    """The likeliest word of each attribute that describes this lesion type."""
    return {
        name: known[int(logits[name][index].argmax())]
        for name, known in words.items()
        if DESCRIBES[name] is kind
    }


def word_scores(
    logits: dict[str, Tensor], index: int, kind: LesionType, words: dict[str, tuple[str, ...]]
) -> dict[str, float]:
    """The probability of each word that describes this lesion type: "margin.spiculated" -> 0.83."""
    return {
        f"{name}.{word}": probability
        for name, known in words.items()
        if DESCRIBES[name] is kind
        for word, probability in zip(known, logits[name][index].softmax(dim=0).tolist(), strict=True)
    }
