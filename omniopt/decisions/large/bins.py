"""Groups of customers that all rules treat alike, and what a bin stands for: a group with a kind of contact.

No rule is written anew here. One customer stands for each group, and the rules' own code is run
on these stand-ins, whose number does not grow with that of the customers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Catalogue, Rows
from omniopt.decisions.large.shape import Bins
from omniopt.rules.eligibility import drop_ineligible
from omniopt.rules.measures import linear_terms
from omniopt.rules.policy import (
    ColumnBound,
    Conflict,
    Contact,
    Denominator,
    Eligibility,
    Limit,
    Policy,
    Requires,
    Rule,
)
from omniopt.rules.where import Attribute, Scopes

# The term of 1 - delivery rate. No expression can name it, and so no measure of a user's is mixed up with it.
MISSED = "missed share"
CUSTOMER = "customer."


@dataclass(frozen=True)
class Eligible:
    """What `drop` rules do to bins.

    Attributes
    ----------
    reason : ndarray of int16, shape (b,)
        0, or 1 + the position in the policy of the first rule that takes the bin's candidates out.
    matched : dict of str to ndarray of bool, shape (b,)
        The bins that each rule matches.
    bin : ndarray of int64, shape (b,)
        Where the bin's candidates are once rules have taken fallbacks away.
    """

    reason: np.ndarray
    matched: dict[str, np.ndarray]
    bin: np.ndarray


def list_kinds(catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """Return action and fallback of every kind: each action without a fallback, then with it."""
    fallback = catalogue.fallback[catalogue.actions.codes["channel"]]
    action = np.repeat(np.arange(len(fallback), dtype=np.int64), 1 + (fallback >= 0))
    second = np.diff(action, prepend=-1) == 0
    return action, np.where(second, fallback[action], -1)


def group_customers(policy: Policy, scopes: Scopes) -> tuple[np.ndarray, np.ndarray]:
    """Put customers together that agree in all that any rule asks of them.

    Scopes ask whether a condition holds, all else (groups, bounds, what is counted) asks for values.

    Returns
    -------
    group_of : ndarray of int32, shape (customers,)
    customer : ndarray of int64, shape (g,)
        The first customer of each group.
    """
    rules: list[Rule] = [*policy.eligibility, *policy.limits, *policy.contact]
    return tell_apart([*rules, *policy.conflicts, *policy.requires], scopes)


def tell_apart(rules: Sequence[Rule], scopes: Scopes) -> tuple[np.ndarray, np.ndarray]:
    """Group the customers of some scopes by all that the given rules ask of them; see `group_customers`."""
    size = len(scopes.catalogue.entities["customer"])
    group, count = np.zeros(size, np.int32), min(size, 1)
    questions: dict[str, list[tuple[Any, str]]] = {}
    for rule in rules:
        for name, condition in _questions(rule):
            questions.setdefault(name, []).append((condition, rule.name))
    for name, asked in questions.items():
        attribute = scopes.attribute(name, asked[0][1])
        if attribute is None or attribute.values is None or not size:
            continue
        code, values = pd.factorize(attribute.values, use_na_sentinel=False)
        answer, answers = _answers(replace(attribute, values=pd.Series(values)), asked, scopes)
        group, count = renumbered(group.astype(np.int64) * answers + answer[code], count * answers)
    return group, first_of(group, count)


VALUE = object()  # what is asked for where it is not a condition


def _questions(rule: Rule) -> Iterator[tuple[str, Any]]:
    """List what a rule asks of customers: (attribute, condition or VALUE)."""
    scopes: list[dict[str, Any]] = []
    values: list[str] = []
    if isinstance(rule, Eligibility):
        scopes = [rule.drop or {}]
    elif isinstance(rule, Limit):
        scopes = [rule.where, rule.over.where if isinstance(rule.over, Denominator) else {}]
        values = rule.per
    elif isinstance(rule, Contact):
        scopes = [rule.where]
        values = [*rule.per, rule.count]
        values += [bound.column for bound in (rule.min, rule.max) if isinstance(bound, ColumnBound)]
    elif isinstance(rule, Conflict):
        scopes = [rule.first, rule.then]
    elif isinstance(rule, Requires):
        scopes = [rule.offer, rule.needs]
    asked = [item for where in scopes for item in where.items()] + [(name, VALUE) for name in values]
    yield from (item for item in asked if item[0].startswith(CUSTOMER))


def _answers(attribute: Attribute, asked: list[tuple[Any, str]], scopes: Scopes) -> tuple[np.ndarray, int]:
    """Number the distinct answers that an attribute's values give to all that is asked of it."""
    assert attribute.values is not None
    size = len(attribute.values)
    answer, count = np.zeros(size, np.int64), 1
    for condition, rule in asked:
        if condition is not VALUE:
            holds = scopes.holds(attribute, attribute.values, condition, rule)
            answer, count = renumbered(answer * 2 + holds, count * 2)
    by_value = any(condition is VALUE for condition, _ in asked)
    return (np.arange(size), size) if by_value else (answer, count)


