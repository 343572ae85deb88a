"""What ``mammosweep plan`` does: build plans ahead of a sweep, list them, verify them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mammosweep.bundle import Bundle
from mammosweep.config import DetectConfig, PlanChoice, Precision
from mammosweep.detect.load import choose_device, choose_precision, load_network
from mammosweep.detect.network import FourViewDetector
from mammosweep.detect.plans.build import build_plan, judge
from mammosweep.detect.plans.key import PlanKey
from mammosweep.detect.plans.store import StoredPlan, open_store
from mammosweep.detect.plans.stored import keys_of
from mammosweep.errors import ConfigError, PlanRefused, SweepError
from mammosweep.geometry import Size

__all__ = ["Verdict", "build_plans", "listed_plans", "sentence_of", "verify_plans"]

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying said of one plan."""

    plan: StoredPlan
    is_sound: bool  # as it was built, and what its report says still holds
    sentence: str


def build_plans(bundle: Bundle, config: DetectConfig, buckets: Sequence[Size], tell: Tell) -> None:
    """Build a bundle's plans for a device; one that is refused stops none of the others.

    Args:
        bundle: whose.
        config: device, precision, flips, batch and store. For a GPU TensorRT's plans are built (not yet run
            on one), for a CPU OpenVINO's.
        buckets: canvases; none: all of the bundle's.
        tell: is told a sentence for each.

    Raises:
        PlanRefused: at least one does not agree with fp32 PyTorch.
        ConfigError: a bucket is none of the bundle's, or the number format is none of the library's.
        DeviceError: CUDA is asked for and absent, or a library is.
    """
    keys = _wanted(bundle, config, buckets)
    store, network = open_store(config.plan_store), load_network(bundle)
    refused: list[str] = []
    for key in keys:
        try:
            plan = build_plan(store, bundle, network, config, key)
        except PlanRefused as error:
            refused.append(key.name)
            tell(str(error))
        else:
            tell(f"{plan.name}: built in {plan.seconds:.0f} s; {plan.agreement['sentence']}")
    if refused:
        raise PlanRefused(
            f"{len(refused)} of {len(keys)} plans do not agree with fp32 PyTorch and are not kept; their "
            f"reports lie in {store.folder}: take another detect.precision, or detect.plan = 'torch'"
        )


def _wanted(bundle: Bundle, config: DetectConfig, buckets: Sequence[Size]) -> list[PlanKey]:
    kind = PlanChoice.TENSORRT if choose_device(config.device).type == "cuda" else PlanChoice.OPENVINO
    keys = keys_of(bundle, config, kind, _precision(config))
    if not buckets:
        return list(keys.values())
    if kind is PlanChoice.OPENVINO:
        raise ConfigError("--buckets is given, and OpenVINO's plan fits every canvas; leave it out")
    strange = [bucket for bucket in buckets if bucket not in keys]
    if strange:
        known = ", ".join(f"{b.rows}x{b.columns}" for b in bundle.manifest.detector.buckets)
        raise ConfigError(
            f"--buckets names {strange[0].rows}x{strange[0].columns}, which is no canvas of the bundle; "
            f"expected some of {known}"
        )
    return [keys[bucket] for bucket in buckets]


def _precision(config: DetectConfig) -> Precision:
    return choose_precision(config.precision, choose_device(config.device))


def listed_plans(config: DetectConfig) -> list[StoredPlan]:
    """Every plan in the store."""
    return open_store(config.plan_store).entries()


def sentence_of(plan: StoredPlan) -> str:
    """A plan on one line: its name, when it was built, and what its report says."""
    state = "accepted" if plan.agreement.get("accepted", False) else "refused"
    said = plan.agreement.get("sentence", "it was never compared")
    return f"{plan.name}: built {plan.built_at} in {plan.seconds:.0f} s; {state}: {said}"


def verify_plans(config: DetectConfig, bundle: Bundle) -> Iterator[Verdict]:
    """Check every plan in the store.

    Files must be those that were built. The bundle's own plans for this machine, of any number format, are
    run again and must still agree with fp32 PyTorch; their reports are renewed. The record of a plan that was
    refused when it was built is sound.
    """
    store = open_store(config.plan_store)
    own = _own(bundle, config)
    networks: list[FourViewDetector] = []
    for plan in store.entries():
        key = own.get(plan.name)
        how = "its files are as built"
        try:
            for name in plan.files:
                plan.read(name)
            if key is not None and plan.files:
                networks = networks or [load_network(bundle)]
                store.judged_again(plan, judge(bundle, networks[0], config, key, plan))
                how += ", and it was run again"
            if plan.files:
                plan.require_accepted()
        except SweepError as error:
            yield Verdict(plan, is_sound=False, sentence=str(error))
        else:
            said = plan.agreement["sentence"]
            yield Verdict(
                plan, is_sound=True, sentence=f"{how}; {said}" if plan.files else f"refused; {said}"
            )


def _own(bundle: Bundle, config: DetectConfig) -> dict[str, PlanKey]:
    """Plans of this bundle that this machine would look for, by name."""
    on_gpu = choose_device(config.device).type == "cuda"
    kinds = [PlanChoice.OPENVINO, *([PlanChoice.TENSORRT] if on_gpu else [])]
    formats = [precision for precision in Precision if precision is not Precision.AUTO]
    keys = [key for kind in kinds for fmt in formats for key in keys_of(bundle, config, kind, fmt).values()]
    return {key.name: key for key in keys}
