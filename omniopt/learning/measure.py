"""What contacts changed: customers who could be contacted against those who were held out at random.

Every customer counts in the arm that chance put them in, contacted or not (intention to treat): that is what
makes the arms comparable. The difference is taken within strata and averaged over them (post-stratification;
Miratrix, Sekhon and Yu 2013, J. R. Stat. Soc. B 75, 369-396). Where households went into an arm as a whole,
they count as one draw (cluster-robust variance; Liang and Zeger 1986, Biometrika 73, 13-22).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t

#: Fewer customers than this in an arm are not compared.
FEWEST = 10
USUAL = float(norm.isf(0.025))
#: What is compared: the share of customers who responded; money is value less the cost of the contacts.
METRICS = ("response", "money")


@dataclass(frozen=True)
class Arms:
    """Customers who were put at random into one of two arms.

    Attributes
    ----------
    customer_id : pandas.Index
        One row per customer.
    treated : ndarray of bool, shape (customers,)
        Who could be contacted; the others were held out.
    stratum : ndarray of str, shape (customers,)
        Within which they were drawn, or are compared.
    weight : ndarray of float, shape (customers,)
        One over the probability of the customer's arm.
    cluster : ndarray of int, shape (customers,), or None
        Customers of one number were drawn together; None where each was drawn alone.
    """

    customer_id: pd.Index
    treated: np.ndarray
    stratum: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray | None = None

    def only(self, which: np.ndarray) -> Arms:
        """Return the arms with some of the customers (a mask) alone."""
        cluster = None if self.cluster is None else self.cluster[which]
        parts = (self.treated[which], self.stratum[which], self.weight[which])
        return Arms(self.customer_id[which], *parts, cluster)


def arms_of(experiment: pd.DataFrame, offer: str = "", household: pd.Series | None = None) -> Arms:
    """Return the arms of an experiment, of all offers or of one.

    Parameters
    ----------
    experiment : pandas.DataFrame
        customer_id, offer_id (empty: all offers), arm (treated, control, explored), probability, stratum.
    offer : str
        Whose own control group; empty for that of all offers. From an offer's arms customers are left out
        who were held out from all offers or given a contact at random.
    household : pandas.Series, optional
        Household of each customer, by customer_id. If nobody's household is in both arms, households are
        taken to have been drawn as a whole.
    """
    scope, arm = experiment["offer_id"], experiment["arm"]
    everything = scope.isna() | (scope == "")
    rows = experiment[((scope == offer) if offer else everything) & arm.isin(["treated", "control"])]
    if offer:
        elsewhere = experiment.loc[everything & (arm != "treated"), "customer_id"]
        rows = rows[~rows["customer_id"].isin(elsewhere)]
    rows = rows.sort_values("customer_id")
    treated = (rows["arm"] == "treated").to_numpy()
    cluster = None
    if household is not None and len(rows):
        home = rows["customer_id"].map(household)
        code = pd.factorize(home.fillna("customer " + rows["customer_id"]))[0]
        share = np.bincount(code, treated) / np.bincount(code)
        cluster = code if np.isin(share, (0.0, 1.0)).all() else None
    stratum = rows["stratum"].astype("str").fillna("").to_numpy(object)
    weight = 1 / rows["probability"].to_numpy(float)
    return Arms(pd.Index(rows["customer_id"]), treated, stratum, weight, cluster)


def difference(y: np.ndarray, arms: Arms, z: float = USUAL) -> dict[str, float]:
    """Compare the mean of the treated with that of the control group.

    Parameters
    ----------
    y : ndarray of float, shape (customers,)
        What is compared.
    arms : Arms
        Strata with fewer than ten customers in an arm are taken together.
    z : float
        How many standard errors the interval reaches to each side; 1.96 for 95 % at the planned end, more
        before it (`omniopt.learning.looks`).

    Returns
    -------
    dict
        ``treated``, ``control`` (customers), ``mean_treated``, ``mean_control``, ``effect`` per customer with
        its ``error`` and the interval ``low`` to ``high``; ``total`` and its interval for the treated
        customers, and ``p`` (below 0.05 exactly where the interval leaves out 0). NaN where an arm has fewer
        than ten customers.
    """
    counts = {"treated": int(arms.treated.sum()), "control": int((~arms.treated).sum())}
    if min(counts.values()) < FEWEST:
        names = "mean_treated mean_control effect error low high total total_low total_high p".split()
        return {**counts, **dict.fromkeys(names, float("nan"))}
    stratum = _large_enough(arms)
    cell = 2 * stratum + arms.treated
    cells = 2 * int(stratum.max()) + 2
    mean, variance, third, draws = _cells(np.asarray(y, float), arms, cell, cells)
    share = np.bincount(stratum) / len(stratum)
    control, treated = (float(share @ mean[arm::2]) for arm in (0, 1))
    effect, weight = treated - control, np.repeat(share, 2)
    parts = weight**2 * variance
    error = float(np.sqrt(parts.sum()))
    # Welch 1938, Biometrika 29, 350-362, and Satterthwaite 1946, Biometrics Bulletin 2, 110-114.
    freedom = parts.sum() ** 2 / max((parts**2 / np.maximum(draws - 1, 1)).sum(), 1e-300) if error else 1e9
    side = np.tile([-1.0, 1.0], cells // 2)
    skewness = float((side * weight**3 * third).sum() / error**3) if error else 0.0
    reach = float(t.isf(norm.sf(z), freedom))
    low, high = (effect - error * _unskewed(end, skewness) for end in (reach, -reach))
    # On the normal's scale, so that p is below 0.05 exactly where the interval leaves out 0.
    at = abs(_skewed(effect / error, skewness)) if error else np.inf * (effect != 0)
    score = norm.isf(t.sf(at, freedom))
    p = 2 * norm.sf(score * USUAL / z) if score > 0 else 1.0
    n = counts["treated"]
    return {
        **counts,
        "mean_treated": treated,
        "mean_control": control,
        "effect": effect,
        "error": error,
        "low": low,
        "high": high,
        "total": effect * n,
        "total_low": low * n,
        "total_high": high * n,
        "p": float(p),
    }


def _skewed(score: float, skewness: float) -> float:
    """Make a studentised mean of skewed values nearly normal (Hall 1992, J. R. Stat. Soc. B 54, 221-228).

    Money is skewed: few spend much. Then means that are too low come with standard errors that are too
    small. For the difference of two means: Zhou and Dinh 2005, Biostatistics 6, 187-200.
    """
    if abs(skewness) < 1e-9:
        return score
    return float(((1 + skewness * score / 3) ** 3 - 1) / skewness + skewness / 6)


def _unskewed(score: float, skewness: float) -> float:
    """Undo `_skewed`."""
    if abs(skewness) < 1e-9:
        return score
    return float(3 / skewness * (np.cbrt(1 + skewness * (score - skewness / 6)) - 1))


def _large_enough(arms: Arms) -> np.ndarray:
    """Number the strata; those with too few customers in an arm are one, or join the largest."""
    code = pd.factorize(arms.stratum, sort=True)[0]
    counts = np.stack([np.bincount(code, arms.treated == side) for side in (False, True)]).min(0)
    small = np.flatnonzero(counts < FEWEST)
    pooled = np.stack([np.bincount(code, arms.treated == side)[small].sum() for side in (False, True)]).min()
    to = small[0] if pooled >= FEWEST else int(np.argmax(counts))
    code = np.where(np.isin(code, small), to, code) if len(small) else code
    return np.unique(code, return_inverse=True)[1]


def _cells(
    y: np.ndarray, arms: Arms, cell: np.ndarray, cells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each cell's weighted mean, that mean's variance and third moment, and the number of draws."""
    weight = np.bincount(cell, arms.weight, cells)
    mean = np.bincount(cell, arms.weight * y, cells) / weight
    of, residual = cell, arms.weight * (y - mean[cell])
    if arms.cluster is not None:
        width = int(arms.cluster.max()) + 1
        pair, draw = np.unique(cell.astype(np.int64) * width + arms.cluster, return_inverse=True)
        of, residual = pair // width, np.bincount(draw, residual)
    draws = np.bincount(of, minlength=cells)
    more = draws / np.maximum(draws - 1, 1)
    variance = np.bincount(of, residual**2, cells) / weight**2 * more
    third = np.bincount(of, residual**3, cells) / weight**3 * more * draws / np.maximum(draws - 2, 1)
    if np.isin(y, (0.0, 1.0)).all():
        # Where hardly anybody responded, the observed variance is too small: as if one more customer had
        # responded in each arm, and one had not (Agresti and Caffo 2000, American Statistician 54, 280-288).
        size, one = np.bincount(cell, minlength=cells), 2 / cells
        rate = (np.bincount(cell, y, cells) + one) / (size + 2 * one)
        variance = np.maximum(variance, rate * (1 - rate) / size)
    return mean, variance, third, draws


