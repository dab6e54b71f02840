"""Two readings of one contract: what the optimizer plans for random tiny projects, the check accepts."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pandas as pd
import pytest
import tiny
from portions import slow_after

import omniopt as oo
from omniopt.audit.plan import COLUMNS
from omniopt.audit.verify import verify
from omniopt.errors import Infeasible
from omniopt.tables import write_parquet


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


@pytest.mark.parametrize("number", slow_after(12, 32))
def test_the_check_accepts_what_the_optimizer_plans(number: int, tmp_path: Path) -> None:
    assert_accepted(number, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(8))
def test_the_check_accepts_hundreds_of_plans(hundred: int, tmp_path: Path) -> None:
    for number in range(100 * hundred + 32, 100 * hundred + 132):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert_accepted(number, folder, solver="exact" if number % 3 == 0 else "auto")


@pytest.mark.parametrize("ten", slow_after(1, 4))
def test_any_choice_is_judged_as_brute_force_judges_it(ten: int, tmp_path: Path) -> None:
    """Good and bad choices alike: whether they keep the rules, and what they are worth."""
    for number in range(10 * ten, 10 * ten + 10):
        case, random = tiny.make(Random(number)), Random(number)
        project, reference = case.project(), case.reference()
        fitting = [[list(plan) for plan in plans] for plans in reference.unit_plans]
        for trial in range(4):
            chosen = [j for j in range(len(reference.alive)) if random.random() < 0.4]
            if trial and all(fitting):
                chosen = sorted(j for plans in fitting for j in random.choice(plans))
            write(tmp_path, case, [reference.alive[j].key for j in chosen])
            verdict = verify(tmp_path, project)
            said = [str(finding) for finding in verdict.findings]
            assert not any("could not be checked" in words for words in said), said
            broken = [words for words in said if "broken" in words or "is locked" in words]
            assert (not broken) == reference.keeps_all(chosen), (number, chosen, broken)
            assert verdict.objective == pytest.approx(reference.value(chosen))


def write(folder: Path, case: tiny.Case, chosen: list[tuple]) -> None:
    """A plan that names its contacts and no more, and a certificate that says nothing of the rules."""
    frame = pd.DataFrame([dict.fromkeys(COLUMNS) for _ in chosen], columns=list(COLUMNS))
    frame[["customer_id", "action_id"]] = pd.DataFrame(
        chosen, columns=["customer_id", "action_id"], dtype="str"
    )
    numbers = ["value", "cost", "response", "objective", "advantage"]
    write_parquet(frame.astype(dict.fromkeys(numbers, float)), folder / "plan.parquet")
    changes = {key: getattr(case, key) for key in ("vetoes", "locks") if getattr(case, key)}
    (folder / "certificate.json").write_text(
        json.dumps({"status": "optimal", "solver": "exact", "rules": [], "changes": changes})
    )
