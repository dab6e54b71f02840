"""What the planners' pages show, as HTML: a heat map, limits as bars, one customer, decisions, two plans.

Text from data goes through `omniopt.runs.html.text` before it stands in a page, so that a customer id or a
reason can never act as markup.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from omniopt.errors import Fault, Infeasible, OmnioptError
from omniopt.review.data import PAGE, Customer, FinishedRun
from omniopt.review.overrides import Overrides
from omniopt.runs.figures import Bar, bars
from omniopt.runs.html import css, number, paragraph, percent, picture, side_by_side, table, text, tiles

if TYPE_CHECKING:
    from omniopt.review.scenario import Knob, Outcome

MEASURES = ("objective", "value", "cost", "response")
FEW = 4  # limits of one rule that are shown among the others; more are folded


@cache
def style() -> str:
    """The style sheet of the planners' pages, once per page."""
    return f"<style>{css()}{Path(__file__).with_name('review.css').read_text(encoding='utf-8')}</style>"


def piece(html: str) -> str:
    """Wrap markup so that the style sheet applies to it."""
    return f'<div class="omniopt review">{html}</div>'


def in_words(error: OmnioptError) -> str:
    """An error as its sentences, one line each."""
    faults: Iterable[Fault | OmnioptError] = getattr(error, "faults", None) or [error]
    lines = [line for fault in faults for line in str(fault).splitlines() if line.strip()]
    if isinstance(error, Infeasible):
        lines[0] = f"No plan keeps all the rules: {lines[0]}"
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<div class="bad" role="alert"><ul>{items}</ul></div>'


def overview(run: FinishedRun) -> str:
    """The run in key figures."""
    proof = run.certificate
    status = {
        "optimal": "no plan is better",
        "within_gap": "within the gap asked for",
        "stopped_early": "stopped before the gap asked for",
    }.get(proof["status"], "")
    first, last = run.days
    span = " to ".join(run.day_label(day, "{0:%a} {0.day} {0:%b %Y}") for day in (first, last))
    return f'<p class="meta">Run <b>{text(run.name)}</b>, {text(span)}</p>' + tiles(
        [
            ("Objective", number(proof["objective"]), run.objective),
            (
                "At most possible" if run.maximises else "At least needed",
                number(proof["bound"]),
                f"gap {_gap(proof['gap'])}",
            ),
            ("Status", str(proof["status"]).replace("_", " "), status),
            ("Contacts", number(len(run.contacts)), f"{run.contacts['customer_id'].nunique():,} customers"),
        ]
    )


def sums(run: FinishedRun, contacts: pd.DataFrame) -> str:
    """How many contacts pass the filter, and what they add up to."""
    parts = [
        f"<b>{number(len(contacts))}</b> of {number(len(run.contacts))} contacts",
        f"{number(contacts['customer_id'].nunique())} customers",
    ]
    parts += [
        f"{name} {number(contacts[name].sum())}"
        for name in MEASURES
        if name in contacts and run.contacts[name].notna().any()
    ]
    return f'<p class="sums" aria-live="polite">{" · ".join(parts)}</p>'


def heat_map(run: FinishedRun, counts: pd.DataFrame) -> str:
    """Contacts by channel and day: the darker, the more; sums at the right and at the bottom."""
    if counts.empty:
        return paragraph("The plan has no contacts.", "aside")
    top = max(int(counts.to_numpy().max()), 1)
    head = _day_heads(run, [int(day) for day in counts.columns])
    rows = []
    for channel, row in counts.iterrows():
        cells = "".join(_heat(channel, run.day_label(day), int(n), top) for day, n in row.items())
        rows.append(
            f"<tr><th>{text(channel)}</th>{cells}<td class='n sum'>{number(int(row.sum()))}</td></tr>"
        )
    total = "".join(f'<td class="d sum">{_short(int(n))}</td>' for n in counts.sum())
    return (
        f'<div class="scroll"><table class="heat"><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}<tr><th>all</th>{total}"
        f'<td class="n sum">{number(int(counts.to_numpy().sum()))}</td></tr></tbody></table></div>'
    )