def renumbered(code: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Number the codes below ``size`` that occur from 0; return them and how many there are."""
    if size > 4 * len(code) + 1024:
        place, distinct = pd.factorize(code)
        return place.astype(np.int32), len(distinct)
    seen = np.zeros(size, bool)
    seen[code] = True
    return (np.cumsum(seen, dtype=np.int32) - 1)[code], int(seen.sum())


def first_of(code: np.ndarray, count: int) -> np.ndarray:
    """Return the first place of each code."""
    first = np.zeros(count, np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]  # of several written to one place the last one stays
    return first


class _AnyValue(set[str]):
    """Values of a column of stand-ins; the values of all others were looked at when they were grouped."""

    def __contains__(self, _: object) -> bool:
        return True


class StandInScopes(Scopes):
    """Scopes of a catalogue that has only some of the customers."""

    def values_of(self, attribute: Attribute) -> set[str]:
        """Return the text values among the stand-ins; for customers anything else counts as known, too."""
        found = super().values_of(attribute)
        return _AnyValue(found) if attribute.entity == "customer" else found


def stand_in_scopes(scopes: Scopes, customers: np.ndarray, history: Rows, table: pd.DataFrame) -> Scopes:
    """Return scopes in which only the given customers are known, with a history of theirs.

    Parameters
    ----------
    scopes : Scopes
        Of all customers; gets the faults.
    customers : ndarray of int64
        Codes of those that stand for others; their place here is their new code.
    history : Rows
        Past contacts, by new codes of customers.
    table : DataFrame
        Their columns.
    """
    whole = scopes.catalogue
    frame = whole.entities["customer"].iloc[customers].reset_index(drop=True)
    none = history.take(np.zeros(0, np.int64))
    catalogue = replace(
        whole, entities={**whole.entities, "customer": frame}, history=history, history_table=table,
        past=none, past_table=pd.DataFrame(),
    )  # fmt: skip
    return StandInScopes(catalogue, scopes.faults, scopes.file)


def group_scopes(bins: Bins, scopes: Scopes) -> Scopes:
    """Return scopes in which each group is one customer, who has the past contacts of all."""
    history = scopes.catalogue.history
    customer = history.codes["customer"]
    group = np.where(customer >= 0, bins.group_of[customer], -1) if len(customer) else customer
    coded = Rows({**history.codes, "customer": group.astype(np.int64)}, history.day)
    return stand_in_scopes(scopes, bins.customer, coded, scopes.catalogue.history_table)


def bin_candidates(bins: Bins, at: np.ndarray, catalogue: Catalogue) -> Candidates:
    """Return one candidate for each of the given bins, whose customer is the group; delivery is sure."""
    group, kind = np.divmod(at, bins.kinds)
    return Candidates(
        catalogue, group, bins.action[kind], np.zeros(len(at), np.int16), [""], np.ones(len(at)),
        bins.fallback[kind],
    )  # fmt: skip


def eligible(policy: Policy, bins: Bins, scopes: Scopes) -> Eligible:
    """Find out what `drop` rules take out of every bin that there could be."""
    stand_ins = group_scopes(bins, scopes)
    candidates = bin_candidates(bins, np.arange(len(bins)), stand_ins.catalogue)
    had = candidates.fallback >= 0
    reason = np.zeros(len(bins), np.int16)
    matched = {}
    for number, rule in enumerate(policy.eligibility, 1):
        if rule.drop is None:
            continue
        candidates.reason[:] = 0
        drop_ineligible(candidates, [rule], stand_ins)
        hit = candidates.reason > 0
        reason[hit & (reason == 0)] = number
        matched[rule.name] = hit
    lost = had & (candidates.fallback < 0)  # the same action without a fallback is the kind before
    return Eligible(reason, matched, np.arange(len(bins)) - lost)


def measures_asked(policy: Policy, known: list[str]) -> list[str]:
    """Return which of the candidates' measures some objective or limit names, sorted."""
    return sorted(set(known) & set(_names(policy)))


def asks_missed(policy: Policy, bins: Bins, catalogue: Catalogue) -> bool:
    """Whether it matters to an objective or limit what the fallback has to carry."""
    if not (bins.fallback >= 0).any():
        return False
    by_channel = any(
        name.partition(".")[0] == "channel" for limit in policy.limits for name in _limit_attributes(limit)
    )
    return by_channel or bool(set(catalogue.entities["channel"].columns) & set(_names(policy)))


def _limit_attributes(limit: Limit) -> list[str]:
    over = limit.over.where if isinstance(limit.over, Denominator) else {}
    return [*limit.where, *limit.per, *over]


def _names(policy: Policy) -> Iterator[str]:
    """Name the measures of all objectives and limits; what cannot be read is somebody else's fault."""
    expressions = [objective.expression for objective in policy.objectives]
    for limit in policy.limits:
        expressions.append(limit.measure)
        if limit.over is not None:
            expressions.append(limit.over.measure if isinstance(limit.over, Denominator) else limit.over)
    for expression in expressions:
        try:
            yield from linear_terms(expression)
        except ValueError:
            continue