def effects(
    experiment: pd.DataFrame,
    outcomes: pd.DataFrame,
    contacts: pd.DataFrame,
    offers: pd.DataFrame | None = None,
    customers: pd.DataFrame | None = None,
    by: tuple[str, ...] = (),
    z: float = USUAL,
) -> pd.DataFrame:
    """Measure what a plan changed, in all and part by part.

    Parameters
    ----------
    experiment : pandas.DataFrame
        As for `arms_of`.
    outcomes : pandas.DataFrame
        What customers did in the measured days, contacted or not, as `omniopt.learning.outcomes.checked`
        returns it.
    contacts : pandas.DataFrame
        customer_id, offer_id, channel, cost: the plan.
    offers : pandas.DataFrame, optional
        offer_id and business_unit.
    customers : pandas.DataFrame, optional
        customer_id, household_id if households were drawn as a whole, and the columns in `by`.
    by : tuple of str
        Columns of customers whose values are segments, besides the experiment's strata.
    z : float
        As in `difference`.

    Returns
    -------
    pandas.DataFrame
        One row per comparison: ``scope`` (all, offer, channel, department, segment, or offer's own control),
        ``name``, ``metric`` (response or money), what `difference` returns, and ``p_adjusted``: p of each
        part allowing for the number of parts compared (Holm 1979, Scandinavian Journal of Statistics 6,
        65-70). Rows of an offer, a channel or a department are about responses recorded there, against the
        cost of its contacts; those of an offer's own control about responses to it, and all money. Money is
        left out where outcomes have no values.
    """
    household = None
    if customers is not None and "household_id" in customers:
        household = customers.set_index("customer_id")["household_id"]
    rows: list[dict[str, object]] = []
    responses, contacts = _with_units(outcomes, offers), _with_units(contacts, offers)
    responses = responses[responses["outcome"] == "responded"]
    all_offers = arms_of(experiment, "", household)
    if len(all_offers.customer_id):
        for scope, name, mine, costs in _parts(responses, contacts):
            rows += _compared(scope, name, all_offers, mine, costs, z)
        for name, arms in _segments(all_offers, customers, by):
            rows += _compared("segment", name, arms, responses, contacts, z)
    for offer in sorted(set(experiment["offer_id"].dropna().unique()) - {""}):
        arms = arms_of(experiment, offer, household)
        own = responses[responses["offer_id"] == offer]
        rows += _compared("offer's own control", offer, arms, own, contacts, z, money=responses)
    made = pd.DataFrame(rows)
    return made.assign(p_adjusted=_holm(made["p"], made["scope"] != "all")) if len(made) else made


