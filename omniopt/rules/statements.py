"""What every rule says, as equations: the source of the page on the mathematics.

A `Statement` is tied by the decorator `states` to the function that builds it, so that neither can
be there without the other; a test looks for statements without a builder, keys of the policy
without a statement, and statements without a model that a person has read.

    python -m omniopt.rules.statements docs/mathematics.md

writes the statements into the page, between its two marks.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from omniopt.actions.valuation import value_candidates

WIDTH = 128  # of the page
BEGIN, END = "<!-- statements: begin -->", "<!-- statements: end -->"
Builder = TypeVar("Builder", bound=Callable[..., Any])


@dataclass(frozen=True)
class Statement:
    """One thing that rules say.

    Attributes
    ----------
    part : str
        The heading that it stands under.
    name : str
    description : str
        In words.
    domain : str
        What the equation holds for.
    equation : str
        In plain text, one or more lines.
    keys : tuple of str
        Keys of the policy that it explains, as ``section.key``.
    """

    part: str
    name: str
    description: str
    domain: str
    equation: str
    keys: tuple[str, ...] = ()


PLAN, WHO = "Worth and objective", "Who may not get what"
ACROSS, EACH, PAIRS = "Limits across customers", "Contact rules", "One contact and another"

_ALL = [
    Statement(
        PLAN, "value of a candidate",
        "What a contact is expected to bring and to cost, where the project works it out. p is the response "
        "score, d the delivery rate, f the fallback channel, where there is one that may be used; u the "
        "uplift and q the chance to unsubscribe, where they are known.",
        "every candidate j",
        "response_j = d p + (1 - d) d_f p_f\n"
        "value_j    = response_j × value per response\n"
        "cost_j     = cost per contact + (1 - d) × unit cost of f + response_j × incentive\n"
        "incremental_response_j = d u + (1 - d) d_f u_f\n"
        "incremental_value_j    = incremental_response_j × value per response\n"
        "annoyance_j            = (d q + (1 - d) d_f q_f) × loss",
    ),
    Statement(
        PLAN, "legs",
        "A contact with a fallback channel has two legs: itself, and the load that failover brings to the "
        "other channel. A rule that tells channels apart sees each leg on its own; any other adds both, and "
        "counts one contact. u is what a channel uses per contact.",
        "every candidate j on channel c with fallback f, and every measure",
        "contacts: 1 on c, (1 - d) on f      u: u_c on c, (1 - d) u_f on f      all else: m_j on c, 0 on f",
    ),
    Statement(
        PLAN, "objective",
        "The first objective, as a maximum: a minimum has its sign turned. v_j is the expression of "
        "candidate j. Fixed costs F_g of open cells z_g count with their factor φ in the expression, or are "
        "taken off (φ = -1) where it does not name them. Misses s_k of limits with a price are always taken "
        "off.",
        "the plan",
        "max  Σ_j v_j x_j + φ Σ_g F_g z_g - Σ_k penalty_k s_k",
    ),
    Statement(
        PLAN, "ranks",
        "Each further objective is optimised among the plans that keep the earlier ones, as maxima, within "
        "their share of the value V_r that was found for them. A later objective has fixed costs only if it "
        "names them.",
        "every earlier rank r",
        "objective_r(x, z, s) ≥ V_r - within_r |V_r|",
    ),
    Statement(
        WHO, "drop",
        "A candidate in the scope is none. One that is in it by its fallback channel only loses the "
        "fallback.",
        "every candidate j with `drop`(j)",
        "x_j = 0",
        ("eligibility.drop",),
    ),
    Statement(
        WHO, "rest",
        "E is what happened to the candidate's customer that has one of the outcomes and the same offer, "
        "category, channel or business unit (or anything, with `all`), one day e for each row. It triggers "
        "a rest on a day on which the number is full.",
        "every candidate j and day e of E with  #{e' in E : e - within_days < e' ≤ e} ≥ times",
        "x_j = 0   where  0 ≤ d_j - e < for_days",
        ("eligibility.after", "eligibility.drop_same", "eligibility.for_days"),
    ),
    Statement(
        ACROSS, "limit",
        "The sum of a measure over the chosen contacts in the scope lies between two bounds.",
        "every limit k",
        "min_k ≤ Σ_(j in where) m_j x_j ≤ max_k",
        ("limits.where", "limits.measure", "limits.min", "limits.max"),
    ),
    Statement(
        ACROSS, "groups",
        "One limit for every combination of values that occurs among the candidates or in the limit's "
        "table. With several values in a cell a contact is in the group of each. A bound may stand in the "
        "table's row.",
        "every group g of `per`",
        "min_g ≤ Σ_(j in where and g) m_j x_j ≤ max_g",
        ("limits.per",),
    ),
    Statement(
        ACROSS, "ratio",
        "A ratio of sums, made linear; it holds where nothing is chosen. Each sum has a scope of its own.",
        "every group g, one row for each side",
        "Σ_(j in where and g) m_j x_j - min_g Σ_(j in over and g) o_j x_j ≥ 0\n"
        "Σ_(j in where and g) m_j x_j - max_g Σ_(j in over and g) o_j x_j ≤ 0",
        ("limits.over",),
    ),
    Statement(
        ACROSS, "rolling window",
        "W is `rolling_days`, H what past contacts and commitments in the scope measure in the window (for "
        "a ratio, less the ratio times what they measure below the line). Windows that hold the same "
        "candidates are one row, that of the H which leaves the least room.",
        "every group g; max: every first day t of a window with a candidate in it; min: every t with the "
        "window inside the horizon",
        "Σ_(j in where and g, t ≤ d_j < t + W) m_j x_j ≤ max_g - H_gt\n"
        "Σ_(j in where and g, t ≤ d_j < t + W) m_j x_j ≥ min_g - H_gt",
        ("limits.rolling_days",),
    ),
    Statement(
        ACROSS, "cell",
        "A group that is opened by its first contact, on whichever leg, has a binary z. Its fixed cost F is "
        "paid once: see the objective. A measure may have the plan's fixed costs in it, with a factor φ.",
        "every group g of a limit with `all_or_nothing` or `fixed_cost`, and every candidate j in it",
        "x_j ≤ z_g ≤ Σ_(i in g) x_i,   z_g binary\n"
        "fixed_cost = Σ_g F_g z_g over all limits,   added as  φ × fixed_cost",
        ("limits.fixed_cost",),
    ),
    Statement(
        ACROSS, "all or nothing",
        "The group gets no contact at all, or at least its minimum.",
        "every group g",
        "Σ_(j in where and g) m_j x_j - min_g z_g ≥ 0",
        ("limits.all_or_nothing",),
    ),
    Statement(
        ACROSS, "penalty",
        "A limit that may be missed on either side, at a price per unit of its measure: see the objective.",
        "every row k of a limit with `penalty`",
        "lo_k - s⁻_k ≤ row_k(x, z) ≤ hi_k + s⁺_k,   s⁻_k, s⁺_k ≥ 0,   s_k = s⁻_k + s⁺_k",
        ("limits.penalty",),
    ),
    Statement(
        ACROSS, "watched limit",
        "Computed from the plan and shown, without a row, a cell or a price in the model.",
        "every limit with `report_only`",
        "used = Σ_(j in where) m_j x_j",
        ("limits.report_only",),
    ),
    Statement(
        EACH, "window",
        "W is `days`; H counts past contacts and commitments in the window, unless `history: false`. "
        "Windows that begin on the day of a candidate or a past contact are enough, since any other can be "
        "moved on until it does without losing a contact. A window that the past alone overfills takes "
        "nothing more.",
        "every customer (or household) u, and every window of W days in a row, from day t",
        "Σ_(j of u in where, t ≤ d_j < t + W) x_j ≤ max(0, max_u - H_ut)",
        ("contact.where", "contact.max", "contact.days", "contact.history"),
    ),
    Statement(
        EACH, "horizon and calendar",
        "Without `days` and `every` the horizon is the one window, and history does not count. With `every` "
        "the windows are the calendar weeks, from Monday, or months that a day of a candidate is in, with "
        "their past.",
        "every customer (or household) u, and every period P",
        "Σ_(j of u in where, d_j in P) x_j ≤ max(0, max_u - H_uP)",
        ("contact.every",),
    ),
    Statement(
        EACH, "each value",
        "Each value of the `per` attributes is counted on its own. Per channel, a contact counts on its own "
        "channel and on its fallback's, on each that is in the scope.",
        "every customer (or household) u, group g and window",
        "Σ_(j of u in where and g, in the window) x_j ≤ max(0, max_u - H_ug)",
        ("contact.per",),
    ),
    Statement(
        EACH, "what is counted",
        "Contacts, or distinct occasions (channel and date), or distinct values of an attribute: each class "
        "o once, and not at all if the past has it in the window already.",
        "every row of the rule",
        "Σ_(o not in H) y_o ≤ max(0, max_u - #H),   y_o ≥ x_j for every contact j of class o",
        ("contact.count",),
    ),
    Statement(
        EACH, "household",
        "All members of a household are one unit: their contacts, past and planned, are in the same rows.",
        "every customer c",
        "u(c) = the customer's household_id; without such a rule, the customer",
        ("contact.unit",),
    ),
    Statement(
        EACH, "bounds of customers",
        "A bound may stand in a column of the customers; the members of a household have to agree on it.",
        "every customer or household u",
        "max_u, min_u = the number itself, or the column's",
    ),
    Statement(
        EACH, "minimum",
        "Asked of the whole horizon, or of every window, week or month that lies wholly inside it; of every "
        "customer who satisfies the scope's customer attributes, also of those without candidates. With "
        "`per`, of the values among the unit's own candidates. An occasion that helps needs a contact.",
        "every such unit u and window",
        "Σ_o y_o ≥ min_u - #H,   y_o ≤ Σ_(j of class o) x_j",
        ("contact.min",),
    ),
    Statement(
        EACH, "minimum or none",
        "None is allowed too. A window with a commitment in it is not empty, and is asked for the minimum.",
        "every such window without past contacts or commitments, and every class o in it",
        "Σ_(i in the window) y_i ≥ min_u y_o",
        ("contact.min_or_none",),
    ),
    Statement(
        PAIRS, "conflict",
        "Not both of two contacts of a customer, i in `first` and j in `then`, if j follows within the lag "
        "L, the same day included. A contact that past ones forbid is none.",
        "every two contacts i ≠ j of a customer with  0 ≤ d_j - d_i < L;  every past contact h in `first`",
        "x_i + x_j ≤ 1,      x_j = 0  where  0 ≤ d_j - d_h < L",
        ("conflicts.first", "conflicts.then", "conflicts.days"),
    ),
    Statement(
        PAIRS, "either order",
        "Forbidden the other way round too. Past contacts and commitments count on either side, and bar "
        "what lies before them as well.",
        "every two contacts i in `first`, j in `then`, i ≠ j, of a customer with  |d_j - d_i| < L",
        "x_i + x_j ≤ 1",
        ("conflicts.either_order",),
    ),
    Statement(
        PAIRS, "one scope",
        "Where `first` and `then` are one scope any two within the lag clash: one row for each window says "
        "the same as the pairs, and gives a tighter relaxation.",
        "every customer and window of L days in a row",
        "Σ_(j in first, in the window) x_j ≤ 1",
    ),
    Statement(
        PAIRS, "prerequisite",
        "A contact in `offer` needs another contact of its customer in `needs` by its own channel. One that "
        "a past contact satisfies needs no row; one that nothing can satisfy is none.",
        "every j in `offer` without a past contact h in `needs` at  0 ≤ d_j - d_h ≤ days",
        "x_j ≤ Σ_(i ≠ j in needs, 0 ≤ d_j - d_i ≤ days) x_i",
        ("requires.offer", "requires.needs", "requires.days"),
    ),
    Statement(
        PAIRS, "in any order",
        "What is needed may come after as well.",
        "every j in `offer` without a past contact or commitment h in `needs` at  |d_j - d_h| ≤ days",
        "x_j ≤ Σ_(i ≠ j in needs, |d_j - d_i| ≤ days) x_i",
        ("requires.order",),
    ),
]  # fmt: skip
STATEMENTS = {statement.name: statement for statement in _ALL}


def states(*names: str) -> Callable[[Builder], Builder]:
    """Tie statements to the function or method that builds what they say.

    Parameters
    ----------
    *names : str
        Names of statements; one that is not there is an error at import.
    """
    unknown = [name for name in names if name not in STATEMENTS]
    if unknown:
        raise LookupError(f"there is no statement {', '.join(unknown)}")

    def tie(builder: Builder) -> Builder:
        vars(builder)["states"] = names
        return builder

    return tie


def section() -> str:
    """Return the statements as the page has them, by part."""
    lines: list[str] = []
    for part in dict.fromkeys(statement.part for statement in _ALL):
        lines += [f"### {part}", ""]
        for s in (statement for statement in _ALL if statement.part == part):
            keys = f" ({', '.join(f'`{key}`' for key in s.keys)})" if s.keys else ""
            lines += [textwrap.fill(f"**{s.name}**{keys}: {s.description}", WIDTH), ""]
            lines += [textwrap.fill(f"For {s.domain}:", WIDTH), ""]
            lines += [*(f"    {line}" for line in s.equation.splitlines()), ""]
    return "\n".join(lines)


def written(page: str) -> str:
    """Return a page with the statements between its two marks.

    Raises
    ------
    ValueError
        If the page has not both marks, once each and in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}, once each")
    return f"{before}{BEGIN}\n\n{section()}\n{END}{after}"


# The room below cannot import this one: its builder is tied from here.
states("value of a candidate")(value_candidates)

if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(written(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
