"""Coupling rows and objectives over bins and terms, from the rules' own code run once for each term."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from omniopt.actions.candidates import Candidates
from omniopt.decisions.large.bins import MISSED, bin_candidates, group_scopes, measures_asked
from omniopt.decisions.large.shape import Bins, RankedBins
from omniopt.decisions.problem import Ranked, ranked_objective
from omniopt.decisions.system import System, state_system
from omniopt.rules.limits import Cells, Coupling, LimitRows
from omniopt.rules.measures import Measures
from omniopt.rules.policy import Policy
from omniopt.rules.where import Scopes
from omniopt.tables import Tables


class StatedRows(NamedTuple):
    """What ties units together, over (bin, term)."""

    coupling: Coupling
    watched: Coupling
    ranked: list[RankedBins]
    system: System


class _TermMeasures(Measures):
    """The part of every measure that goes with one term: what is added to it by 1 of that term.

    Parameters
    ----------
    candidates : Candidates
        Their measures are the constant parts; a delivery rate of 0 stands for 1 of `MISSED`.
    scopes : Scopes
    term : str or None
        None is the number 1, with which all goes that does not differ within bins.
    terms : list of str
    """

    def __init__(self, candidates: Candidates, scopes: Scopes, term: str | None, terms: list[str]) -> None:
        super().__init__(candidates, scopes)
        self.term, self.terms = term, terms

    def _legs(self, name: str, rule: str, by_channel: bool) -> tuple[np.ndarray, np.ndarray] | None:
        legs = super()._legs(name, rule, by_channel)
        if legs is None or self.term is None:
            return legs
        none = np.zeros(len(self.candidates))
        if self.term == MISSED:
            return none, legs[1]
        return (none + 1.0 if name == self.term else none), none


def state_rows(policy: Policy, bins: Bins, tables: Tables, scopes: Scopes, measures: list[str]) -> StatedRows:
    """State limits and objectives over (bin, term).

    Parameters
    ----------
    policy : Policy
    bins : Bins
        Those that occur are what the rules are asked about.
    tables : Tables
    scopes : Scopes
        Of all customers; gets the faults.
    measures : list of str
        Names of all measures that candidates have.

    Returns
    -------
    StatedRows
        For all choices of candidates the same sums as rows over the candidates themselves.
    """
    lacking = sorted(set(measures_asked(policy, measures)) - {*bins.terms, *bins.constant})
    if lacking:
        raise ValueError(f"rules ask for measures that bins do not have: {', '.join(lacking)}")
    stand_ins = group_scopes(bins, scopes)
    at = np.flatnonzero(bins.occurs)
    before = len(scopes.faults)
    parts: list[tuple[Coupling, Coupling, list[Ranked]]] = []
    for term in [None, *bins.terms]:
        candidates = bin_candidates(bins, at, stand_ins.catalogue)
        candidates.measures = {name: np.zeros(len(at)) for name in measures}
        candidates.measures |= {n: v[at] for n, v in bins.constant.items() if n != MISSED and n in measures}
        candidates.delivery = 1.0 - _missed(bins, at, term, candidates)
        own = _TermMeasures(candidates, stand_ins, term, bins.terms)
        rows = LimitRows(candidates, tables, stand_ins, own)
        coupling = rows.build([limit for limit in policy.limits if not limit.report_only])
        watched = rows.build([limit for limit in policy.limits if limit.report_only])
        ranked = [ranked_objective(o, i, own, coupling) for i, o in enumerate(policy.objectives)]
        parts.append((coupling, watched, ranked))
        if len(scopes.faults) > before:  # the other terms would only bring the same faults
            break
    coupling = _side_by_side([part[0] for part in parts], bins, at)
    watched = _side_by_side([part[1] for part in parts], bins, at)
    objectives = [
        RankedBins(_spread([part[2][rank].objective for part in parts], bins, at), parts[0][2][rank].cells)
        for rank in range(len(policy.objectives))
    ]
    system = state_system(objectives[0].objective, objectives[0].cells, coupling)
    return StatedRows(coupling, watched, objectives, system)


def _missed(bins: Bins, at: np.ndarray, term: str | None, candidates: Candidates) -> np.ndarray:
    """What goes with a term of the share of contacts that fallbacks carry."""
    if term is not None:
        return np.full(len(at), float(term == MISSED))
    if MISSED in bins.terms:
        return np.zeros(len(at))
    if MISSED in bins.constant:
        return bins.constant[MISSED][at]
    channel = candidates.catalogue.entities["channel"]
    if "delivery_rate" not in channel:
        return np.zeros(len(at))
    rate = channel["delivery_rate"].fillna(1.0).to_numpy(np.float64)
    return 1.0 - rate[candidates.rows().codes["channel"]]


def _side_by_side(parts: list[Coupling], bins: Bins, at: np.ndarray) -> Coupling:
    """Join the rows of all terms: column bin × width + term.

    Entries of the number 1 stay where they are 0, as marks of what a row speaks of.
    """
    first = parts[0]

    def joined(matrices: list[sparse.csr_array]) -> sparse.csr_array:
        row, column, data = [], [], []
        for term, matrix in enumerate(matrices):
            if term:
                matrix.eliminate_zeros()
            entries = matrix.tocoo()
            row.append(entries.coords[0])
            column.append(at[entries.coords[1]] * bins.width + term)
            data.append(entries.data)
        place = (np.concatenate(row), np.concatenate(column))
        shape = (matrices[0].shape[0], len(bins) * bins.width)
        return sparse.csr_array(sparse.coo_array((np.concatenate(data), place), shape=shape))

    cells = Cells(first.cells.rule, first.cells.group, first.cells.cost, joined([first.cells.member]))
    return replace(
        first, numerator=joined([p.numerator for p in parts]),
        denominator=joined([p.denominator for p in parts]), cells=cells,
    )  # fmt: skip


def _spread(parts: list[np.ndarray], bins: Bins, at: np.ndarray) -> np.ndarray:
    """Lay a vector of each term out over (bin, term)."""
    found = np.zeros((len(bins), bins.width))
    for term, values in enumerate(parts):
        found[at, term] = values
    return found.ravel()