def _with_units(rows: pd.DataFrame, offers: pd.DataFrame | None) -> pd.DataFrame:
    if offers is None or "business_unit" not in offers:
        return rows
    return rows.assign(department=rows["offer_id"].map(offers.set_index("offer_id")["business_unit"]))


def _parts(
    responses: pd.DataFrame, contacts: pd.DataFrame
) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """Yield everything, then each offer, channel and department of the plan and of the outcomes."""
    yield "all", "all", responses, contacts
    for scope, column in (("offer", "offer_id"), ("channel", "channel"), ("department", "department")):
        if column not in contacts:
            continue
        names = sorted({*contacts[column].dropna(), *responses[column].dropna()})
        for name in names:
            yield scope, str(name), responses[responses[column] == name], contacts[contacts[column] == name]


def _segments(arms: Arms, customers: pd.DataFrame | None, by: tuple[str, ...]) -> Iterator[tuple[str, Arms]]:
    names = np.unique(arms.stratum.astype(str))
    for name in names if len(names) > 1 else ():
        yield str(name), arms.only(arms.stratum == name)
    for column in by:
        assert customers is not None  # the caller has looked
        values = arms.customer_id.map(customers.set_index("customer_id")[column])
        for value in sorted(values.dropna().unique()):
            yield f"{column}: {value}", arms.only(np.asarray(values == value, bool))


