"""Two readings of one contract: what the optimizer plans for random tiny projects, the check accepts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import tiny

import omniopt as oo
from omniopt.audit.verify import verify
from omniopt.errors import Infeasible


def assert_accepted(number: int, folder: Path, **options: object) -> None:
    case = tiny.make(Random(number))
    project = case.project()
    try:
        plan = oo.optimize(project, **options)  # type: ignore[arg-type]
    except Infeasible:
        assert not case.reference().solve().feasible
        return
    plan.save(folder)
    verdict = verify(folder, project)
    assert verdict.ok, [str(finding) for finding in verdict.findings]
    sign = 1.0 if plan.certificate["sense"] == "maximise" else -1.0
    assert verdict.bound_proven is not None
    assert sign * (verdict.bound_proven - plan.objective) >= -1e-6


@pytest.mark.parametrize("number", range(24))
def test_the_check_accepts_what_the_optimizer_plans(number: int, tmp_path: Path) -> None:
    assert_accepted(number, tmp_path)


@pytest.mark.parametrize("number", range(24, 36))
def test_the_check_accepts_what_the_decomposition_plans(number: int, tmp_path: Path) -> None:
    assert_accepted(number, tmp_path, solver="decomposed")


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(8))
def test_the_check_accepts_hundreds_of_plans(hundred: int, tmp_path: Path) -> None:
    for number in range(100 * hundred + 36, 100 * hundred + 136):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert_accepted(number, folder, solver="decomposed" if number % 3 == 0 else "auto")
