"""Whether the optimizer and brute force agree on a case, and on everything that a certificate claims."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import tiny
from hypothesis import note
from reference import Answer, Reference, Row

import omniopt as oo

CLOSE = 1e-6


def optimum(case: tiny.Case, **options: Any) -> oo.decisions.Plan | None:
    try:
        return oo.optimize(case.project(), **options)
    except oo.Infeasible:
        return None


def assert_same(case: tiny.Case, gap: float = 0.0) -> tuple[Reference, Answer, Any]:
    """Solve both ways and compare everything that a plan claims."""
    note(str(case))
    return check(case, gap)


def check(case: tiny.Case, gap: float = 0.0, **options: Any) -> tuple[Reference, Answer, Any]:
    reference = case.reference()
    answer = reference.solve()
    plan = optimum(case, gap=gap, **options)
    assert (plan is not None) == answer.feasible
    if plan is not None:
        chosen = rows_of(reference, plan)
        check_plan(reference, plan, chosen)
        check_optimum(reference, answer, plan, chosen, gap)
        check_proof(reference, answer, plan, gap)
        check_ranks(reference, answer, plan, chosen, gap)
        check_limits(reference, plan, chosen)
        check_contact(reference, plan, chosen)
        check_pairs(reference, plan, chosen)
    return reference, answer, plan


def rows_of(reference: Reference, plan: Any) -> list[int]:
    """The plan's contacts as positions among the reference's candidates."""
    place = {c.key: j for j, c in enumerate(reference.alive)}
    keys = list(zip(plan.contacts["customer_id"], plan.contacts["action_id"], strict=True))
    assert set(keys) <= set(place) and len(set(keys)) == len(keys)
    return [place[key] for key in keys]


def check_plan(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """Every contact is a candidate as the reference sees it, and together they keep every rule."""
    assert plan.certificate["candidates"] == len(reference.alive)
    assert {tuple(k) for k in plan.dropped[["customer_id", "action_id"]].to_numpy()} == set(reference.dropped)
    assert dict(Counter(reference.dropped.values())) == plan.certificate["dropped"]
    assert reference.keeps_all(chosen)
    for j, row in zip(chosen, plan.contacts.itertuples(), strict=True):
        contact = reference.alive[j]
        assert (row.offer_id, row.channel) == (contact.offer, contact.channel)
        assert (row.fallback if isinstance(row.fallback, str) else None) == contact.fallback
        assert row.date == contact.day if reference.start is None else reference.day(row.date) == contact.day
        assert row.objective == pytest.approx(reference.objectives[j], abs=1e-9)
        for name, amount in contact.own.items():
            assert getattr(row, name, amount) == pytest.approx(amount, abs=1e-9)


def check_optimum(reference: Reference, answer: Answer, plan: Any, chosen: list[int], gap: float) -> None:
    """The objective is what the plan is worth after fixed costs and penalties, and no plan is worth more."""
    told = plan.certificate
    assert plan.objective == pytest.approx(reference.value(chosen), abs=CLOSE)
    assert told["fixed_cost"] == pytest.approx(reference.fixed_costs(chosen), abs=CLOSE)
    assert told["penalties"] == pytest.approx(reference.penalties(chosen), abs=CLOSE)
    bests = [r["best"] for r in told["ranks"]] if len(answer.best) > 1 else [plan.objective]
    for number, (rank, best) in enumerate(zip(reference.ranks, bests, strict=True)):
        kept = rank.floor(best) - CLOSE * max(1.0, abs(best))
        assert rank.sign * reference.value(chosen, number) >= kept
        if gap == 0.0:
            assert best == pytest.approx(answer.best[number], abs=CLOSE)
    tolerance = CLOSE + gap * max(1.0, abs(plan.bound))
    assert bests[0] == pytest.approx(answer.best[0], abs=tolerance)


def check_proof(reference: Reference, answer: Answer, plan: Any, gap: float) -> None:
    """The bounds hold, the prices prove what they are said to, and the status claims no more than that."""
    sign, best = reference.sign, answer.best[0]
    assert sign * plan.bound >= sign * best - 1e-9 * max(1.0, abs(best))
    assert sign * plan.bound >= sign * plan.objective
    assert plan.gap == pytest.approx(abs(plan.bound - plan.objective) / max(1.0, abs(plan.bound)), abs=1e-15)
    if len(reference.ranks) == 1:
        assert "ranks" not in plan.certificate
        assert plan.status == status_of(plan.gap, gap)
    entries = in_order(reference, plan)
    prices = sorted_as(reference, plan, [entry["price"] for row, entry in entries if not row.report_only])
    assert all(entry["price"] == 0 for row, entry in entries if row.report_only)
    # a price above the penalty would prove nothing: the row would rather be missed
    assert all(abs(p) <= row.penalty for p, row in zip(prices, reference.rows, strict=True))
    check_bound(reference, plan.certificate["bound_from_prices"], best, prices)
    worth = reference.worth(prices)
    place = {c.key: j for j, c in enumerate(reference.alive)}
    for row in plan.alternatives.itertuples():
        assert row.worth == pytest.approx(worth[place[row.customer_id, row.action_id]], abs=CLOSE)


def status_of(gap: float, target: float) -> str:
    return "optimal" if gap <= 1e-9 else "within_gap" if gap <= target else "stopped_early"


def check_bound(
    reference: Reference, told: float, least: float, prices: list[float], rank: int = 0, **ranks: Any
) -> None:
    """The prices prove what is claimed, rounding allowed for, and no plan is better."""
    sign = reference.ranks[rank].sign
    proven = reference.proven_by(prices, rank, **ranks)
    assert sign * told >= sign * least - 1e-9 * max(1.0, abs(least))
    assert told == pytest.approx(proven, abs=CLOSE)
    assert sign * told >= sign * proven - 1e-12


def check_ranks(reference: Reference, answer: Answer, plan: Any, chosen: list[int], gap: float) -> None:
    """Every rank has its own best value, bound and prices; the whole claims what the worst does."""
    if len(reference.ranks) == 1:
        return
    told = plan.certificate["ranks"]
    bests = [entry["best"] for entry in told]
    for number, (rank, entry) in enumerate(zip(reference.ranks, told, strict=True)):
        assert entry["objective_expr"] == rank.expression and entry["within"] == rank.within
        assert entry["sense"] == ("maximise" if rank.sign > 0 else "minimise")
        assert entry["objective"] == pytest.approx(reference.value(chosen, number), abs=CLOSE)
        assert entry["gap"] == pytest.approx(
            abs(entry["bound"] - entry["best"]) / max(1.0, abs(entry["bound"])), abs=1e-12
        )
        assert entry["status"] == status_of(entry["gap"], gap)
        # the earlier ranks' floors come from the plans that were found, so with a gap they may be lower
        assert rank.sign * entry["bound"] >= rank.sign * answer.best[number] - 1e-9 * max(
            1.0, abs(entry["best"])
        )
        prices, kept = sorted_as(reference, plan, entry["prices"]), entry["rank_prices"]
        assert len(kept) == number and all(m <= 0 for m in kept)
        most = [row.penalty * (abs(kept[0]) if kept else 1.0) if row.penalty < math.inf else math.inf
                for row in reference.rows]  # fmt: skip
        assert all(abs(p) <= top * (1 + 1e-9) for p, top in zip(prices, most, strict=True))
        check_bound(
            reference, entry["bound_from_prices"], answer.best[number], prices, number, rank_prices=kept,
            best=bests,
        )  # fmt: skip
    order = ["optimal", "within_gap", "stopped_early"]
    worst = max((entry["status"] for entry in told), key=order.index)
    assert plan.status == (max(worst, "within_gap", key=order.index) if plan.gap > 1e-9 else worst)
    assert plan.certificate["gap_target"] == pytest.approx(gap + reference.ranks[0].within, abs=1e-8)


def in_order(reference: Reference, plan: Any) -> list[tuple[Row, dict[str, Any]]]:
    """The reference's rows with the certificate's entries, in the certificate's order."""
    rows = {row.key: row for row in reference.shown}
    split = {
        rule["name"] for rule in reference.policy.get("limits", [])
        if "over" in rule or "rolling_days" in rule or rule.get("all_or_nothing")
    }  # fmt: skip
    found = []
    for entry in plan.certificate["rules"]:
        if entry["kind"] == "limit":
            group = dict(entry["group"])
            begins = group.pop("from", None)
            if reference.start is not None:
                begins = None if begins is None else reference.day(begins)
                group |= {"date": reference.day(group["date"])} if "date" in group else {}
            side = ("min" if entry["min"] is not None else "max") if entry["name"] in split else ""
            found.append((rows.pop((entry["name"], tuple(group.items()), side, begins)), entry))
    assert rows == {}
    shown = [(row.name, row.side) for row in reference.shown]
    assert [(row.name, row.side) for row, _ in found] == shown  # sides one after the other
    assert plan.certificate["coupling_rows"] == len(reference.rows)
    return found


