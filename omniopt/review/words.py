"""What a what-if changed, in sentences: in money, and how much of it is proven."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from omniopt.decisions import Plan
from omniopt.runs.html import number, percent


def of_changes(
    policy: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]], vetoes: int, locks: int
) -> str:
    """What was turned, such as ``total budget at most 40 instead of 45 and 2 vetoes``.

    Parameters
    ----------
    policy : mapping
        The policy before the changes.
    changes : mapping
        Rule → keys and their new values.
    vetoes, locks : int
        How many were applied.
    """
    rules = {rule["name"]: rule for section in ("limits", "contact") for rule in policy.get(section) or []}
    said = [_change(rules[name], key, new) for name, change in changes.items() for key, new in change.items()]
    for count, one, many in ((vetoes, "veto", "vetoes"), (locks, "lock", "locks")):
        said.append(f"{count} {one if count == 1 else many}" if count else "")
    return listed([words for words in said if words]) or "nothing changed"


def of_two_plans(objective: str, changed: str, before: Plan, after: Plan, maximises: bool) -> list[str]:
    """The difference of two plans: the objective, the sums behind it, and what is certain about it.

    Parameters
    ----------
    objective : str
        What the plans are the best for.
    changed : str
        What was changed, in words.
    before, after : Plan
    maximises : bool
        Whether more of the objective is better.
    """
    delta = after.objective - before.objective
    if abs(delta) <= 1e-9 * max(1.0, abs(before.objective)):
        delta = 0.0  # rounding, no difference
    share = f" ({percent(abs(delta / before.objective))})" if before.objective else ""
    outcome = f"{number(abs(delta))} {'more' if delta > 0 else 'less'}{share}" if delta else "no difference"
    old, new = told_apart(before.objective, after.objective)
    words = [
        f"With {changed}, {objective} comes to {new} instead of {old}: {outcome}.",
        _sums(before, after),
        _proof(before, after, 1 if maximises else -1),
    ]
    if after.status == "stopped_early":
        words.append(f"Solving stopped before the gap asked for: {percent(after.gap, 2)} is still open.")
    return words


def of_changed_inputs(names: Sequence[str], run: str) -> str:
    """That tables are no longer what they were when the run was made."""
    return (
        f"Since the run was made, {listed(names)} changed. Both plans are solved with what is there now;"
        f" what {run} itself decided may differ."
    )


def told_apart(a: float, b: float) -> tuple[str, str]:
    """Two numbers in words, with as many digits as it takes to see a difference that is there.

    Examples
    --------
    >>> told_apart(251.53, 251.497)
    ('251.53', '251.50')
    """
    for digits in (None, *range(2, 12)):
        words = number(a, digits), number(b, digits)
        if words[0] != words[1]:
            return words
    return number(a), number(b)


def listed(parts: Sequence[str]) -> str:
    """Join parts as people do: ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _change(rule: Mapping[str, Any], key: str, new: Any) -> str:
    """One key of a rule and its new value; nothing where it is the old one."""
    name, old = rule["name"], 1 if key == "scale" else rule.get(key)
    if new == old:
        return ""
    if key == "scale":
        return f"{name} at {percent(new, 0)} of its maximum"
    if key in ("max", "min") and isinstance(new, int | float):
        was = f" instead of {number(old)}" if isinstance(old, int | float) else ""
        return f"{name} at {'most' if key == 'max' else 'least'} {number(new)}{was}"
    return f"{name} with {key} left out" if new is None else f"{name} with {key} {new}"


def _sums(before: Plan, after: Plan) -> str:
    said = []
    for measure in ("value", "cost"):
        old, new = (float(plan.contacts[measure].sum(min_count=1)) for plan in (before, after))
        if math.isfinite(new - old) and new != old:
            said.append(f"{measure} {'rises' if new > old else 'falls'} by {number(abs(new - old))}")
    extra = len(after.contacts) - len(before.contacts)
    some = f"{abs(extra):,} contact{'' if abs(extra) == 1 else 's'} {'more' if extra > 0 else 'fewer'}"
    said.append(f"there {'is' if abs(extra) == 1 else 'are'} {some if extra else 'as many contacts'}")
    words = listed(said)
    return f"{words[:1].upper()}{words[1:]}."


def _proof(before: Plan, after: Plan, sign: int) -> str:
    """What is certain about the difference of the two best possible plans, whatever the gaps leave open."""
    low, high = sorted([sign * (after.objective - before.bound), sign * (after.bound - before.objective)])
    if low < 0 < high:
        return (
            f"For certain, the best possible loses at most {number(-low)} and gains at most {number(high)}:"
            " that much the two gaps leave open."
        )
    least, most = sorted([abs(low), abs(high)])
    span = number(most) if number(least) == number(most) else f"{number(least)} to {number(most)}"
    return f"For certain, the best possible {'gains' if high > 0 else 'loses'} {span}."
