"""Randomised experiments: who was treated and who was left out by chance, and what became of both.

A difference between treated and untreated customers is the effect of the treatment only if chance decided who
was treated. `trials` joins arms and outcomes, and refuses where that is not so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from omniopt.errors import Fault, Faults
from omniopt.knowledge.features import MOST_VALUES, NOT_ATTRIBUTES, PAST
from omniopt.knowledge.profile import NOT_RECEIVED, RESPONSE, CustomerPast, contacts_of, customers_of
from omniopt.knowledge.qini import Arms
from omniopt.tables import CONTRACT, Tables

#: Each arm needs so many customers who responded, and so many who did not.
FEWEST = 5
#: Arms that differ so much would come about by chance once in a thousand experiments.
SIGNIFICANT = 0.001
#: Share of the treated who have to be contacted, and of the controls who must not be.
KEPT = 0.95

# Makes a fault of a message and a hint.
Teller = Callable[[str, str], Fault]
_WHY = "Without a random control group a difference is not uplift: those contacted had been chosen"


@dataclass(frozen=True)
class Trial:
    """One treatment against its controls.

    Attributes
    ----------
    offer_id : str
    channel : str or None
        None where the experiment does not tell channels apart.
    rows : DataFrame
        One per customer and experiment, sorted: customer_id, date, treated, probability, response.
    covariates : DataFrame
        What was known of each customer on the experiment's first day.
    of_today : list of str
        Covariates that are known only as they are now.
    """

    offer_id: str
    channel: str | None
    rows: pd.DataFrame
    covariates: pd.DataFrame
    of_today: list[str]

    @property
    def name(self) -> str:
        """How to call it in a message."""
        return f"offer {self.offer_id}" + (f" on {self.channel}" if self.channel else "")

    @property
    def arms(self) -> Arms:
        """The rows as arrays."""
        rows = self.rows
        return Arms(
            rows["treated"].to_numpy(bool), rows["response"].to_numpy(bool),
            1.0 / rows["probability"].to_numpy(float), pd.factorize(rows["customer_id"])[0].astype(np.int64),
        )  # fmt: skip


def trials(tables: Tables) -> list[Trial]:
    """Return every treatment that was compared with a random control group.

    An offer's controls are those of its own; where it has none, those left out of all offers. Customers
    responded if the table ``outcomes`` has a response of theirs, to the offer or to none in particular, from
    the experiment's first day until the next one they are in. Nothing on or after the horizon's first day
    counts.

    Parameters
    ----------
    tables : Tables
        ``experiments``, and ``outcomes`` among the further tables; customers and history describe them.

    Returns
    -------
    list of Trial
        By offer and channel.

    Raises
    ------
    BadInput
        When the project has no experiment, or one that is none: nobody was left out, the arms were not
        drawn, they differ beyond chance, they were not kept to, or what became of the controls is not known.
    """
    drawn, outcomes = tables.experiments, tables.extra.get("outcomes")
    faults = Faults()
    if drawn is None or drawn.empty:
        hint = "Give an offer to a random part of the customers, and write a table of experiments"
        faults.add(f"there is no randomised experiment. {_WHY}", table="experiments", hint=hint)
    if outcomes is None or not {"customer_id", "date"} <= set(outcomes):
        message = "it is not known what became of those who were left out"
        hint = "Give a table of outcomes with customer_id and date, of all customers, contacted or not"
        faults.add(message, file=tables.files.get("outcomes"), table="outcomes", hint=hint)
    faults.raise_if_any()
    assert drawn is not None and outcomes is not None
    drawn, outcomes = (frame[(frame["date"] < 1).to_numpy(bool)] for frame in (drawn, outcomes))
    drawn = drawn.reindex(columns=[*dict.fromkeys([*CONTRACT["experiments"].columns, *drawn.columns])])
    treated = drawn[(drawn["arm"] != "control") & drawn["offer_id"].notna()]
    if treated.empty:
        message = (
            "no treated row names an offer: arms of all offers tell what a whole plan changes, not what a "
            "contact does"
        )
        hint = "Write which offer the treated customers got"
        faults.add(message, file=tables.files.get("experiments"), table="experiments", column="offer_id",
                   hint=hint)  # fmt: skip
    found = []
    for offer, channel in sorted(_cells(treated), key=lambda cell: (cell[0], cell[1] or "")):
        mine = treated[treated["offer_id"] == offer]
        mine = mine[mine["channel"].isna() if channel is None else mine["channel"] == channel]
        found.append(_trial(tables, mine, _controls(drawn, offer), outcomes, (offer, channel)))
    for trial in found:
        faults.extend(doubts(trial, tables))
    faults.raise_if_any()
    return found


def _cells(treated: pd.DataFrame) -> set[tuple[str, str | None]]:
    cells = treated[["offer_id", "channel"]].drop_duplicates().astype(object)
    return {(o, None if pd.isna(c) else c) for o, c in cells.itertuples(index=False)}


def _controls(drawn: pd.DataFrame, offer: str) -> pd.DataFrame:
    control = drawn[drawn["arm"] == "control"]
    own = control[control["offer_id"] == offer]
    return own if len(own) else control[control["offer_id"].isna()]


def _trial(
    tables: Tables, treated: pd.DataFrame, control: pd.DataFrame, outcomes: pd.DataFrame,
    cell: tuple[str, str | None],
) -> Trial:  # fmt: skip
    rows = pd.concat([treated.assign(treated=True), control.assign(treated=False)])
    rows = rows.sort_values(["customer_id", "date", "treated", "run_id"], ignore_index=True)
    rows["date"] = rows["date"].astype(np.int64)
    rows["response"] = _responded(rows, outcomes, cell[0])
    covariates, of_today = _covariates(tables, rows)
    kept = ["customer_id", "date", "treated", "probability", "response"]
    return Trial(*cell, rows[kept], covariates, of_today)


def _responded(rows: pd.DataFrame, outcomes: pd.DataFrame, offer: str) -> np.ndarray:
    """Mark who responded: each outcome belongs to its customer's latest experiment up to that day."""
    answers = outcomes
    if "outcome" in answers:  # else every row is a response
        answers = answers[(answers["outcome"] == RESPONSE).to_numpy(bool)]
    if "offer_id" in answers:
        answers = answers[(answers["offer_id"].isna() | (answers["offer_id"] == offer)).to_numpy(bool)]
    if rows.empty or answers.empty:
        return np.zeros(len(rows), bool)
    left = answers[["customer_id", "date", *(["run_id"] if "run_id" in answers else [])]]
    left = left.assign(date=left["date"].astype(np.int64)).sort_values("date", kind="stable")
    right = rows[["customer_id", "date", "run_id"]].assign(row=np.arange(len(rows)))
    right = right.sort_values("date", kind="stable")
    joined = pd.merge_asof(left, right, on="date", by="customer_id", suffixes=("_said", ""))
    if "run_id_said" in joined:
        joined = joined[joined["run_id_said"].isna() | joined["run_id"].isna()
                        | (joined["run_id_said"] == joined["run_id"])]  # fmt: skip
    hit = np.zeros(len(rows), bool)
    hit[joined["row"].dropna().to_numpy(np.int64)] = True
    return hit