def contact_list(run: FinishedRun, contacts: pd.DataFrame) -> str:
    """The first contacts of a selection, behind a fold."""
    shown = contacts.head(PAGE)
    more = "" if len(contacts) <= PAGE else f" (the first {PAGE} of {len(contacts):,})"
    return table(_contacts(run, shown, MEASURES, customer=True), fold=f"Show these contacts{more}")


def limits(run: FinishedRun, only: str = "", binding: bool = False) -> str:
    """Limits as bars, with what is left of each and what one more unit would be worth.

    A rule that makes many limits is folded behind one line, unless it is the only one asked for.
    """
    rows = run.limits
    if only:
        rows = rows[rows["name"] == only]
    if binding:
        rows = rows[rows["price"].fillna(0) != 0]
    if rows.empty:
        return paragraph("None of these limits binds." if binding else "There are no limits.", "aside")
    sizes = rows.groupby("name", sort=False).size()
    single = rows[rows["name"].map(sizes) <= FEW] if not only else rows
    made = [_limit_table(single)] if len(single) else []
    for name in sizes.index[sizes > FEW] if not only else []:
        mine = rows[rows["name"] == name]
        bind = int((mine["price"].fillna(0) != 0).sum())
        head = f"{name}: {len(mine):,} limits, {bind:,} of them bind{'s' if bind == 1 else ''}"
        made.append(f'<details class="rule"><summary>{text(head)}</summary>{_limit_table(mine)}</details>')
    return "".join(made)


def _limit_table(rows: pd.DataFrame) -> str:
    body = "".join(_limit(row) for row in rows.head(PAGE).to_dict("records"))
    more = (
        paragraph(f"The first {PAGE} of {len(rows):,}, the dearest first.", "aside")
        if len(rows) > PAGE
        else ""
    )
    return (
        '<div class="scroll"><table class="limits"><thead><tr><th>limit</th><th class="use">use</th>'
        '<th class="n">used</th><th class="n">min</th><th class="n">max</th><th class="n">slack</th>'
        f'<th class="n">price</th></tr></thead><tbody>{body}</tbody></table></div>{more}'
    )


def contact_rules(run: FinishedRun) -> str:
    """Contact rules, conflicts and what eligibility dropped, as one small table each."""
    rules, made = run.rules, []
    caps = rules[rules["kind"] == "contact"]
    if len(caps):
        made.append(
            "<h3>Contact rules, for each customer</h3>"
            + table(
                pd.DataFrame(
                    {
                        "rule": caps["name"],
                        "max": caps["max"],
                        "most used": caps["used"],
                        "customers at the cap": caps["at_cap"] if "at_cap" in caps else math.nan,
                    }
                )
            )
        )
    reasons = run.certificate.get("dropped") or {}
    if reasons:
        made.append(
            "<h3>Dropped before the choice</h3>"
            + table(pd.DataFrame({"reason": list(reasons), "candidates": list(reasons.values())}))
        )
    return "".join(made)


def customer(run: FinishedRun, one: Customer) -> str:
    """One customer: what was chosen and why, what came next and why not, what was dropped."""
    made = [f"<h3>Customer {text(one.customer_id)}</h3>"]
    if len(one.chosen):
        made.append(table(_contacts(run, one.chosen, (*MEASURES, "advantage"))))
        made.append(
            paragraph(
                "Advantage: what this customer's best plan loses at the plan's prices without this contact.",
                "aside",
            )
        )
    else:
        made.append(paragraph("No contact was chosen for this customer."))
    made.append("<h3>Next best, not chosen</h3>")
    if len(one.next_best):
        worth = one.next_best["worth"].astype(float)
        frame = _contacts(run, one.next_best, ("objective",))
        frame["use of limits"] = (
            (1 if run.maximises else -1) * one.next_best["objective"] - worth
        ).to_numpy()
        frame["worth"] = worth.to_numpy()
        planned = one.next_best["offer_id"].isin(one.chosen["offer_id"])
        frame["why not"] = [_why_not(*each) for each in zip(worth, planned, strict=True)]
        made.append(table(frame))
        made.append(
            paragraph("Worth: the objective less what the contact uses of limits, at their prices.", "aside")
        )
    else:
        made.append(paragraph("Every candidate of this customer was chosen or dropped.", "aside"))
    if len(one.dropped):
        frame = _contacts(run, one.dropped.head(PAGE), ()).assign(
            reason=one.dropped["reason"].head(PAGE).to_numpy()
        )
        made.append(table(frame, fold=f"Dropped before the choice: {len(one.dropped):,}"))
    return "".join(made)


