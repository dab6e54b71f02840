"""Reads a policy strictly: every fault at once, each with the rule that it is in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from omniopt.errors import Faults, nearest
from omniopt.rules.policy import (
    SECTIONS,
    After,
    Contact,
    Control,
    Denominator,
    Eligibility,
    Explore,
    Learning,
    Limit,
    Objective,
    Policy,
    Rule,
)

SENSES = ("maximise", "minimise")
# Keys that hold a mapping with keys of its own.
PARTS: dict[str, type[BaseModel]] = {
    "after": After,
    "over": Denominator,
    "control": Control,
    "explore": Explore,
}
ANYTHING = Objective("contacts", "maximise")  # stands in for an objective that cannot be read


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
        return Policy([ANYTHING], [], [], [], [], [], file)
    legal = ["objective", *SECTIONS, "learning"]
    for key in raw:
        if key not in legal:
            faults.add(f"unknown section '{key}' in the policy", file=file, hint=nearest(str(key), legal))
    objectives = _objectives(raw.get("objective"), faults, file)
    rules: dict[str, list[Any]] = {}
    seen: set[str] = set()
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
            seen.add(rule.name)
            rules[section].append(rule)
    return Policy(objectives, **rules, file=file, learning=_learning(raw.get("learning"), faults, file))


def _learning(raw: Any, faults: Faults, file: str | None) -> Learning | None:
    """Read who is held out and who gets contacts at random; None if nobody, or if it has faults."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        faults.add("'learning' is not a mapping", file=file, rule="learning",
                   hint="Write for instance learning: {control: {share: 0.05}}")  # fmt: skip
        return None
    try:
        learning = Learning.model_validate({str(k): v for k, v in raw.items()})
    except ValidationError as error:
        for detail in error.errors():
            _explain(detail, Learning, "learning", faults, file)
        return None
    control = learning.control
    if control is not None and control.share is None and control.per_offer is None:
        faults.add("'control' needs share or per_offer", file=file, rule="learning")
    return learning if control is not None or learning.explore is not None else None


def _objectives(raw: Any, faults: Faults, file: str | None) -> list[Objective]:
    """Read one objective, or a list of them in order of rank."""
    entries = raw if isinstance(raw, list) else [raw]
    read = [_objective(entry, faults, file, isinstance(raw, list)) for entry in entries]
    found = [objective for objective in read if objective is not None]
    if raw == []:
        faults.add("the list of objectives is empty", file=file, rule="objective")
    return found or [ANYTHING]


def _objective(raw: Any, faults: Faults, file: str | None, ranked: bool) -> Objective | None:
    if isinstance(raw, str) and raw.strip():
        return Objective(raw, "maximise")
    if not isinstance(raw, Mapping):
        faults.add("the policy has no objective that can be read", file=file, rule="objective",
                   hint="Write for instance objective: value - cost, or {minimise: cost}.")  # fmt: skip
        return None
    entry = {str(key): value for key, value in raw.items()}
    legal = (*SENSES, "within") if ranked else SENSES
    strange = [key for key in entry if key not in legal]
    for key in strange:
        faults.add(f"unknown sense '{key}'", file=file, rule="objective", hint=nearest(key, legal))
    senses = [sense for sense in SENSES if sense in entry]
    within = entry.get("within", 0.0)
    if not strange and (len(senses) != 1 or not isinstance(entry[senses[0]], str)):
        faults.add("an objective takes one expression to maximise or to minimise", file=file,
                   rule="objective", hint="Write for instance {maximise: value - cost}.")  # fmt: skip
    number = isinstance(within, int | float) and not isinstance(within, bool)
    if not number or not 0 <= within < math.inf:
        faults.add(f"'within' takes a share from 0, not {within!r}", file=file, rule="objective",
                   hint="Write 0.01 for one per cent.")  # fmt: skip
    elif not strange and len(senses) == 1 and isinstance(entry[senses[0]], str):
        return Objective(entry[senses[0]], senses[0], float(within))  # type: ignore[arg-type]
    return None


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
    try:
        rule = model.model_validate(entry)
    except ValidationError as error:
        for detail in error.errors():
            _explain(detail, model, label, faults, file)
        return None
    clashes = CHECKS[section](rule)
    for text in clashes:
        faults.add(text, file=file, rule=rule.name)
    return None if clashes else rule


def _explain(detail: Any, model: type[BaseModel], label: str, faults: Faults, file: str | None) -> None:
    key = ".".join(str(part) for part in detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        inner = PARTS.get(key.rpartition(".")[0], model)
        word = key.rpartition(".")[2]
        faults.add(f"unknown key '{key}'", file=file, rule=label, hint=nearest(word, inner.model_fields))
    elif kind == "missing":
        faults.add(f"the key '{key}' is missing", file=file, rule=label)
    elif kind == "literal_error":
        faults.add(
            f"'{key}' takes {detail['ctx']['expected']}, not {detail['input']!r}", file=file, rule=label
        )
    else:
        faults.add(f"'{key}' {detail['msg'].removeprefix('Value error, ')}", file=file, rule=label)


def _check_limit(rule: Limit) -> list[str]:
    found = []
    if rule.min is None and rule.max is None and rule.fixed_cost is None:
        found.append("a limit needs min or max")
    if isinstance(rule.min, float) and isinstance(rule.max, float) and rule.min > rule.max:
        found.append(f"min {rule.min:g} is above max {rule.max:g}")
    if rule.all_or_nothing and rule.min is None:
        found.append("all_or_nothing needs min: how much, if it is anything")
    for other in ("over", "rolling_days"):
        if getattr(rule, other) is not None:
            for key in ("all_or_nothing", "fixed_cost"):
                if getattr(rule, key) not in (None, False):
                    found.append(f"{key} and {other} do not go together")
    if rule.rolling_days is not None and "date" in rule.per:
        found.append("rolling_days and per date do not go together")
    return found


def _check_contact(rule: Contact) -> list[str]:
    found = []
    if rule.max is None and rule.min is None:
        found.append("a contact rule needs max or min")
    if isinstance(rule.min, int) and isinstance(rule.max, int) and rule.min > rule.max:
        found.append(f"min {rule.min} is above max {rule.max}")
    if rule.min_or_none and rule.min is None:
        found.append("min_or_none needs min: how many, if there are any")
    if rule.days is not None and rule.every is not None:
        found.append("days and every do not go together: a rolling window or a calendar one")
    return found


def _check_eligibility(rule: Eligibility) -> list[str]:
    trigger = {"after": rule.after, "drop_same": rule.drop_same, "for_days": rule.for_days}
    given = [key for key, value in trigger.items() if value is not None]
    if rule.drop is not None and given:
        return [f"drop and {given[0]} do not go together: write two rules"]
    if rule.drop is None and not given:
        return ["an eligibility rule needs drop, or after with drop_same and for_days"]
    if rule.drop is None and len(given) < len(trigger):
        return [f"the key '{key}' is missing" for key in trigger if key not in given]
    return []


CHECKS: dict[str, Callable[[Any], list[str]]] = {
    "eligibility": _check_eligibility,
    "limits": _check_limit,
    "contact": _check_contact,
    "conflicts": lambda rule: [],
    "requires": lambda rule: [],
}
