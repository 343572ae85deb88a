"""Both plans of both trunks export for every canvas and all looks, and TensorRT converts every node of them.

Nothing here has run on a GPU: converters are asked whether they know a node, not what it computes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.detect.plans.conversion import HAS_CONVERTERS, converted
from tests.detect.plans.networks import ALONE, SPECS, all_cases, read_coverage

from mammosweep.config import FlipMode, Precision
from mammosweep.detect.plans.programs import DENSE, HEAD
from mammosweep.detect.plans.tensorrt import build_options

CASES = all_cases()
DRY = [case for case in CASES if case.is_dry_run]

needs_converters = pytest.mark.skipif(
    not HAS_CONVERTERS, reason="torch-tensorrt is not installed: it has no wheel for this platform"
)


@pytest.fixture(scope="module")
def conversion():
    """What became of every case, and the options that torch-tensorrt's conversion knows."""
    return converted([(case, case.is_dry_run and HAS_CONVERTERS) for case in CASES])


@pytest.fixture(scope="module")
def found(conversion):
    return conversion[0]


@pytest.mark.timeout(900)  # whoever comes first waits for all of them
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_plan_exports(case, found):
    assert found[case]["exported"] > 0


@pytest.mark.parametrize("trunk", [name for name in SPECS if name != ALONE])
@pytest.mark.parametrize("flips", FlipMode)
def test_a_plan_is_one_graph_whatever_its_canvas(trunk, flips, found):
    nodes = {found[c]["exported"] for c in CASES if (c.trunk, c.part, c.flips) == (trunk, DENSE, flips)}

    assert len(nodes) == 1


@needs_converters
@pytest.mark.parametrize("case", DRY, ids=str)
def test_tensorrt_converts_every_node_into_one_engine(case, found):
    said = found[case]

    assert said["converted"] == said["nodes"]
    assert said["engines"] == 1
    assert said["left_to_torch"] == []


@needs_converters
@pytest.mark.parametrize("case", DRY, ids=str)
def test_an_engine_computes_in_the_number_format_that_its_network_was_cast_to(case, found):
    numbers = ["torch.float16"] * (6 if case.part == DENSE else 3)

    assert found[case]["outputs"] == numbers + (["torch.int64"] if case.part == DENSE else [])


@needs_converters
@pytest.mark.parametrize("case", DRY, ids=str)
def test_the_documents_say_what_the_dry_run_gives(case, found):
    documented = read_coverage()[case]

    assert documented == (found[case]["nodes"], found[case]["converted"]), (
        "run: python -m tests.detect.plans.conversion"
    )


def test_the_documents_leave_no_case_out():
    assert set(read_coverage()) == set(CASES)
    assert {case.part for case in DRY} == {DENSE, HEAD}


def test_only_views_that_keep_company_say_which_are_present(found):
    inputs = {case.trunk: found[case]["inputs"] for case in CASES if case.part == DENSE}

    assert inputs == {name: 1 if name == ALONE else 2 for name in SPECS}


@needs_converters
def test_torch_tensorrt_knows_every_option_that_it_is_given(conversion):
    given = {"arg_inputs", "arg_input_binding_names", "output_binding_names", "device"}

    assert given | set(build_options(Precision.FP16, Path("cache"))) <= conversion[1]