def _why_not(worth: float, planned: bool) -> str:
    if worth < -1e-9:
        return "uses more of scarce limits than it earns"
    if worth <= 1e-9:
        return "earns just what it uses of limits"
    if planned:
        return "the offer is planned on another day or channel"
    return "a contact rule, or a better contact"


def decisions(held: Overrides) -> str:
    """The vetoes and locks that hold, and what is wrong with the file."""
    made = []
    if held.faults or len(held.clashes):
        lines = [str(fault) for fault in held.faults]
        lines += [
            f"Customer {row.customer_id}, action {row.action_id}: vetoed ({row.reason_veto}) and locked"
            f" ({row.reason_lock}). Take one of the two back."
            for row in held.clashes.itertuples()
        ]
        made.append(
            '<div class="bad" role="alert">These decisions cannot be applied:<ul>'
            + "".join(f"<li>{text(line)}</li>" for line in lines)
            + "</ul></div>"
        )
    both = pd.concat([held.vetoes.assign(decision="veto"), held.locks.assign(decision="lock")])
    if both.empty:
        made.append(paragraph("No veto and no lock yet.", "aside"))
    else:
        both = both[["decision", "customer_id", "action_id", "reason", "who", "when"]]
        seconds = r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d\+00:00$"
        both["when"] = both["when"].str.replace(seconds, r"\1 \2 UTC", regex=True)
        made.append(table(both.rename(columns={"customer_id": "customer", "action_id": "action"})))
    return "".join(made)


def knob(one: Knob) -> str:
    """The line above a slider: the rule, what its number counts, and what it was in the run."""
    was = "100 %" if one.key == "scale" else number(one.value)
    return f'<p class="knob"><b>{text(one.name)}</b> <span>{text(one.what)}; {was} in the run</span></p>'


def two_plans(outcome: Outcome) -> str:
    """Two plans side by side: in words, by channel, measure by measure, and what is proven of each."""
    words = "".join(paragraph(said, "" if i else "good") for i, said in enumerate(outcome.words))
    plans = (outcome.before, outcome.after)
    frame = outcome.table.copy()
    frame.columns = pd.Index(["measure", "the run", "what if", "difference"])
    proof = pd.DataFrame(
        {
            "plan": ["the run", "what if"],
            "objective": [plan.objective for plan in plans],
            "bound": [plan.bound for plan in plans],
            "gap": [_gap(plan.gap) for plan in plans],
            "status": [plan.status.replace("_", " ") for plan in plans],
        }
    )
    formats = dict.fromkeys(frame.columns[1:], number)
    return words + side_by_side(*_by_channel(outcome)) + table(frame, formats) + table(proof)


def _by_channel(outcome: Outcome) -> list[str]:
    """Contacts by channel of the two plans, as two pictures in one scale."""
    plans = {"Contacts by channel, the run": outcome.before, "Contacts by channel, what if": outcome.after}
    counts = {caption: plan.contacts["channel"].value_counts() for caption, plan in plans.items()}
    channels = sorted(set().union(*(count.index for count in counts.values())))
    full = float(max((count.max() for count in counts.values() if len(count)), default=1))
    made = []
    for caption, count in counts.items():
        rows = [(channel, int(count.get(channel, 0))) for channel in channels]
        if rows:
            made.append(picture(bars([Bar(c, float(n), number(n), full=full) for c, n in rows]), caption))
    return made


