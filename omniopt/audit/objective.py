"""The objective, or objectives in order of rank: what the plan is worth in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.audit.measures import FIXED
from omniopt.audit.scope import Unchecked, linear


@dataclass
class Rank:
    """One objective.

    Attributes
    ----------
    sign : float
        1 where it is maximised, −1 where it is minimised.
    expression : str
    within : float
        The share of its best value that later ranks may give up.
    fixed : float
        How often the plan's fixed costs count in it, in its own sense.
    penalties : float
        The same for penalties.
    """

    sign: float
    expression: str
    within: float
    fixed: float
    penalties: float

    @property
    def sense(self) -> str:
        """In the policy's word."""
        return "maximise" if self.sign > 0 else "minimise"

    def value(self, values: np.ndarray, fixed_costs: float, penalties: float) -> tuple[float, float]:
        """What a plan is worth whose contacts contribute these values, and the sizes added up."""
        extra = (self.fixed * fixed_costs, self.penalties * penalties)
        return float(values.sum()) + sum(extra), float(np.abs(values).sum()) + sum(map(abs, extra))

    def kept(self, best: float) -> float:
        """What a plan must still be worth where this rank's best is so much."""
        return best - self.sign * self.within * abs(best)


def read_ranks(objective: Any) -> list[Rank]:
    """The policy's objectives, in order; Unchecked if it says anything this check cannot read."""
    listed = objective if isinstance(objective, list) else [objective]
    if not listed:
        raise Unchecked("the objective is an empty list")
    result = []
    for k, one in enumerate(listed):
        if isinstance(one, str):
            one = {"maximise": one}
        senses = [key for key in ("maximise", "minimise") if isinstance(one, Mapping) and key in one]
        if len(senses) != 1 or set(one) - {senses[0], "within"}:
            raise Unchecked(f"the objective {one!r} is not known to this check")
        sign, expression, within = (
            1.0 if senses[0] == "maximise" else -1.0,
            one[senses[0]],
            one.get("within", 0),
        )
        if isinstance(within, bool) or not isinstance(within, int | float) or within < 0:
            raise Unchecked(f"within: {within!r} is no share")
        terms = linear(expression)
        # The first objective pays for cells and for what is missed, also where its expression is silent.
        silent = -sign if k == 0 else 0.0
        result.append(Rank(sign, expression, float(within), terms.get(FIXED, silent), silent))
    return result
