"""Plans that count uplift and annoyance, of random projects: both solvers and the check agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
import yaml

import omniopt as oo
from omniopt.audit import verify


def with_annoyance(root: Path, seed: int) -> oo.Project:
    """A world with scores, to which uplift, unsubscriptions and what they cost are added."""
    file = worlds.make(root, 2 * seed + 1)
    rng = np.random.default_rng(seed)
    scores = pd.read_csv(root / "scores.csv")
    scores.assign(uplift=rng.uniform(-0.2, 0.5, len(scores)).round(3)).to_csv(
        root / "scores.csv", index=False
    )
    past = pd.read_csv(root / "history.csv")
    known = past["outcome"].notna() & (rng.random(len(past)) < 0.5)
    known.iloc[:1] = past["outcome"].iloc[:1].notna()
    past.loc[known, "outcome"] = "unsubscribed"
    customers = pd.read_csv(root / "customers.csv")
    customers["worth"] = rng.integers(0, 200, len(customers))
    customers.to_csv(root / "customers.csv", index=False)
    past.to_csv(root / "history.csv", index=False)
    project = yaml.safe_load(file.read_text())
    project["annoyance"] = {"loss": "customer.worth", "days": int(rng.integers(1, 40))}
    project["policy"]["objective"] = "incremental_value - 0.5 * cost - annoyance"
    file.write_text(yaml.safe_dump(project, sort_keys=False))
    return oo.Project.load(file)


@pytest.mark.parametrize("seed", range(8))
def test_both_solvers_and_the_check_agree(tmp_path: Path, seed: int) -> None:
    project = with_annoyance(tmp_path, seed)
    plans = []
    for solver in ("exact", "decomposed"):
        plans.append(oo.optimize(project, solver=solver, gap=0.0))
        plans[-1].save(tmp_path / solver)
        result = verify(tmp_path / solver)
        assert result.ok, str(result)
    assert plans[0].objective == pytest.approx(plans[1].objective)
    assert plans[0].contacts.empty or "annoyance" in plans[0].contacts
