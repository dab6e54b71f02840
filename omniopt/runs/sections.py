"""The report's sections on the plan: contacts, limits, rules, what was dropped, what else could be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from omniopt.runs import figures, rule_costs
from omniopt.runs.html import Fragment, number, paragraph, percent, picture, plain, side_by_side, table
from omniopt.runs.report import TODAY, Result

_SHOWN = 16  # bars in one picture; tables hold the rest


def contacts(result: Result) -> Fragment:
    """Who is contacted with what, by which channel, when."""
    frame = result.contacts
    if frame.empty:
        return Fragment(
            paragraph("The plan contacts nobody: under these rules no contact is worth its cost.")
        )
    pictures = [
        picture(_count_bars(frame["channel"]), "Contacts by channel"),
        picture(_count_bars(frame["offer_id"], result.offer), "Contacts by offer"),
    ]
    if frame["date"].nunique() > 1:
        pictures.append(picture(_calendar(result), "Contacts by channel and day"))
    each = frame["customer_id"].value_counts().value_counts().sort_index()
    none = result.customers - frame["customer_id"].nunique()
    counts = pd.concat([pd.Series({0: none}), each])
    if len(counts) > 8:
        counts = pd.concat([counts.iloc[:7], pd.Series({f"{counts.index[7]}+": counts.iloc[7:].sum()})])
    pictures.append(
        picture(
            figures.columns([str(n) for n in counts.index], counts.tolist(), "contacts"),
            "Customers by number of contacts",
        )
    )
    return Fragment(side_by_side(*pictures) + table(totals(frame, "channel"), {"share": percent}))


def totals(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    """Contacts, customers, responses, value and cost for each value of a column, as far as they are known."""
    groups = frame.groupby(by, sort=True)
    made = pd.DataFrame({
        by: list(groups.groups),
        "contacts": groups.size().to_numpy(),
        "share": groups.size().to_numpy() / max(len(frame), 1),
        "customers": groups["customer_id"].nunique().to_numpy(),
    })  # fmt: skip
    for name, measure in {
        "responses": "response",
        "value": "value",
        "cost": "cost",
        "more responses": "incremental_response",
        "more value": "incremental_value",
        "annoyance": "annoyance",
        "objective": "objective",
    }.items():
        if measure in frame and frame[measure].notna().any():
            made[name] = groups[measure].sum().to_numpy()
    return made.sort_values("contacts", ascending=False, kind="stable")


def limits(result: Result) -> Fragment:
    """Use and price of every limit, as pictures and as a table."""
    rows = [rule for rule in result.certificate["rules"] if rule["kind"] == "limit"]
    if not rows:
        return Fragment(paragraph("The policy sets no limits across customers."))
    words = (
        "A stroke marks the minimum or maximum. Where a limit binds, its price says by how much the "
        "objective would grow if it gave way by one unit; a limit without a price costs the plan nothing."
    )
    known = rule_costs.ranges(rows)
    if "price holds" in known:
        words += " A price holds as long as its limit stays between the values shown."
    if "if raised" in known:
        words += " Where two prices meet at the limit, there is one for raising it and one for lowering it."
    made = pd.DataFrame({
        "limit": [rule["name"] for rule in rows],
        "for": [_group(result, rule) for rule in rows],
        "at least": [rule["min"] for rule in rows],
        "used": [rule["used"] for rule in rows],
        "at most": [rule["max"] for rule in rows],
        "room left": [rule["slack"] for rule in rows],
        "price": [abs(rule["price"] or 0) for rule in rows],
    })  # fmt: skip
    made = made.assign(**known)
    for name, key in {"missed by": "missed_by", "penalty paid": "penalty_paid"}.items():
        if any(rule.get(key) for rule in rows):
            made[name] = [rule.get(key) for rule in rows]
    if not any(made["for"]):
        made = made.drop(columns="for")
    numeric = {c: plain if c == "price holds" else number for c in made.columns if c not in ("limit", "for")}
    fold = f"All {number(len(rows))} limits in figures" if len(rows) > 40 else None
    shown = paragraph(words) + side_by_side(*_limit_pictures(result, rows)) + table(made, numeric, fold=fold)
    cells = [rule for rule in rows if "opened" in rule and not rule.get("report_only")]
    if cells:
        opened = [f"{rule['name']} {_group(result, rule)}".strip() for rule in cells if rule["opened"]]
        paid = number(result.certificate.get("fixed_cost", 0.0))
        shown += paragraph(
            f"Opened: {', '.join(opened) or 'none'} ({number(len(opened))} of {number(len(cells))}). "
            f"Fixed costs paid: {paid}.", "aside",
        )  # fmt: skip
    empty = dict.fromkeys(rule["name"] for rule in rows if rule.get("vacuous"))
    if empty:
        shown += paragraph(f"Holds because nothing is in its scope: {', '.join(empty)}.", "aside")
    return Fragment(shown)


def contact_rules(result: Result) -> Fragment:
    """Rules for each customer, how many customers have reached them, and conflicts."""
    rows = [rule for rule in result.certificate["rules"] if rule["kind"] == "contact"]
    pairs = [rule for rule in result.certificate["rules"] if rule["kind"] == "conflict"]
    said = ""
    if rows:
        reached, everyone = [rule.get("at_cap") or 0 for rule in rows], max(result.customers, 1)
        drawn = [
            figures.Bar(rule["name"], n / everyone, f"{number(n)} of {number(everyone)}", 1.0)
            for rule, n in zip(rows, reached, strict=True)
        ]
        made = pd.DataFrame({
            "rule": [rule["name"] for rule in rows],
            "at least": [rule.get("min") for rule in rows],
            "at most": [rule["max"] for rule in rows],
            "largest count": [rule["used"] for rule in rows],
            "customers at the cap": reached,
            "share": [n / everyone for n in reached],
        }).dropna(axis="columns", how="all")  # fmt: skip
        numeric: dict[str, Any] = {c: number for c in made.columns if c != "rule"}
        said += side_by_side(
            picture(figures.bars(drawn), "Customers for whom one more contact would break the rule"),
            table(made, numeric | {"share": percent}),
        )
    needs = [rule for rule in result.certificate["rules"] if rule["kind"] == "requires"]
    if needs:
        made = pd.DataFrame({
            "requirement": [rule["name"] for rule in needs],
            "contacts that rely on it": [rule["used"] for rule in needs],
            "customers concerned": [rule["customers"] for rule in needs],
        })  # fmt: skip
        said += table(made, {"contacts that rely on it": number})
    if pairs:
        made = pd.DataFrame(
            {"conflict": [r["name"] for r in pairs], "customers concerned": [r["customers"] for r in pairs]}
        )
        said += table(made)
    return Fragment(said or paragraph("The policy sets no rules for each customer."))


def dropped(result: Result) -> Fragment:
    """What was left out before the decision, and why."""
    reasons = result.reasons.sort_values("candidates", ascending=False, kind="stable")
    if reasons.empty:
        return Fragment(paragraph("No possible contact was dropped."))
    kept = int(result.certificate["candidates"])
    all_of_them = kept + int(reasons["candidates"].sum())
    drawn = figures.bars([
        figures.Bar(row.reason, row.candidates, number(row.candidates))
        for row in reasons.head(_SHOWN).itertuples()
    ])  # fmt: skip
    made = reasons[["reason", "candidates", "customers"]].rename(columns={"candidates": "contacts dropped"})
    made.insert(2, "share", made["contacts dropped"] / all_of_them)
    words = (
        f"Of {number(all_of_them)} contacts that could be thought of, {number(kept)} were left to decide on. "
        "Each of the others counts under the first reason that ruled it out; a customer may count under "
        "several reasons."
    )
    return Fragment(
        paragraph(words)
        + side_by_side(picture(drawn, "Contacts dropped, by reason"), table(made, {"share": percent}))
    )


def baselines(result: Result) -> Fragment:
    """The plan beside what would be done without it, under the same rules."""
    others = result.run.frame("baselines")
    if others is None or others.empty:
        return Fragment(paragraph("No baselines were made for this run."))
    objective, measures = result.certificate["objective"], ["value", "cost", "response"]
    plan = {"name": "this plan", "contacts": len(result.contacts), "objective": objective, "missed": ""}
    plan |= {name: result.contacts[name].sum(min_count=1) for name in measures}
    others = others.assign(name=others["name"].map(_practice), missed=others["missed"].map(_listed))
    both = pd.concat([pd.DataFrame([plan]), others], ignore_index=True)
    drawn = [
        figures.Bar(
            name.partition(":")[0],
            max(worth, 0.0),
            number(worth) + (", misses a limit" if missed else ""),
            strong=bool(missed),
        )
        for name, worth, missed in zip(both["name"], both["objective"], both["missed"], strict=True)
    ]
    gain = result.sign * (objective - both["objective"])
    made = both[["name", "contacts", *measures, "objective"]].assign(gain=gain.where(both.index > 0))
    made["limits missed"] = both["missed"].replace("", "none")
    made = made.rename(columns={"name": "", "response": "responses", "gain": "gain of the plan"})
    made = made.dropna(axis="columns", how="all")
    best = gain[1:].idxmin()
    words = f"Beside the best of them, {both['name'][best]}, the plan gains {number(gain[best])}."
    if both["missed"][best]:
        words += f" And it keeps what that one misses: {both['missed'][best]}."
    explain = (
        "All of them go through the same contacts under the same limits, caps and conflicts, each in its own "
        "order, and take what still fits: first what the minimums ask for, then the rest."
    )
    numeric = {column: number for column in made.columns if column not in ("", "limits missed")}
    return Fragment(
        paragraph(words, "good")
        + picture(figures.bars(drawn), f"Objective: {result.aim}")
        + table(made, numeric)
        + paragraph(explain, "aside")
    )


def _practice(name: str) -> str:
    return f"today's practice: {name}" if name == TODAY else name


def _count_bars(values: pd.Series, name_of: Callable[[str], str] = str) -> str:
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    shown = counts.head(_SHOWN - 1 if len(counts) > _SHOWN else _SHOWN)
    rows = [
        figures.Bar(name_of(str(name)), float(n), f"{number(n)} · {percent(n / counts.sum(), 0)}")
        for name, n in shown.items()
    ]
    if len(counts) > len(shown):
        rest = counts.iloc[len(shown) :]
        # Without a length: beside so many together, each single one would look like nothing.
        note = f"{number(rest.sum())} · {percent(rest.sum() / counts.sum(), 0)}"
        rows.append(figures.Bar(f"{number(len(rest))} others", 0.0, note))
    return figures.bars(rows)


def _calendar(result: Result) -> str:
    """Contacts by channel and day, for days on which something could be done; by week where they are many."""
    project, actions = result.run.project, result.run.tables.actions
    days = pd.Index(result.contacts["date"].unique())
    if actions is not None and "date" in actions:
        days = days.union(pd.Index(project.date_of(actions["date"].unique())))
    counts = pd.crosstab(result.contacts["channel"], result.contacts["date"]).reindex(
        columns=days, fill_value=0
    )
    unit = "contacts"
    if len(days) > 62:
        first = days[0]
        weeks = [first + (day - first) // pd.Timedelta(days=7) * pd.Timedelta(days=7) for day in days]
        counts, unit = counts.T.groupby(weeks).sum().T, "contacts a week"
    labels = [result.day(day) for day in counts.columns]
    return figures.heat(counts.to_numpy(float), [str(name) for name in counts.index], labels, unit)


def _limit_pictures(result: Result, rows: list[dict[str, Any]]) -> list[str]:
    """Bars; but shades for a rule that makes a limit for each of many days."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for rule in rows:
        by_name.setdefault(rule["name"], []).append(rule)
    many = {
        n: of for n, of in by_name.items() if len(of) > _SHOWN / 2 and all("date" in r["group"] for r in of)
    }
    single = [rule for rule in rows if rule["name"] not in many]
    tightest = sorted(single, key=lambda rule: (-abs(rule["price"] or 0) * _size(rule), _room(rule)))[:_SHOWN]
    drawn = []
    if single:
        some = f"The {_SHOWN} tightest of {number(len(single))} limits" if len(single) > _SHOWN else "Limits"
        bars = [_limit_bar(result, rule) for rule in single if any(rule is one for one in tightest)]
        drawn.append(picture(figures.bars(bars), f"{some}: used, and what is allowed"))
    return drawn + [_limit_shades(result, name, of) for name, of in many.items()]