def _compared(
    scope: str, name: str, arms: Arms, responses: pd.DataFrame, contacts: pd.DataFrame, z: float,
    money: pd.DataFrame | None = None,
) -> list[dict[str, object]]:  # fmt: skip
    """Compare the arms in both metrics; `money` are the rows whose values count, if not the responses."""
    money = responses if money is None else money
    size = len(arms.customer_id)

    def summed(rows: pd.DataFrame, column: str | None) -> np.ndarray:
        at = arms.customer_id.get_indexer(pd.Index(rows["customer_id"]))
        known = at >= 0
        what = None if column is None else rows[column].fillna(0).to_numpy(float)[known]
        return np.bincount(at[known], what, size).astype(float)

    told = {"scope": scope, "name": name}
    found = [{**told, "metric": "response", **difference(np.minimum(summed(responses, None), 1), arms, z)}]
    if "value" in money:
        earned = summed(money, "value") - np.where(arms.treated, summed(contacts, "cost"), 0.0)
        found.append({**told, "metric": "money", **difference(earned, arms, z)})
    return found


def _holm(p: pd.Series, part: pd.Series) -> np.ndarray:
    """Adjust p of the parts for their number; that of the whole is one question, and stays."""
    adjusted = p.to_numpy(float).copy()
    which = np.flatnonzero(part.to_numpy(bool) & p.notna().to_numpy())
    order = which[np.argsort(adjusted[which], kind="stable")]
    adjusted[order] = np.minimum(np.maximum.accumulate(adjusted[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def compared(effects: pd.DataFrame) -> int:
    """Count the comparisons for which ``p_adjusted`` allows."""
    return int((effects["p"].notna() & (effects["scope"] != "all")).sum()) if len(effects) else 0


def split_as_planned(experiment: pd.DataFrame) -> float:
    """Return how probable it is that a split at least as uneven came about by chance.

    Below 0.001 something other than chance had a part in who was held out, or in who is still in the table:
    nothing can be measured before that is found (sample ratio mismatch; Fabijan et al. 2019, KDD, 2156-2164).
    """
    arms = arms_of(experiment)
    if not len(arms.treated):
        return 1.0
    cell = pd.factorize(arms.stratum, sort=True)[0]
    n = np.bincount(cell)
    chance = [
        np.bincount(cell, side / arms.weight) / np.maximum(np.bincount(cell, side), 1)
        for side in (~arms.treated, arms.treated)
    ]
    share = np.divide(chance[0], chance[0] + chance[1], out=np.zeros(len(n)), where=chance[0] + chance[1] > 0)
    spread = float((n * share * (1 - share)).sum())
    off = float((~arms.treated).sum() - (n * share).sum())
    return float(2 * norm.sf(abs(off) / np.sqrt(spread))) if spread > 0 else 1.0
