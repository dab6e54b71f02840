"""The plan of a large problem, with all that proves it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pandas as pd

from omniopt.actions.valuation import FURTHER
from omniopt.decisions.certificate import Claim, claims_of
from omniopt.decisions.large.entries import customer_of, rule_entries
from omniopt.decisions.large.hunt import Hunt, judged
from omniopt.decisions.large.leads import advantages
from omniopt.decisions.large.part import objective_of, terms_of, use_of
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sift import LISTED
from omniopt.decisions.plan import ALTERNATIVES, SHOWN, Plan, action_measure, dropped_rows, frame_of
from omniopt.tables.storage import in_threads

TOO_MANY = f"too many candidates to list those not chosen: that is done up to {LISTED:,}"


def large_plan(large: Large, found: list[Hunt], gap: float, seconds: dict[str, float]) -> Plan:
    """Return the plan that a solve ends with.

    Parameters
    ----------
    large : Large
    found : list of Hunt
        One for each objective; the last one's choice is the plan.
    gap : float
        That was asked for.
    seconds : dict of str to float

    Returns
    -------
    Plan
    """
    first, chosen = found[0], found[-1].chosen
    assert chosen is not None
    prices = first.prices
    listed, use = large.candidates_given <= LISTED, use_of(large, chosen)

    def told() -> tuple[list[dict[str, Any]], np.ndarray]:
        entries = rule_entries(large, chosen, use, prices)
        return [*map(_without_range, entries)], advantages(large, first.engine, prices, chosen)

    def shown() -> pd.DataFrame:
        return contact_frame(large, chosen, place=np.arange(len(chosen)))

    (entries, lead), contacts = in_threads(lambda part: part(), [told, shown])
    contacts["advantage"] = lead[contacts.pop("place")]
    claims = [_claim(hunt, chosen) for hunt in found]
    certificate = claims_of(
        large,
        claims,
        use,
        gap,
        candidates=len(large),
        customers=_customers(large),
        solver="decomposed",
        bound_by=claims[0].bound_by,
        rules=entries,
        dropped=large.dropped,
        notes=[*large.notes, *([] if listed else [TOO_MANY])],
        seconds={k: round(v, 3) for k, v in seconds.items()} | {"write": 0.0},
    )
    best = _next_best(large, prices, chosen) if listed else (np.zeros(0, np.int64), np.zeros(0))
    alternatives = contact_frame(large, best[0], worth=best[1]).drop(columns="fallback")
    out = large.extra["taken_out"]
    dropped = dropped_rows(large.catalogue, out.customer, out.action, out.reason, out.reasons)
    scores = large.scores if large.model_scores else None
    solved = replace(large, extra=large.extra | {"use": use})  # for those that start from this plan
    plan = Plan(certificate, contacts, dropped, alternatives, scores, solved)
    return plan.with_trial(large.extra.get("trial"))


def contact_frame(large: Large, at: np.ndarray, **own: np.ndarray) -> pd.DataFrame:
    """Show candidates by their ids and measures, with further columns.

    Parameters
    ----------
    large : Large
    at : ndarray of int64
        Places of the candidates. They come sorted by customer, date and action; with ``worth`` by
        customer, the greatest first.
    **own : ndarray of float64
        One number for each.
    """
    bin = large.columns.bin[at].astype(np.int64)
    kind = bin % large.bins.kinds
    customer, action = customer_of(large.columns, at), large.bins.action[kind]
    columns: dict[str, Any] = frame_of(large.catalogue, customer, action, large.bins.fallback[kind])
    for name in SHOWN:
        measure = _measure(large, name, at, bin)
        known = action_measure(large.catalogue, name, action) if measure is None else measure
        columns[name] = np.full(len(at), np.nan) if known is None else known
    columns["objective"] = large.sign * objective_of(large, at)
    further = {name: _measure(large, name, at, bin) for name in FURTHER}
    columns |= {name: values for name, values in further.items() if values is not None}
    frame = pd.DataFrame(columns | own)
    if (np.diff(customer) > 0).all():
        return frame
    first = -own["worth"] if "worth" in own else large.catalogue.actions.day[action]
    order = np.lexsort((action, first, customer))
    return frame if (np.diff(order) == 1).all() else frame.take(order).reset_index(drop=True)


def _measure(large: Large, name: str, at: np.ndarray, bin: np.ndarray) -> np.ndarray | None:
    """Return a measure of some candidates, wherever it is kept; None where candidates do not have it."""
    bins, columns = large.bins, large.columns
    if name in bins.terms:
        return columns.measures[at, bins.terms.index(name)]
    if name in bins.constant:
        return bins.constant[name][bin]
    return columns.shown[name][at] if name in columns.shown else None


def _without_range(entry: dict[str, Any]) -> dict[str, Any]:
    """Say of a limit that the range of its price was not worked out."""
    unknown = ("price_range", "degenerate", "price_more", "price_less") if entry["kind"] == "limit" else ()
    return entry | dict.fromkeys(unknown)


def _claim(hunt: Hunt, chosen: np.ndarray) -> Claim:
    value = hunt.objective if hunt.chosen is chosen else judged(hunt.large, chosen)[0]
    by = "exact" if hunt.by_exact else "prices"
    return Claim(value, hunt.objective, hunt.bound, hunt.from_prices, hunt.prices, by)


def _customers(large: Large) -> int:
    """Count the customers that have any candidate."""
    if not len(large.columns.key):
        return large.columns.units
    return int(np.count_nonzero(np.diff(large.columns.customer))) + 1


# ---- what comes next


def _next_best(large: Large, prices: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each customer's best candidates that were not chosen, and their worth at the prices."""
    columns = large.columns
    everything = np.arange(len(large))
    table = worth_table(large, prices, np.full(large.system.g, -1, np.int8))
    worth = (table[columns.bin] * terms_of(large, everything)).sum(axis=1)
    begin = np.flatnonzero(np.diff(customer_of(columns, everything), prepend=-1))
    taken = np.zeros(len(large), bool)
    taken[chosen] = True
    best = np.full((len(begin), ALTERNATIVES), -1, np.int64)
    _fill_best(np.append(begin, len(large)), worth, taken, best)
    best = best[best >= 0]
    return best, worth[best]


@numba.njit(cache=True, nogil=True)
def _fill_best(start, worth, taken, best):  # type: ignore[no-untyped-def]
    """List the greatest worths of every stretch, of equal ones the first."""
    for i in range(len(start) - 1):
        for j in range(start[i], start[i + 1]):
            if taken[j]:
                continue
            place = best.shape[1]
            while place > 0 and (best[i, place - 1] < 0 or worth[best[i, place - 1]] < worth[j]):
                place -= 1
                if place + 1 < best.shape[1]:
                    best[i, place + 1] = best[i, place]
            if place < best.shape[1]:
                best[i, place] = j
