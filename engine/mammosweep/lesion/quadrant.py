"""The quadrant network: where in the breast a finding lies, in the words of its view."""

from __future__ import annotations

from torch import Tensor, nn

from mammosweep.lesion.view_and_mask import ViewAndMaskTrunk
from mammosweep.records import Position
from mammosweep.vocabulary import QUADRANTS

__all__ = ["QuadrantNetwork", "quadrant_words"]


CLASSES = tuple((position, word) for position, words in QUADRANTS.items() for word in words)


class QuadrantNetwork(nn.Module):
    """One classifier for both views: the classes of the other view are left out of the choice."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = ViewAndMaskTrunk()
        self.classes = nn.Linear(128, len(CLASSES))

    def forward(self, view_and_mask_K2hw: Tensor) -> Tensor:
        """(K, 9) logits in the order of ``CLASSES``."""
        return self.classes(self.trunk(view_and_mask_K2hw))  # type: ignore[no-any-return]


def quadrant_words(logits: Tensor, position: Position) -> list[str]:
    """The likeliest class of each finding among those of its view."""
    columns = [i for i, (p, _) in enumerate(CLASSES) if p is position]
    return [QUADRANTS[position][int(i)] for i in logits[:, columns].argmax(dim=1)]
