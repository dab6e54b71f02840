"""The policy: rules as frozen models, each with its meaning as docstring; ``parse`` reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from omniopt.tables import OUTCOMES

MOST_DAYS = 36_525  # a century


class Reference(BaseModel):
    """A bound that is read from a column of a table, by the rule's ``per`` attributes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: str
    column: str


class ColumnBound(BaseModel):
    """A bound that is read from a column of the customers, ``{column: customer.max_offers}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"takes a number, not {value!r}")
    return float(value)


def _bound(value: Any) -> float | Reference:
    if isinstance(value, Reference):
        return value
    if isinstance(value, Mapping):
        if set(value) != {"table", "column"}:
            raise ValueError("takes a number or {table: …, column: …}")
        return Reference(table=str(value["table"]), column=str(value["column"]))
    return _number(value)


def _cap(value: Any) -> int | ColumnBound:
    if isinstance(value, ColumnBound):
        return value
    if isinstance(value, Mapping):
        if set(value) != {"column"}:
            raise ValueError("takes a whole number or {column: customer.…}")
        return ColumnBound(column=str(value["column"]))
    number = _number(value)
    if number < 0 or not number.is_integer():
        raise ValueError(f"takes a whole number from 0, not {value!r}")
    return int(number)


def _not_negative(value: Any) -> float | Reference:
    bound = _bound(value)
    if isinstance(bound, float) and bound < 0:
        raise ValueError(f"takes a number from 0, not {value!r}")
    return bound


def _count(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"takes offers, occasions or an attribute, not {value!r}")
    return value


def _outcomes(value: Any) -> list[str]:
    words = value if isinstance(value, list) else [value]
    if not words:
        raise ValueError("names no outcome")
    for word in words:
        if word not in OUTCOMES:
            raise ValueError(f"knows no outcome {word!r}; legal here: {', '.join(OUTCOMES)}")
    return words


def _times(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"takes a whole number from 1, not {value!r}")
    return value


def _lag(value: Any) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _days(value)


def _days(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_DAYS:
        raise ValueError(f"takes a whole number of days from 1 to {MOST_DAYS:,}, not {value!r}")
    return value


def _where(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"takes a mapping of attributes to values, not {value!r}")
    return {str(k): v for k, v in value.items()}


def _names(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, str) for v in values):
        raise ValueError(f"takes an attribute or a list of attributes, not {value!r}")
    if len(set(values)) < len(values):
        raise ValueError("names an attribute twice")
    return values


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 < number < 1:
        raise ValueError(f"takes a share above 0 and below 1, not {value!r}")
    return number


def _key(value: Any) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"takes true or false, not {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"takes a text, not {value!r}")
    return value


Where = Annotated[dict[str, Any], BeforeValidator(_where)]
Bound = Annotated[float | Reference, BeforeValidator(_bound)]
Cap = Annotated[int | ColumnBound, BeforeValidator(_cap)]
Price = Annotated[float | Reference, BeforeValidator(_not_negative)]
Count = Annotated[str, BeforeValidator(_count)]
Outcomes = Annotated[list[str], BeforeValidator(_outcomes)]
Times = Annotated[int, BeforeValidator(_times)]
Days = Annotated[int, BeforeValidator(_days)]
Lag = Annotated[int, BeforeValidator(_lag)]
Names = Annotated[list[str], BeforeValidator(_names)]
Share = Annotated[float, BeforeValidator(_share)]
Key = Annotated[str, BeforeValidator(_key)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, BeforeValidator(_text)]


class Rule(BaseModel):
    """What every rule has: a name of its own; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Text


class After(BaseModel):
    """What has to happen first: so many of these outcomes, within so many days."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    outcome: Outcomes
    times: Times = 1
    within_days: Days | None = None


def _after(value: Any) -> After:
    if isinstance(value, After):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("takes a mapping, for instance {outcome: rejected, times: 1, within_days: 30}")
    return After.model_validate(dict(value))


class Eligibility(Rule):
    """Candidates are taken out, and counted under the rule's name: those that match ``drop``.

    Or, with ``after``, those of the same offer, category, channel or business unit as what a
    customer's own outcomes were about, for ``for_days`` days from the one that made the number full.
    """

    drop: Where | None = None
    after: Annotated[After | None, BeforeValidator(_after)] = None
    drop_same: Literal["offer", "category", "channel", "business_unit", "all"] | None = None
    for_days: Days | None = None


class Denominator(BaseModel):
    """The denominator of a ratio: a measure, in a scope of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    measure: Text
    where: Where = Field(default_factory=dict)


