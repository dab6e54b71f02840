"""How much of a plan is owed to chance: what it is worth to a model that did not choose it, and what stays.

A plan takes the contacts with the highest scores, and so the overestimated ones. To see by how much, two
models learn from one half of the customers each. Each chooses a plan and says what it is worth; then the
other, which knows nothing of the first one's errors, says what that same plan is worth (cross-fitting;
Chernozhukov et al. 2018, Econometrics Journal 21, C1-C68). Models draw what they are not sure of to the mean,
the other one too: so its word is if anything too low, and the truth lies between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from omniopt.decisions.optimize import optimize
from omniopt.decisions.plan import Plan
from omniopt.decisions.problem import Problem, build_problem
from omniopt.knowledge.uncertain import half_scores, resampled
from omniopt.project import Project

#: Divisions into two halves, each of which makes two plans.
DIVISIONS = 2
#: Candidates up to which plans are made again and again.
MOST = 1_000_000


@dataclass(frozen=True)
class Stability:
    """What chance has to do with a plan.

    Attributes
    ----------
    rescored : pandas.DataFrame
        For each plan that a half of the customers chose: ``claimed``, its objective by the model that chose
        it, and ``rescored``, by the one that did not.
    kept : pandas.DataFrame
        One row per contact of the plan: customer_id, action_id, offer_id, channel, and of the plans made from
        half samples the share that has this very contact (``kept``), and the share that gives the customer
        the same offer, on whatever channel and day (``kept_offer``).
    again : pandas.DataFrame
        For each of those plans: ``contacts``, ``same`` (contacts that the plan has as well), ``same_offers``
        (contacts whose customer gets that offer in both) and ``objective``, by the scores it was chosen with.
    """

    rescored: pd.DataFrame
    kept: pd.DataFrame
    again: pd.DataFrame

    @property
    def optimism(self) -> float:
        """By how much a model claims more for the plan that it chose than another finds it worth, as a share.

        At most, and of plans chosen by half of the data: one chosen by all of it is less optimistic.
        """
        claimed, rescored = self.rescored["claimed"].sum(), self.rescored["rescored"].sum()
        return float((claimed - rescored) / max(abs(claimed), 1e-12))

    def as_dict(self) -> dict[str, Any]:
        """Return what the report says of it, as JSON can hold."""
        return {
            "optimism": self.optimism,
            "claimed": float(self.rescored["claimed"].mean()),
            "rescored": float(self.rescored["rescored"].mean()),
            "plans": len(self.again),
            "contacts": len(self.kept),
            "kept_always": int((self.kept["kept"] >= 1.0).sum()),
            "kept_mostly": int((self.kept["kept"] >= 0.5).sum()),
            "kept_share": float(self.kept["kept"].mean()) if len(self.kept) else 1.0,
            "kept_offer_share": float(self.kept["kept_offer"].mean()) if len(self.kept) else 1.0,
        }


def stability(project: Project, plan: Plan, resamples: int = 10, gap: float = 1e-3) -> Stability | None:
    """Make the plan again from halves of the history.

    Parameters
    ----------
    project : Project
        Whose scores are learnt from its history.
    plan : Plan
        What was chosen with the scores learnt from all of it.
    resamples : int
        Half samples; each costs a model and a solve. The re-scoring costs four of both besides.
    gap : float
        Relative gap of those solves.

    Returns
    -------
    Stability or None
        None where the project brings scores or candidates of its own, and beyond a million candidates.

    Raises
    ------
    BadInput
        When half of the history is too little to learn from.
    Infeasible
        When the scores of a half allow no plan, such as under a minimum of responses.
    """
    tables = project.read(coded=True)
    if tables.scores is not None or tables.brings_candidates or plan.certificate["candidates"] > MOST:
        return None
    seed = project.spec.seed
    rescored = [row for number in range(DIVISIONS) for row in _both_ways(project, seed, number, gap)]
    hits, offers, again = np.zeros(len(plan.contacts)), np.zeros(len(plan.contacts)), []
    for scores in resampled(tables, seed, resamples, project.spec.response):
        other = optimize(project, gap, scores=scores)
        same = _among(plan.contacts, other.contacts, "action_id")
        same_offer = _among(plan.contacts, other.contacts, "offer_id")
        hits += same
        offers += same_offer
        again.append((len(other.contacts), int(same.sum()), int(same_offer.sum()), other.objective))
    made = max(resamples, 1)
    names = ["customer_id", "action_id", "offer_id", "channel"]
    kept = plan.contacts[names].assign(kept=hits / made, kept_offer=offers / made)
    columns = ["contacts", "same", "same_offers", "objective"]
    return Stability(pd.DataFrame(rescored), kept, pd.DataFrame(again, columns=columns))


def _among(contacts: pd.DataFrame, others: pd.DataFrame, name: str) -> np.ndarray:
    """Mark the contacts whose customer has the same action, or offer, among others."""
    key = ["customer_id", name]
    return pd.MultiIndex.from_frame(contacts[key]).isin(pd.MultiIndex.from_frame(others[key]))


def _both_ways(project: Project, seed: int, number: int, gap: float) -> list[dict[str, float]]:
    """Let each of two halves choose a plan, and the other re-score it."""
    scores = half_scores(project.read(), seed, number, project.spec.response)
    problems = [build_problem(project, score) for score in scores]
    plans = [optimize(project, gap, scores=score) for score in scores]
    return [
        {"claimed": plan.objective, "rescored": worth(problems[1 - half], plan.contacts)}
        for half, plan in enumerate(plans)
    ]


def worth(problem: Problem, contacts: pd.DataFrame) -> float:
    """Return what contacts are worth by a problem's own scores, in the policy's sense.

    Parameters
    ----------
    problem : Problem
        Whose candidates hold all the contacts.
    contacts : pandas.DataFrame
        customer_id, action_id.
    """
    return problem.sign * problem.value(problem.places(contacts)) + 0.0