def _limit_shades(result: Result, name: str, rules: list[dict[str, Any]]) -> str:
    """How much of a limit is used, by day and by whatever else divides it."""
    side = "max" if rules[0]["max"] is not None else "min"
    used = pd.DataFrame({
        "group": [", ".join(str(v) for k, v in r["group"].items() if k != "date") for r in rules],
        "date": [r["group"]["date"] for r in rules],
        "share": [100 * (r["used"] or 0.0) / max(abs(r[side] or 0.0), 1e-12) for r in rules],
    })  # fmt: skip
    shares = used.pivot_table(index="group", columns="date", values="share", fill_value=0.0)
    fullest = shares.loc[shares.sum(axis=1).sort_values(ascending=False, kind="stable").index[:_SHOWN]]
    unit = "% of the maximum" if side == "max" else "% of the minimum"
    drawn = figures.heat(
        fullest.to_numpy().clip(0, 999),
        [str(group) or "all" for group in fullest.index],
        [result.day(day) for day in fullest.columns],
        unit,
    )
    return picture(drawn, f"{name}: used, in {unit}")


def _limit_bar(result: Result, rule: dict[str, Any]) -> figures.Bar:
    low, high, used, price = rule["min"], rule["max"], rule["used"], rule["price"] or 0.0
    group = _group(result, rule)
    label = f"{rule['name']} · {group}" if group else rule["name"]
    if used is None:
        return figures.Bar(label, 0.0, "nothing in its scope", 1.0)
    marks = tuple(float(side) for side in (low, high) if side is not None)
    # A price below zero is the minimum's: it is the side that binds.
    least = high is None or (low is not None and price < 0)
    note = f"{number(used)}, at least {number(low)}" if least else f"{number(used)} of {number(high)}"
    note += f" · price {number(abs(price))}" if price else ""
    full = max([*marks, float(used), 1e-12])
    return figures.Bar(label, float(used), note, full, marks, strong=bool(price or rule.get("missed_by")))


def _group(result: Result, rule: dict[str, Any]) -> str:
    """The group of a limit in words: values, dates, the first day of a window; and what is only watched."""
    said = []
    for name, value in (rule.get("group") or {}).items():
        day = result.day(value) if name in ("date", "from") else str(value)
        said.append(f"from {day}" if name == "from" else day)
    return ", ".join(said + ["only watched"] * bool(rule.get("report_only")))


def _size(rule: dict[str, Any]) -> float:
    return max(abs(rule["min"] or 0), abs(rule["max"] or 0))


def _room(rule: dict[str, Any]) -> float:
    return (rule["slack"] or 0) / max(_size(rule), 1e-12)


def _listed(names: Any) -> str:
    """Rule names in one cell, however they were stored."""
    return (
        names if isinstance(names, str) else ", ".join([] if names is None else [str(name) for name in names])
    )
