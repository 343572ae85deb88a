"""The character network: what it sees, and the words that it answers with."""

from __future__ import annotations

import pytest
import torch

from mammosweep.bundle.manifest import CharacterSpec
from mammosweep.lesion.character import MALIGNANCY, CharacterNetwork, character_words, word_scores
from mammosweep.records import LesionType
from mammosweep.vocabulary import DESCRIBES

SIDE = 64
SPECS = {
    "no crop": CharacterSpec(),
    "own trunk": CharacterSpec(crop_mm=32.0, crop_px=SIDE),
    "a timm trunk": CharacterSpec(crop_mm=32.0, crop_px=SIDE, trunk="tf_efficientnet_lite0"),
}


def network_of(spec, seed=0):
    torch.manual_seed(seed)
    return CharacterNetwork(16, spec).eval()


def seen(num, spec, seed=0):
    generator = torch.Generator().manual_seed(seed)
    crops = torch.randn(num, 1, SIDE, SIDE, generator=generator) if spec.crop_px else None
    return torch.randn(num, 16, generator=generator), crops


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@torch.inference_mode()
def test_every_finding_has_a_malignancy_and_a_logit_for_each_word(spec):
    logits = network_of(spec)(*seen(3, spec))

    assert logits.pop(MALIGNANCY).shape == (3,)
    assert {name: values.shape for name, values in logits.items()} == {
        name: (3, len(words)) for name, words in spec.words.items()
    }


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@torch.inference_mode()
def test_a_finding_is_judged_alike_in_any_company(spec):
    network, (embeddings, crops) = network_of(spec), seen(9, spec)

    together = network(embeddings, crops)[MALIGNANCY]
    alone = torch.cat(
        [
            network(embeddings[k : k + 1], None if crops is None else crops[k : k + 1])[MALIGNANCY]
            for k in range(9)
        ]
    )

    torch.testing.assert_close(alone.sigmoid(), together.sigmoid(), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_crop_changes_what_is_said():
    spec = SPECS["own trunk"]
    network, (embeddings, crops) = network_of(spec), seen(4, spec)

    one, other = network(embeddings, crops), network(embeddings, crops.flip(0))

    assert not torch.allclose(one[MALIGNANCY], other[MALIGNANCY], atol=1e-6)


@pytest.mark.parametrize("kind", LesionType)
@torch.inference_mode()
def test_words_describe_only_their_lesion_type(kind):
    spec = SPECS["no crop"]
    logits = network_of(spec)(*seen(3, spec))

    words, scores = character_words(logits, 1, kind, spec.words), word_scores(logits, 1, kind, spec.words)

    described = {name for name in spec.words if DESCRIBES[name] is kind}
    assert set(words) == described
    assert {name.split(".")[0] for name in scores} == described
    for name, word in words.items():
        of_name = {key: value for key, value in scores.items() if key.startswith(f"{name}.")}
        assert sum(of_name.values()) == pytest.approx(1.0, abs=1e-5)
        assert max(of_name, key=of_name.__getitem__) == f"{name}.{word}"


def test_a_bundle_may_tell_apart_fewer_words():
    spec = CharacterSpec(shape=("oval", "irregular"), morphology=(), distribution=())

    assert set(network_of(spec).heads) == {MALIGNANCY, "shape", "margin"}


@pytest.mark.parametrize(
    ("crop_mm", "crop_px", "said"),
    [
        (32.0, 0, "expected both, or 0"),
        (0.0, 64, "expected both, or 0"),
        (-1.0, 64, "expected both, or 0"),
        (1.0, 640, "expected 0.03..1"),
    ],
)
def test_a_crop_that_cannot_be_is_refused(crop_mm, crop_px, said):
    with pytest.raises(ValueError, match=said):
        CharacterSpec(crop_mm=crop_mm, crop_px=crop_px)
