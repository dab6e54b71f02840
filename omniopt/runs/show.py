"""What notebooks 01 to 03 show of customers, history, consents and scores: figures over all, nobody's own."""

from __future__ import annotations

import pandas as pd

from omniopt.project import Project
from omniopt.runs import figures
from omniopt.runs.html import Fragment, number, paragraph, percent, picture, side_by_side, table, tiles
from omniopt.tables import Tables

_CROWD = 5  # values that fewer customers have are not shown: they may tell who it is


def customers(tables: Tables, profile: pd.DataFrame | None) -> Fragment:
    """How many customers there are, and how much is known of them.

    Parameters
    ----------
    tables : Tables
        The project's tables.
    profile : DataFrame or None
        One row per customer, from `omniopt.knowledge.profile`; None where there is no history.
    """
    made = [("Customers", number(_how_many(tables)), "")]
    if profile is None:
        return Fragment(tiles(made) + paragraph("There is no history: nothing is known of earlier contacts."))
    made += [
        (
            "Contacted before",
            number((profile["contacts"] > 0).sum()),
            f"{number(profile['contacts'].sum())} contacts",
        ),
        (
            "Responded before",
            number((profile["responses"] > 0).sum()),
            f"{number(profile['responses'].sum())} responses",
        ),
    ]
    measures = profile.drop(columns="customer_id")
    summary = pd.DataFrame({
        "": measures.columns,
        "known of": measures.notna().sum().to_numpy(),
        "mean": measures.mean().to_numpy(),
        "median": measures.median().to_numpy(),
        "highest": measures.max().to_numpy(),
    })  # fmt: skip
    return Fragment(tiles(made) + table(summary))


def _how_many(tables: Tables) -> int:
    if tables.coded is not None and tables.customers is None:
        return len(tables.coded.customer_ids)
    known = tables.customers if tables.customers is not None else tables.candidates
    return 0 if known is None else known["customer_id"].nunique()


def attributes(tables: Tables) -> Fragment:
    """Which attributes the customers have, how often each is known, and what values occur."""
    frame = tables.customers
    if frame is None:
        return Fragment(paragraph("There is no table of customers: they are known by their ids alone."))
    rows = []
    for name in frame.columns.drop("customer_id"):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = f"{number(column.min())} to {number(column.max())}, median {number(column.median())}"
        else:
            counts = column.value_counts()
            common = counts[counts >= _CROWD].head(6)
            listed = [f"{value} ({percent(n / counts.sum(), 0)})" for value, n in common.items()]
            if len(counts) > len(common):
                listed.append(f"{number(len(counts) - len(common))} others")
            values = ", ".join(listed)
        rows.append((name, column.notna().mean(), values))
    made = pd.DataFrame(rows, columns=["attribute", "known", "values"])
    return Fragment(table(made, {"known": percent}) if rows else paragraph("Customers have no attributes."))


def history(tables: Tables) -> Fragment:
    """What happened before the planning date: contacts by outcome and channel."""
    past = tables.history
    if past is None or past.empty:
        return Fragment(paragraph("There is no history."))
    outcome = past["outcome"].fillna("not known") if "outcome" in past else pd.Series("not known", past.index)
    if "planned" in past:
        outcome = outcome.mask(past["planned"].fillna(False).astype(bool), "planned")
    drawn = [
        picture(_bars(values), caption)
        for values, caption in (
            (outcome, "Past contacts by outcome"),
            (past["channel"], "Past contacts by channel"),
        )
    ]
    return Fragment(side_by_side(*drawn))


def consents(tables: Tables) -> Fragment:
    """How many customers have agreed to each channel that needs consent, on the first day of the horizon."""
    channels = tables.channels
    if channels is None or "requires_consent" not in channels or not channels["requires_consent"].any():
        return Fragment(paragraph("No channel requires consent."))
    names = channels.loc[channels["requires_consent"].astype(bool), "channel"]
    given = tables.consents
    if given is None:
        return Fragment(
            paragraph(f"No consents are given, so nobody is contacted by {', '.join(names)}.", "bad")
        )
    valid = given[
        given["granted"].astype(bool)
        & ~(given["valid_from"] > 1).fillna(False)
        & ~(given["valid_to"] < 1).fillna(False)
    ]
    everyone = valid if tables.customers is None else tables.customers
    total = max(everyone["customer_id"].nunique(), 1)
    rows = []
    for name in names:
        n = valid.loc[valid["channel"] == name, "customer_id"].nunique()
        rows.append(figures.Bar(name, n / total, f"{number(n)} of {number(total)} customers", 1.0))
    return Fragment(picture(figures.bars(rows), "Consent on the first day"))


def scores(frame: pd.DataFrame) -> Fragment:
    """The mean probability of a response, by offer and channel."""
    by = frame.groupby(["offer_id", "channel"], sort=True)["p_response"]
    made = by.agg(["size", "mean", "max"]).reset_index()
    made.columns = pd.Index(["offer", "channel", "customers", "mean response", "highest"])
    return Fragment(
        table(made, {"mean response": lambda x: percent(x, 2), "highest": lambda x: percent(x, 2)})
    )


def policy(project: Project) -> Fragment:
    """What is to be decided: the objective and the number of rules of each kind."""
    rules = project.effective_policy()
    kinds = ("eligibility", "limits", "contact", "conflicts", "requires")
    made = [
        (kind.capitalize(), number(len(rules.get(kind) or [])), "rules") for kind in kinds if rules.get(kind)
    ]
    return Fragment(paragraph(f"Objective: {rules.get('objective')}") + tiles(made))


def _bars(values: pd.Series) -> str:
    counts = values.value_counts().head(16)
    return figures.bars([figures.Bar(str(name), float(n), number(n)) for name, n in counts.items()])