def _contacts(
    run: FinishedRun, rows: pd.DataFrame, numbers: Sequence[str], customer: bool = False
) -> pd.DataFrame:
    """Contacts under short headings; numbers that do not exist in this run are left out."""
    headings = {"customer_id": "customer", "action_id": "action", "offer_id": "offer", "channel": "channel"}
    there = [name for name in numbers if name in rows and rows[name].notna().any()]
    frame = rows[[*list(headings)[0 if customer else 1 :], "day", *there]]
    return frame.assign(day=[run.day_label(day) for day in rows["day"]]).rename(columns=headings)


def _gap(gap: float) -> str:
    return "0" if gap <= 1e-9 else percent(gap, 3)  # as near to nothing as rounding lets a proof come


def _heat(channel: object, day: str, count: int, top: int) -> str:
    # The square root keeps a channel of few contacts visible beside one of many.
    share = math.sqrt(count / top)
    ink = " dark" if share > 0.6 else ""
    return (
        f'<td class="d{ink}" style="background: rgba(15, 110, 132, {share:.2f})"'
        f' title="{text(channel)}, {text(day)}: {count:,}">{_short(count)}</td>'
    )


def _short(count: int) -> str:
    """A count in at most four signs, for cells of a heat map; nothing for none."""
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{sign}" if count < 10 * size else f"{count // size}{sign}"
    return str(count) if count else ""


def _limit(row: dict[str, Any]) -> str:
    low, high, used = (float(row[c]) if pd.notna(row[c]) else None for c in ("min", "max", "used"))
    reach = max(abs(v) for v in (low, high, used, 0.0) if v is not None) or 1.0
    share = 0.0 if used is None else 100 * min(abs(used) / reach, 1.0)
    ticks = "".join(
        f'<i style="left: {100 * abs(v) / reach:.1f}%"></i>' for v in (low, high) if v is not None
    )
    price = 0.0 if pd.isna(row["price"]) else float(row["price"])
    binds = " tight" if price else ""
    says = (
        f"{number(used)} used"
        + (f", at most {number(high)}" if high is not None else "")
        + (f", at least {number(low)}" if low is not None else "")
    )
    group = row["group"] if isinstance(row["group"], dict) else {}
    where = "".join(f"<span>{text(str(k).rpartition('.')[2])} {text(v)}</span>" for k, v in group.items())
    empty = ' <span class="aside">nothing to compare with</span>' if row.get("vacuous") is True else ""
    numbers = {
        "used": number(used),
        "min": number(low),
        "max": number(high),
        "slack": number(row["slack"]),
        "price": number(price) if price else "0",
    }
    cells = "".join(f'<td class="n" data-label="{label}">{value}</td>' for label, value in numbers.items())
    return (
        f'<tr><td class="rule"><b>{text(row["name"])}</b>{where}{empty}</td>'
        f'<td class="use"><div class="bar{binds}" role="img" aria-label="{text(says)}" title="{text(says)}">'
        f'<b style="width: {share:.1f}%"></b>{ticks}</div></td>{cells}</tr>'
    )


def _day_heads(run: FinishedRun, days: list[int]) -> str:
    """The heads of a heat map's columns: months over days; day numbers where there are no dates."""
    if run.start is None:
        return (
            "<tr><th>channel</th>"
            + "".join(f'<th class="d">{day}</th>' for day in days)
            + '<th class="n">all</th></tr>'
        )
    labels = [run.day_label(day, "{0.day} {0:%b}").split() for day in days]
    months: dict[str, int] = {}
    for _, month in labels:
        months[month] = months.get(month, 0) + 1
    over = "".join(f'<th colspan="{n}">{text(month)}</th>' for month, n in months.items())
    under = "".join(
        f'<th class="d" title="{text(run.day_label(day))}">{text(of_month)}</th>'
        for day, (of_month, _) in zip(days, labels, strict=True)
    )
    return f'<tr><th></th>{over}<th></th></tr><tr><th>channel</th>{under}<th class="n">all</th></tr>'
