"""Measures: numbers per candidate that add up, and linear expressions of them."""

from __future__ import annotations

import ast

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.errors import nearest
from omniopt.rules.statements import states
from omniopt.rules.where import Scopes

# Numeric columns that do not add up over contacts; an offer's value is money per response, not per contact.
NO_MEASURES = {
    "action": {"date"},
    "channel": {"send_from", "send_to", "send_days"},
    "offer": {"valid_from", "valid_to", "value"},
}


class Measures:
    """Looks measures up: of the candidate first, then of its action, channel and offer.

    Every measure comes in two legs, the contact on its own channel and the load that failover
    brings to the fallback channel: (1 - d) contacts, and (1 - d) times what the fallback
    channel uses per contact. Value, cost and response belong to the first leg whole.
    """

    def __init__(self, candidates: Candidates, scopes: Scopes) -> None:
        self.candidates = candidates
        self.scopes = scopes

    def legal(self) -> list[str]:
        """Return every measure's name."""
        names = {"contacts", *self.candidates.measures}
        for entity in NO_MEASURES:
            names |= self._columns(entity)
        return sorted(names)

    def _columns(self, entity: str) -> set[str]:
        """Columns of an entity that are measures."""
        frame = self.candidates.catalogue.entities[entity]
        return set(frame.select_dtypes(include="number", exclude="bool").columns) - NO_MEASURES[entity]

    def evaluate(self, expression: str, rule: str, by_channel: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return both legs of a linear expression, each float64 of shape (n,).

        With ``by_channel`` (the rule tells channels apart) contacts on the fallback channel
        count there; otherwise a contact is one contact, however it is delivered.
        """
        first, second = np.zeros(len(self.candidates)), np.zeros(len(self.candidates))
        try:
            terms = linear_terms(expression)
        except ValueError as error:
            self.scopes.fault(
                rule, f"'{expression}' is no measure: {error}", "Write for instance value - 0.5 * cost."
            )
            return first, second
        for name, coefficient in terms.items():
            legs = self._legs(name, rule, by_channel)
            if legs is not None:
                first += coefficient * legs[0]
                second += coefficient * legs[1]
        return first, second

    def fixed_share(self, expression: str) -> float | None:
        """Return the coefficient of the plan's fixed costs in an expression; None if it names none."""
        try:
            terms = linear_terms(expression)
        except ValueError:  # a fault that evaluate has recorded
            return None
        return terms["fixed_cost"] if "fixed_cost" in terms and "fixed_cost" not in self.legal() else None

    def of_history(self, expression: str) -> np.ndarray:
        """Return an expression's value for every past contact that counts; NaN where it is unknown.

        A measure is a column of the history itself, or of what it names: action, channel, offer.
        """
        catalogue = self.candidates.catalogue
        total = np.zeros(len(catalogue.history))
        for name, coefficient in linear_terms(expression).items():
            total += coefficient * self._past_column(name)
        return total

    def _past_column(self, name: str) -> np.ndarray:
        catalogue = self.candidates.catalogue
        history, table = catalogue.history, catalogue.history_table
        if name == "contacts":
            return np.ones(len(history))
        if name in table and name != "value" and pd.api.types.is_numeric_dtype(table[name]):
            return table[name].to_numpy(np.float64, na_value=np.nan)
        values = np.full(len(history), np.nan)
        for entity in ("action", "channel", "offer"):
            frame, codes = catalogue.entities[entity], history.codes[entity]
            if name in self._columns(entity) and len(frame):
                column = frame[name].to_numpy(np.float64, na_value=np.nan)
                values = np.where(np.isnan(values) & (codes >= 0), column[codes], values)
        return values

    @states("legs")
    def _legs(self, name: str, rule: str, by_channel: bool) -> tuple[np.ndarray, np.ndarray] | None:
        c = self.candidates
        none = np.zeros(len(c))
        missed = np.where(c.fallback >= 0, 1.0 - c.delivery, 0.0)
        if name == "contacts":
            return np.ones(len(c)), missed if by_channel else none
        if name in c.measures:
            values = c.measures[name]
            if np.isnan(values).any():
                self._missing(name, "candidate", rule)
                return None
            return values, none
        if name == "fixed_cost" and name not in self.legal():
            return none, none  # the plan's, not a contact's: see fixed_share
        if name not in self.legal():
            self.scopes.fault(rule, f"there is no measure '{name}'", nearest(name, self.legal()))
            return None
        for entity in ("action", "channel", "offer"):
            if name not in self._columns(entity):
                continue
            values = c.catalogue.entities[entity][name].to_numpy(np.float64)
            codes = c.rows().codes[entity]
            if np.isnan(values[codes]).any():
                bad = c.catalogue.ids_of(entity)[np.unique(codes[np.isnan(values[codes])])[0]]
                self._missing(name, f"{entity} {bad}", rule)
                return None
            if entity != "channel":
                return values[codes], none
            second = np.where(c.fallback >= 0, missed * values[c.fallback], 0.0)
            if np.isnan(second).any():
                bad = c.catalogue.ids_of(entity)[c.fallback[np.isnan(second)][0]]
                self._missing(name, f"the fallback channel {bad}", rule)
                return None
            return values[codes], second
        raise AssertionError(name)

    def _missing(self, name: str, what: str, rule: str) -> None:
        self.scopes.fault(
            rule,
            f"the measure '{name}' is missing for {what}",
            "A missing number is not taken as 0: fill the cell.",
        )


def linear_terms(expression: str) -> dict[str, float]:
    """Read a linear expression as coefficients by name. Nothing is evaluated.

    Raises
    ------
    ValueError
        If the text is anything but sums of names with constant factors.

    >>> linear_terms("value - 0.5 * (cost + 2 * minutes)")
    {'value': 1.0, 'cost': -0.5, 'minutes': -1.0}
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError("it cannot be read") from None
    terms: dict[str, float] = {}
    constant = _collect(tree, 1.0, terms)
    if constant:
        raise ValueError("a number on its own has no contact to belong to")
    if not terms:
        raise ValueError("it names no measure")
    return terms


def _collect(node: ast.expr, factor: float, terms: dict[str, float]) -> float:
    """Add the node's terms, times the factor; return its constant part."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    ):
        return factor * node.value
    if isinstance(node, ast.Name):
        terms[node.id] = terms.get(node.id, 0.0) + factor
        return 0.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _collect(node.operand, -factor if isinstance(node.op, ast.USub) else factor, terms)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        sign = -1.0 if isinstance(node.op, ast.Sub) else 1.0
        return _collect(node.left, factor, terms) + _collect(node.right, sign * factor, terms)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        left, right = node.left, node.right
        names: dict[str, float] = {}
        number = _collect(right, 1.0, names)
        if not names and not (isinstance(node.op, ast.Div) and number == 0):
            return _collect(left, factor / number if isinstance(node.op, ast.Div) else factor * number, terms)
        names = {}
        number = _collect(left, 1.0, names)
        if not names and isinstance(node.op, ast.Mult):
            return _collect(right, factor * number, terms)
    raise ValueError("only sums of measures with constant factors are allowed")
