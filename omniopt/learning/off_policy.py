"""What a plan that was not run would have brought, from contacts that were drawn at random.

Some customers got one contact drawn from all that were possible for them, with a probability that was kept.
Where a draw fell on a contact of the plan in question, it shows what that contact brings. Each such draw
counts one over its probability, so that contacts which were rarely drawn are not missing (inverse propensity
scoring, self-normalised; Swaminathan and Joachims 2015, NeurIPS 28). The doubly robust estimate begins with
what the plan itself predicts and corrects it by the draws (Dudik, Langford and Li 2011, ICML, 1097-1104).

Contacts are taken to add up, as they do in a plan's objective: what two of them bring together is the sum of
what each brings alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t

from omniopt.errors import BadInput, Fault

#: Fewer draws on the plan's contacts, counted by their effective number, or responses to them, say nothing.
FEWEST, RESPONSES = 50, 10
#: Share of the plan's contacts that draws must have been able to fall on.
OVERLAP = 0.95
_KEY = ["customer_id", "action_id"]
_HINT = "Give the policy a learning.explore share, and measure again after a run with it"
_MORE = "Explore with a larger share, or for longer"


def off_policy(draws: pd.DataFrame, plan: pd.DataFrame, possible: pd.DataFrame | None = None) -> pd.DataFrame:
    """Estimate what a plan would have brought.

    With draws i, each of probability q_i, of which those on a contact of the plan have weight w_i = 1/q_i and
    the others 0, C contacts in the plan, outcomes y and predictions f:

    - by inverse propensity: C · Σ w y / Σ w
    - doubly robust: Σ f over the plan + C · Σ w (y − f) / Σ w
    - effective number of draws: (Σ w)² / Σ w² (Kish 1965)

    Parameters
    ----------
    draws : pandas.DataFrame
        One row per customer with a contact at random: customer_id, action_id, probability; what came of it,
        ``response`` and ``money``; and what was predicted, ``predicted_response``, ``predicted_money``.
    plan : pandas.DataFrame
        The plan that was not run: customer_id, action_id, ``predicted_response``, ``predicted_money``.
    possible : pandas.DataFrame, optional
        customer_id and action_id of every contact that could have been drawn. Without it the draws' weights
        alone tell whether the plan's contacts could.

    Returns
    -------
    pandas.DataFrame
        For response and money: ``predicted`` by the plan, ``ips`` and ``dr`` with the ends of their 95 %
        intervals; ``contacts`` of the plan, ``draws``, ``matched`` (draws on its contacts), ``effective``
        (their effective number) and ``overlap`` (share of its contacts that could have been drawn).

    Raises
    ------
    BadInput
        When nothing was drawn at random, a probability is not above 0 and at most 1, or draws cannot speak
        for the plan: it has contacts that could not be drawn, or too few that were.
    """
    _check(draws)
    plan = plan.assign(contact=np.arange(len(plan)))
    mine = plan[plan["customer_id"].isin(draws["customer_id"])]
    hit = pd.MultiIndex.from_frame(draws[_KEY]).isin(pd.MultiIndex.from_frame(mine[_KEY]))
    weight = np.where(hit, 1 / draws["probability"].to_numpy(float), 0.0)
    effective = float(weight.sum() ** 2 / max((weight**2).sum(), 1e-300))
    overlap = _overlap(mine, weight, draws, possible)
    if overlap < OVERLAP:
        share = f"only {overlap:.0%} of the plan's contacts could have been drawn; the others nobody knows"
        raise BadInput(Fault(f"overlap is missing: {share}", table="experiments", hint=_HINT))
    if effective < FEWEST:
        few = f"the draws on the plan's contacts count as {effective:.0f}; at least {FEWEST} are needed"
        raise BadInput(Fault(f"too little overlap: {few}", table="experiments", hint=_MORE))
    answered = int((draws["response"].to_numpy(float)[hit] > 0).sum())
    if answered < RESPONSES:
        few = (
            f"the draws on the plan's contacts brought {answered} responses; at least {RESPONSES} are needed"
        )
        raise BadInput(Fault(f"too few responses: {few}", table="experiments", hint=_MORE))
    told: dict[str, float | str] = {
        "contacts": len(plan),
        "draws": len(draws),
        "matched": int(hit.sum()),
        "effective": effective,
        "overlap": overlap,
    }
    rows = []
    for metric in ("response", "money"):
        y, f = (draws[name].to_numpy(float) for name in (metric, f"predicted_{metric}"))
        predicted = float(plan[f"predicted_{metric}"].sum())
        found: dict[str, float | str] = {"metric": metric, "predicted": predicted}
        for name, values, base in (("ips", y, 0.0), ("dr", y - f, predicted)):
            centre, reach = _weighted_mean(values, weight, effective)
            ends = (centre, centre - reach, centre + reach)
            keys = (name, f"{name}_low", f"{name}_high")
            found |= {key: base + len(plan) * end for key, end in zip(keys, ends, strict=True)}
        rows.append(found | told)
    return pd.DataFrame(rows)


def _check(draws: pd.DataFrame) -> None:
    if draws.empty:
        message = (
            "no contact was drawn at random: whatever the plan chose, nobody knows what else would bring"
        )
        raise BadInput(Fault(f"overlap is missing: {message}", table="experiments", hint=_HINT))
    q = draws["probability"].to_numpy(float)
    wrong = np.flatnonzero(~((q > 0) & (q <= 1)))
    if len(wrong):
        raise BadInput(
            Fault(f"{q[row]} is no probability", table="experiments", row=int(row) + 1, column="probability",
                  hint="Write a number above 0 and at most 1")
            for row in wrong[:20]
        )  # fmt: skip
    twice = draws["customer_id"].duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0]) + 1
        message = f"customer '{draws['customer_id'].iloc[row - 1]}' has two contacts at random"
        raise BadInput(Fault(message, table="experiments", row=row, column="customer_id"))


def _overlap(
    mine: pd.DataFrame, weight: np.ndarray, draws: pd.DataFrame, possible: pd.DataFrame | None
) -> float:
    """Return the share of the plan's contacts, with customers who got a draw, that a draw could fall on."""
    if mine.empty:
        return 0.0
    if possible is not None:
        could = pd.concat([possible[_KEY], draws[_KEY]])
        return float(pd.MultiIndex.from_frame(mine[_KEY]).isin(pd.MultiIndex.from_frame(could)).mean())
    # If all could be drawn, the weights' sum is the number of contacts, but for chance: four errors of it.
    slack = 4 * np.sqrt((weight**2).sum())
    return float(min((weight.sum() + slack) / len(mine), 1.0))


def _weighted_mean(values: np.ndarray, weight: np.ndarray, effective: float) -> tuple[float, float]:
    """Return the self-normalised mean, and how far its 95 % interval reaches (delta method)."""
    centre = float(weight @ values / weight.sum())
    error = np.sqrt((weight**2 * (values - centre) ** 2).sum()) / weight.sum()
    error *= np.sqrt(effective / (effective - 1))
    return centre, float(t.isf(0.025, effective - 1) * error)
