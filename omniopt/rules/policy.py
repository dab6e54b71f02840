"""The policy: rules as frozen models, read strictly and with all faults at once.

Each model's docstring is the rule's meaning; the reference of rules is made from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from omniopt.errors import Faults, nearest

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
Days = Annotated[int, BeforeValidator(_days)]
Names = Annotated[list[str], BeforeValidator(_names)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, BeforeValidator(_text)]


class Rule(BaseModel):
    """What every rule has: a name of its own; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Text


class Eligibility(Rule):
    """Candidates that match ``drop`` are taken out, and counted under the rule's name."""

    drop: Where


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

    With ``over`` the bounds are on the ratio of two sums; it holds where nothing is chosen.
    """

    where: Where = Field(default_factory=dict)
    per: Names = Field(default_factory=list)
    measure: Text = "contacts"
    min: Bound | None = None
    max: Bound | None = None
    over: Annotated[str | Denominator | None, BeforeValidator(_over)] = None


class Contact(Rule):
    """At most ``max`` contacts in ``where`` for each customer, in every window of ``days`` days.

    Windows that begin before the horizon count history, unless ``history: false``. Without
    ``days`` the whole horizon is one window, without history. ``per`` counts each value on its
    own; ``count: occasions`` counts distinct (channel, date) pairs.
    """

    where: Where = Field(default_factory=dict)
    per: Names = Field(default_factory=list)
    max: Cap
    days: Days | None = None
    history: Flag = True
    count: Literal["offers", "occasions"] = "offers"


class Conflict(Rule):
    """Not both a contact in ``first`` and another in ``then`` that follows in under ``days`` days.

    With ``either_order`` also not the other way round. Contacts in history count as ``first``.
    """

    first: Where
    then: Where
    days: Days
    either_order: Flag = False


@dataclass(frozen=True)
class Policy:
    """A whole policy: the objective and the rules in the order in which they were written."""

    objective: str
    sense: Literal["maximise", "minimise"]
    eligibility: list[Eligibility]
    limits: list[Limit]
    contact: list[Contact]
    conflicts: list[Conflict]
    file: str | None = None


SECTIONS: dict[str, type[Rule]] = {
    "eligibility": Eligibility,
    "limits": Limit,
    "contact": Contact,
    "conflicts": Conflict,
}
# Words of the rule language that are refused by name rather than as misspelt.
NOT_YET = {
    "": ("requires",),
    "eligibility": ("after", "drop_same", "for_days"),
    "limits": ("rolling_days", "all_or_nothing", "fixed_cost", "penalty", "report_only"),
    "contact": ("every", "unit", "min", "min_or_none"),
    "conflicts": (),
}


def parse_policy(raw: Any, faults: Faults, file: str | None = None) -> Policy:
    """Read a policy from the mapping that its YAML holds.

    Parameters
    ----------
    raw : mapping
        The policy as written.
    faults : Faults
        Collects every fault, each with the rule that it is in.
    file : str, optional
        Name of the policy's file, for the messages.

    Returns
    -------
    Policy
        With the rules that could be read; do not use it if ``faults`` has any.
    """
    if not isinstance(raw, Mapping):
        faults.add(
            "the policy is not a mapping of sections", file=file, hint="Start with objective: value - cost"
        )
        return Policy("contacts", "maximise", [], [], [], [], file)
    legal = ["objective", *SECTIONS]
    for key in raw:
        if key in NOT_YET[""]:
            faults.add(f"the section '{key}' is not supported yet", file=file)
        elif key not in legal:
            faults.add(f"unknown section '{key}' in the policy", file=file, hint=nearest(str(key), legal))
    objective, sense = _objective(raw.get("objective"), faults, file)
    rules: dict[str, list[Any]] = {}
    seen: dict[str, str] = {}
    for section, model in SECTIONS.items():
        rules[section] = []
        entries = raw.get(section) or []
        if not isinstance(entries, list):
            faults.add(f"'{section}' is not a list of rules", file=file, hint="Begin each rule with a dash.")
            continue
        for number, entry in enumerate(entries, 1):
            rule = _rule(section, model, number, entry, faults, file)
            if rule is None:
                continue
            if rule.name in seen:
                faults.add(
                    "two rules have this name",
                    file=file,
                    rule=rule.name,
                    hint="Give each rule a name of its own.",
                )
            seen[rule.name] = section
            rules[section].append(rule)
    return Policy(objective, sense, **rules, file=file)


def _objective(raw: Any, faults: Faults, file: str | None) -> tuple[str, Literal["maximise", "minimise"]]:
    if isinstance(raw, str) and raw.strip():
        return raw, "maximise"
    if isinstance(raw, list):
        faults.add("an objective in ranks is not supported yet", file=file, rule="objective")
    elif isinstance(raw, Mapping) and len(raw) == 1 and isinstance(next(iter(raw.values())), str):
        ((sense, expression),) = raw.items()
        if sense in ("maximise", "minimise"):
            return expression, sense
        faults.add(
            f"unknown sense '{sense}'",
            file=file,
            rule="objective",
            hint=nearest(str(sense), ("maximise", "minimise")),
        )
    else:
        faults.add("the policy has no objective that can be read", file=file, rule="objective",
                   hint="Write for instance objective: value - cost, or {minimise: cost}.")  # fmt: skip
    return "contacts", "maximise"


def _rule(
    section: str, model: type[Rule], number: int, entry: Any, faults: Faults, file: str | None
) -> Rule | None:
    """Read one rule; None if it has faults."""
    label = f"{section}, rule {number}"
    if not isinstance(entry, Mapping):
        faults.add("a rule is a mapping with a name", file=file, rule=label)
        return None
    if isinstance(entry.get("name"), str):
        label = entry["name"]
    entry = {str(k): v for k, v in entry.items()}
    pending = [k for k in entry if k in NOT_YET[section]]
    for key in pending:
        faults.add(f"the key '{key}' is not supported yet", file=file, rule=label)
        entry.pop(key)
    try:
        rule = model.model_validate(entry)
    except ValidationError as error:
        for detail in error.errors():
            _explain(detail, model, label, faults, file)
        return None
    if isinstance(rule, Limit):
        _check_limit(rule, faults, file)
    return None if pending else rule


def _explain(detail: Any, model: type[Rule], label: str, faults: Faults, file: str | None) -> None:
    key = ".".join(str(part) for part in detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        faults.add(f"unknown key '{key}'", file=file, rule=label, hint=nearest(key, model.model_fields))
    elif kind == "missing":
        faults.add(f"the key '{key}' is missing", file=file, rule=label)
    elif kind == "literal_error":
        faults.add(
            f"'{key}' takes {detail['ctx']['expected']}, not {detail['input']!r}", file=file, rule=label
        )
    else:
        faults.add(f"'{key}' {detail['msg'].removeprefix('Value error, ')}", file=file, rule=label)


def _check_limit(rule: Limit, faults: Faults, file: str | None) -> None:
    if rule.min is None and rule.max is None:
        faults.add("a limit needs min or max", file=file, rule=rule.name)
    if isinstance(rule.min, float) and isinstance(rule.max, float) and rule.min > rule.max:
        faults.add(f"min {rule.min:g} is above max {rule.max:g}", file=file, rule=rule.name)
