"""Bins, columns and templates of a small project, made from its problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniopt.decisions.large.bins import MISSED, asks_missed, group_customers, list_kinds, measures_asked
from omniopt.decisions.large.living import asks_living
from omniopt.decisions.large.rows import StatedRows, state_rows
from omniopt.decisions.large.shape import Bins, Columns
from omniopt.decisions.large.templates import StatedTemplates, state_templates
from omniopt.decisions.problem import Problem
from omniopt.errors import Faults
from omniopt.rules.where import Scopes


@dataclass
class Binned:
    problem: Problem
    scopes: Scopes
    bins: Bins
    bin: np.ndarray

    def measures(self) -> np.ndarray:
        """What every candidate has of each term, the number 1 first."""
        c = self.problem.candidates
        own = c.measures | {MISSED: np.where(c.fallback >= 0, 1.0 - c.delivery, 0.0)}
        return np.stack([np.ones(len(c)), *(own[name] for name in self.bins.terms)], axis=1)

    def rows(self) -> StatedRows:
        p = self.problem
        return state_rows(p.policy, self.bins, p.tables, self.scopes, list(p.candidates.measures))

    def templates(self) -> StatedTemplates:
        p = self.problem
        c = p.candidates
        locks = (c.customer[p.locked], self.bin[p.locked] % self.bins.kinds)
        living = (c.customer, self.bin) if asks_living(p.policy) else None
        return state_templates(p.policy, self.bins, self.scopes, p.grouping, locks, living)

    def columns(self, stated: StatedTemplates) -> Columns:
        p, kinds = self.problem, self.bins.kinds
        units, first = np.unique(p.unit, return_index=True)
        customer = p.candidates.customer
        alone = p.grouping.word == "customer"
        key = stated.member[customer].astype(np.int64) * kinds + self.bin % kinds
        return Columns(
            start=np.append(first, len(p)),
            bin=self.bin.astype(np.int32),
            measures=self.measures()[:, 1:],
            customer=(customer[first] if alone else customer).astype(np.int32),
            base=(self.bins.group_of[customer[first]] * kinds).astype(np.int32),
            key=np.zeros(0, np.int32) if alone else key.astype(np.int32),
            template=stated.template_of[units],
        )


def binned(problem: Problem) -> Binned:
    """Put the candidates of a problem into bins; every measure that a rule asks for is a term of its own."""
    catalogue, c = problem.catalogue, problem.candidates
    scopes = Scopes(catalogue, Faults())
    action, fallback = list_kinds(catalogue)
    group_of, customer = group_customers(problem.policy, scopes)
    kind = np.searchsorted(action, c.action) + (c.fallback >= 0)
    bin = group_of[c.customer].astype(np.int64) * len(action) + kind
    occurs = np.zeros(len(customer) * len(action), bool)
    occurs[bin] = True
    terms = measures_asked(problem.policy, list(c.measures))
    constant = {}
    for name in terms.copy():
        typical = np.zeros(len(occurs))
        typical[bin] = c.measures[name]
        if (typical[bin] == c.measures[name]).all():
            constant[name] = typical
            terms.remove(name)
    bins = Bins(group_of, customer, action, fallback, occurs, terms, constant)
    missed = np.where(c.fallback >= 0, 1.0 - c.delivery, 0.0)
    if asks_missed(problem.policy, bins, catalogue):
        terms.append(MISSED)
    elif len(missed):
        constant[MISSED] = np.zeros(len(occurs))
        constant[MISSED][bin] = missed
    return Binned(problem, scopes, bins, bin)