def covariate_names(tables: Tables) -> list[str]:
    """Return the customers' attributes that describe what they are like, sorted."""
    customers = tables.customers
    if customers is None:
        return []
    return [
        name for name in sorted(set(customers.columns) - set(NOT_ATTRIBUTES))
        if pd.api.types.is_numeric_dtype(customers[name]) or customers[name].nunique() <= MOST_VALUES
    ]  # fmt: skip


def describe(tables: Tables, customer_id: pd.Series, day: np.ndarray) -> pd.DataFrame:
    """Return attributes of customers, and their past as it was known before a day.

    Returns
    -------
    DataFrame
        One row for each; numbers are float64, all else is text. A past measure is called ``past.<name>``.
    """
    contacts = contacts_of(tables)
    customers = customers_of(tables, contacts)
    past = CustomerPast(contacts, customers).at(customers.get_indexer(customer_id).astype(np.int64), day)
    found = past[list(PAST)].add_prefix("past.")
    if tables.customers is not None:
        known = tables.customers.set_index("customer_id")[covariate_names(tables)].reindex(customer_id)
        for name in known:
            found[name] = _plain(known[name]).to_numpy()
    return found


def _plain(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype("Float64").astype(float)
    return column.astype("str")


def _covariates(tables: Tables, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Describe customers on the first day; what the experiments hold themselves comes first."""
    found = describe(tables, rows["customer_id"], rows["date"].to_numpy())
    names = covariate_names(tables)
    own = [name for name in names if name in rows and name not in CONTRACT["experiments"].columns]
    for name in own:
        found[name] = _plain(rows[name]).to_numpy()
    return found, [name for name in names if name not in own]


# ---- whether chance decided


def doubts(trial: Trial, tables: Tables) -> list[Fault]:
    """Return why a difference between the arms would not be uplift; nothing, if it would be."""
    rows, t = trial.rows, trial.rows["treated"].to_numpy(bool)
    file = tables.files.get("experiments")

    def fault(message: str, hint: str, column: str = "arm") -> Fault:
        return Fault(f"{trial.name}: {message}", file=file, table="experiments", column=column, hint=hint)

    if not t.any() or t.all():
        return [fault(f"nobody was left out of it at random. {_WHY}", "Add the rows of its control group")]
    p = rows["probability"].to_numpy(float)
    if (p >= 1).any():
        message = f"{(p >= 1).sum()} customers came into their arm for certain: nothing was drawn"
        return [fault(message, "Write the probability of the arm, or leave these out", "probability")]
    twice = rows.duplicated(["customer_id", "date"]).to_numpy(bool)
    if twice.any():
        who = rows["customer_id"][twice].iloc[0]
        return [fault(f"customer {who} stands in two rows of one day", "Keep one of them", "customer_id")]
    return _not_kept(trial, tables, fault) + _too_few(trial, fault) + _unbalanced(trial, fault)


def _too_few(trial: Trial, fault: Teller) -> list[Fault]:
    t, y = trial.arms.treated, trial.arms.response
    least = min((y & t).sum(), (~y & t).sum(), (y & ~t).sum(), (~y & ~t).sum())
    if least >= FEWEST:
        return []
    message = (
        f"{(y & t).sum()} of {t.sum()} treated and {(y & ~t).sum()} of {(~t).sum()} control customers "
        f"responded; each arm needs {FEWEST} who did and {FEWEST} who did not"
    )
    hint = "Wait for more outcomes; those of the controls have to be in the table outcomes as well"
    return [fault(message, hint)]


def _not_kept(trial: Trial, tables: Tables, fault: Teller) -> list[Fault]:
    """Compare the arms with the contacts in history, as far as it has any since the first day."""
    history = tables.history
    if history is None or "outcome" not in history:
        return []
    mine = (history["offer_id"] == trial.offer_id) & history["outcome"].notna()
    mine &= history["outcome"] != NOT_RECEIVED
    if trial.channel is not None:
        mine &= history["channel"] == trial.channel
    last = history[mine.to_numpy(bool)].groupby("customer_id")["date"].max()
    contacted = (trial.rows["customer_id"].map(last) >= trial.rows["date"]).to_numpy(bool)
    t = trial.rows["treated"].to_numpy(bool)
    if not contacted.any():
        return []
    share, wrong = contacted[t].mean(), contacted[~t].mean()
    hint = "Name as treated only customers who were drawn to be contacted, and were"
    found = []
    if share < KEPT:
        message = (
            f"only {share:.0%} of the treated were contacted, so the arms do not tell what a contact does"
        )
        found.append(fault(message, hint))
    if wrong > 1 - KEPT:
        message = f"{wrong:.0%} of the control customers were contacted with it, so they are no controls"
        found.append(fault(message, hint))
    return found


def _unbalanced(trial: Trial, fault: Teller) -> list[Fault]:
    tested = balance(trial.covariates, trial.arms)
    if tested.p_value >= SIGNIFICANT:
        return []
    worst = tested.covariates.iloc[:3]
    named = ", ".join(f"{c.covariate} ({c.treated:.3g} against {c.control:.3g})" for c in worst.itertuples())
    chance = f"{tested.p_value:.1g}" if tested.p_value > 0 else "0"
    message = (
        f"the arms differ in what was known of the customers before, beyond chance (p = {chance}): {named}. "
        "So chance did not decide who was treated, and the difference is not uplift"
    )
    hint = "Check how the arms were drawn and which customers are missing from the table"
    if trial.of_today:
        hint += (
            f". Known only as they are today, and perhaps changed by it: {', '.join(trial.of_today)}. "
            "Give these in the table as they were on the first day"
        )
    return [fault(message, hint)]


@dataclass(frozen=True)
class Balance:
    """How alike the arms were before the experiment.

    Attributes
    ----------
    p_value : float
        Chance that a random draw would have made the arms differ as much, all covariates taken together.
    covariates : DataFrame
        covariate, treated, control (weighted means; of text, the share of each value) and difference (in
        standard deviations), the largest first.
    """

    p_value: float
    covariates: pd.DataFrame


def balance(covariates: pd.DataFrame, arms: Arms) -> Balance:
    """Test whether the arms differ in what was known before, beyond what a random draw explains.

    The differences of the weighted means of all covariates are squared together, each by its variance and
    correlation with the others (the omnibus test of Hansen and Bowers 2008, Statistical Science 23, 219-236,
    with weights); under a random draw that is chi-square distributed.

    Parameters
    ----------
    covariates : DataFrame
        Numbers, and text of few values; missing ones count as a value of their own.
    arms : Arms

    Returns
    -------
    Balance
    """
    table = _numbers(covariates)
    x = table.to_numpy(float)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    means, spreads = [], np.zeros((x.shape[1], x.shape[1]))
    for mine in (arms.treated, ~arms.treated):
        w = arms.weight[mine] / arms.weight[mine].sum()
        means.append(w @ x[mine])
        away = (x[mine] - means[-1]) * w[:, None]
        spreads += away.T @ away
    gap = means[0] - means[1]
    values, vectors = np.linalg.eigh(spreads)
    kept = values > 1e-10 * max(values.max(initial=0.0), 1e-300)
    statistic = float((np.square(vectors[:, kept].T @ gap) / values[kept]).sum())
    told = pd.DataFrame({
        "covariate": table.columns,
        "treated": np.average(table[arms.treated], axis=0, weights=arms.weight[arms.treated]),
        "control": np.average(table[~arms.treated], axis=0, weights=arms.weight[~arms.treated]),
        "difference": gap,
    })  # fmt: skip
    order = np.argsort(-np.abs(gap), kind="stable")
    p_value = float(chi2.sf(statistic, kept.sum())) if kept.any() else 1.0
    return Balance(p_value, told.iloc[order].reset_index(drop=True))


def _numbers(covariates: pd.DataFrame) -> pd.DataFrame:
    """Turn covariates into numbers: text into indicators, what is missing into a mark of its own."""
    found: dict[str, np.ndarray] = {}
    for name, column in covariates.items():
        missing = column.isna().to_numpy(bool)
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(float)
            found[str(name)] = np.where(missing, values[~missing].mean() if (~missing).any() else 0.0, values)
        else:
            # all values but one tell the last
            for word in sorted(column[~missing].unique())[:-1]:
                found[f"{name} = {word}"] = (column == word).to_numpy(float)
        if missing.any() and not missing.all():
            found[f"{name} missing"] = missing.astype(float)
    varied = {name: values for name, values in found.items() if np.ptp(values) > 0}
    return pd.DataFrame(varied, index=covariates.index)