def sorted_as(reference: Reference, plan: Any, prices: list[float]) -> list[float]:
    """Prices in the certificate's order of rows, put into the reference's."""
    keys = [row.key for row, _ in in_order(reference, plan) if not row.report_only]
    told = dict(zip(keys, prices, strict=True))
    return [told[row.key] for row in reference.rows]


def check_limits(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """Use, slack, history, misses and what is paid are the sums that the reference makes."""
    fixed, seen = reference.fixed_costs(chosen), set()
    cells = {rule["name"] for rule in reference.policy.get("limits", [])
             if rule.get("all_or_nothing") or "fixed_cost" in rule}  # fmt: skip
    for row, entry in in_order(reference, plan):
        used, is_open = reference.used(row, chosen), not row.members.isdisjoint(chosen)
        low = row.lo if row.need is None else row.need * is_open
        slack, miss = min(used - low, row.hi - used), reference.miss(row, chosen)
        assert entry["slack"] == (pytest.approx(slack, abs=CLOSE) if math.isfinite(slack) else None)
        assert entry["missed_by"] == pytest.approx(miss, abs=CLOSE)
        paid = 0.0 if row.report_only or math.isinf(row.penalty) else row.penalty * miss
        assert entry["penalty_paid"] == pytest.approx(paid, abs=CLOSE)
        assert entry.get("report_only", False) == row.report_only
        assert ("history" in entry) == (row.begins is not None)
        assert entry.get("history", 0.0) == pytest.approx(row.history, abs=CLOSE)
        if row.ratio is None:
            assert entry["used"] == pytest.approx(used, abs=CLOSE)
            bounds = (row.lo if row.need is None else row.need, row.hi)
            assert (entry["min"], entry["max"]) == tuple(b if math.isfinite(b) else None for b in bounds)
        else:
            top = sum(row.numerator[j] for j in chosen) + row.past[0] + row.fixed * fixed
            bottom = sum(row.denominator[j] for j in chosen) + row.past[1] + row.below * fixed
            assert {entry["min"], entry["max"]} == {None, row.ratio}
            assert entry["vacuous"] == (bottom == 0)
            assert entry["used"] == (None if entry["vacuous"] else pytest.approx(top / bottom, abs=CLOSE))
        first = row.name in cells and (row.name, row.group) not in seen
        seen.add((row.name, row.group))
        assert ("opened" in entry) == ("fixed_cost" in entry) == first
        if first:
            cell = None if row.cell is None else reference.cells[row.cell]
            assert entry["opened"] == is_open
            assert entry["fixed_cost"] == (cell.cost if cell is not None and is_open else 0.0)


def check_contact(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """No unit is over a cap or short of a minimum, and no entry claims other windows than there are."""
    entries = {e["name"]: e for e in plan.certificate["rules"] if e["kind"] == "contact"}
    for rule in reference.policy.get("contact", []):
        windows, here = reference.windows_of(rule), frozenset(chosen)
        assert all(w.holds(here) for w in windows)
        counts = [(w.most, *w.chosen_and_count(here)) for w in windows]
        room = [most - count for most, now, count in counts if now]
        entry = entries.pop(rule["name"])
        assert entry["slack"] is None or entry["slack"] <= min(room, default=math.inf)
        fullest = max((count for _, _, count in counts), default=0)
        assert max((count for _, now, count in counts if now), default=0) <= entry["used"] <= fullest
        for side in ("min", "max"):
            assert entry[side] == (rule.get(side) if isinstance(rule.get(side), int) else None)
    assert entries == {}


def check_pairs(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """Of contacts that need others there are as many as are said."""
    entries = {e["name"]: e for e in plan.certificate["rules"] if e["kind"] == "requires"}
    for rule in reference.policy.get("requires") or []:
        wanting = [j for j in chosen if any(reference.matches(leg, rule["offer"])
                                            for leg in reference.alive[j].legs)]  # fmt: skip
        assert entries.pop(rule["name"])["used"] == len(wanting)
    assert entries == {}