def _over(value: Any) -> str | Denominator:
    if isinstance(value, Denominator):
        return value
    if isinstance(value, Mapping):
        return Denominator.model_validate(dict(value))
    return _text(value)


class Limit(Rule):
    """Bound the sum of a measure over the chosen contacts in ``where``, for every group of ``per``.

    With ``over`` the bounds are on the ratio of two sums; it holds where nothing is chosen. With
    ``rolling_days`` they hold in every window of so many days, past contacts counted. With
    ``all_or_nothing`` a group gets no contact at all or at least ``min``, and ``fixed_cost`` is
    paid once for a group that gets any. With ``penalty`` the limit may be missed at that price per
    unit. With ``report_only`` it is computed and shown, and changes nothing.
    """

    where: Where = Field(default_factory=dict)
    per: Names = Field(default_factory=list)
    measure: Text = "contacts"
    min: Bound | None = None
    max: Bound | None = None
    over: Annotated[str | Denominator | None, BeforeValidator(_over)] = None
    rolling_days: Days | None = None
    all_or_nothing: Flag = False
    fixed_cost: Price | None = None
    penalty: Price | None = None
    report_only: Flag = False


class Contact(Rule):
    """Bound the contacts in ``where`` of each customer: at most ``max``, at least ``min``.

    In every window of ``days`` days, or in every calendar week or month; windows that begin before
    the horizon count history, unless ``history: false``. Without either the whole horizon is one
    window, without history. ``min_or_none`` allows none as well. ``per`` counts each value on its
    own, ``unit: household`` all members of a household together. ``count: occasions`` counts
    distinct (channel, date) pairs, and an attribute there its distinct values.
    """

    where: Where = Field(default_factory=dict)
    per: Names = Field(default_factory=list)
    max: Cap | None = None
    min: Cap | None = None
    min_or_none: Flag = False
    days: Days | None = None
    every: Literal["week", "month"] | None = None
    history: Flag = True
    count: Count = "offers"
    unit: Literal["customer", "household"] = "customer"


class Conflict(Rule):
    """Not both a contact in ``first`` and another in ``then`` that follows in under ``days`` days.

    With ``either_order`` also not the other way round. Contacts in history count as ``first``.
    """

    first: Where
    then: Where
    days: Days
    either_order: Flag = False


class Requires(Rule):
    """A contact in ``offer`` needs another in ``needs``, at most ``days`` days before it.

    With ``order: any`` it may also come up to as many days after. Contacts in history count.
    """

    offer: Where
    needs: Where
    days: Lag
    order: Literal["before", "any"] = "before"


class Control(BaseModel):
    """Who gets no contact at all, and who none of one offer, so that what contacts change can be measured.

    A customer's place follows from ``key`` and the customer's id alone, and stays as long as these do.
    ``by`` names columns of customers whose values are strata; with ``unit: household`` a household is
    held out as a whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: Share | None = None
    per_offer: Share | None = None
    by: Names = Field(default_factory=list)
    key: Key = "control"
    unit: Literal["customer", "household"] = "customer"


class Explore(BaseModel):
    """Who gets one contact drawn at random, of those that the customer's own rules allow alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: Share
    key: Key = "explore"


class Learning(BaseModel):
    """What a plan gives up to learn what contacts change: control groups, and contacts at random."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    control: Control | None = None
    explore: Explore | None = None


@dataclass(frozen=True)
class Objective:
    """What is maximised or minimised, and the share of it that later objectives may cost."""

    expression: str
    sense: Literal["maximise", "minimise"]
    within: float = 0.0

    @property
    def sign(self) -> float:
        """1 where it is maximised, -1 where it is minimised."""
        return 1.0 if self.sense == "maximise" else -1.0


@dataclass(frozen=True)
class Policy:
    """A whole policy: the objectives by rank, and the rules in the order in which they were written."""

    objectives: list[Objective]
    eligibility: list[Eligibility]
    limits: list[Limit]
    contact: list[Contact]
    conflicts: list[Conflict]
    requires: list[Requires]
    file: str | None = None
    learning: Learning | None = None

    @property
    def objective(self) -> str:
        """The first objective's expression."""
        return self.objectives[0].expression

    @property
    def sense(self) -> Literal["maximise", "minimise"]:
        """The first objective's sense."""
        return self.objectives[0].sense


SECTIONS: dict[str, type[Rule]] = {
    "eligibility": Eligibility,
    "limits": Limit,
    "contact": Contact,
    "conflicts": Conflict,
    "requires": Requires,
}
