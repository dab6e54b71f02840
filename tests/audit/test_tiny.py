"""Two readings of one contract: what the optimizer plans for random tiny projects, the check accepts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import tiny

import omniopt as oo
from omniopt.audit.verify import verify

FEASIBLE = [number for number in range(28) if number not in (8, 10, 24)]
TABLE_LIMITS = (84, 88, 125, 167, 169)  # limits that read tables with rows outside their own scope


@pytest.mark.parametrize("number", [*FEASIBLE, *TABLE_LIMITS])
def test_the_check_accepts_what_the_optimizer_plans(number: int, tmp_path: Path) -> None:
    project = tiny.make(Random(number)).project()
    plan = oo.optimize(project)
    plan.save(tmp_path)
    verdict = verify(tmp_path, project)
    assert verdict.ok, [str(finding) for finding in verdict.findings]
    sign = 1.0 if plan.certificate["sense"] == "maximise" else -1.0
    assert verdict.bound_proven is not None
    assert sign * (verdict.bound_proven - plan.objective) >= -1e-6
