"""What commands show on a terminal: how far long work is, and results in words."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from omniopt.decisions import Plan
    from omniopt.decisions.explain import Explanation
    from omniopt.runs.pipeline import RunResult


@contextmanager
def progress() -> Iterator[Callable[[str, float, float], None] | None]:
    """Show how objective and bound close in, on one line of a terminal; None in a log."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    from omniopt.decisions.certificate import gap_of

    with tqdm(bar_format="{desc} [{elapsed}]", leave=False, file=sys.stderr) as line:

        def tell(step: str, best: float, bound: float) -> None:
            known = math.isfinite(best) and math.isfinite(bound)  # else there is no plan or no bound yet
            found = f"{best:,.2f} of " if math.isfinite(best) else ""
            gap = f", gap {gap_of(best, bound):.1e}" if known else ""
            line.set_description_str(f"{step}: {found}at most {bound:,.2f}{gap}")

        yield tell


@contextmanager
def rule_by_rule() -> Iterator[Callable[[str, int, int], None] | None]:
    """Show on one line of a terminal which rule is left out now; None in a log."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(bar_format="{desc} [{elapsed}]", leave=False, file=sys.stderr) as line:
        yield lambda name, at, of: line.set_description_str(f"without '{name}' ({at} of {of})")


def values_in_words(frame: pd.DataFrame) -> str:
    """Write what each rule costs as a short table, dearest first."""
    if frame.empty:
        return "There are no rules whose value could be told."
    shown = frame.sort_values("gain_at_least", ascending=False, kind="stable")
    lines = [("without", "", "gains at least", "at most", "")]
    lines += [
        (row.rule, row.kind, f"{row.gain_at_least:,.2f}", f"{row.gain_at_most:,.2f}", row.status)
        for row in shown.itertuples()
    ]
    wide = [max(len(line[i]) for line in lines) for i in range(5)]
    return "\n".join(
        f"  {a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}  {d:>{wide[3]}}  {e}".rstrip()
        for a, b, c, d, e in lines
    )


def worth_in_words(decided: Plan | RunResult) -> str:
    """Say what a plan is worth and what is proven of it."""
    distance = abs(decided.bound - decided.objective)
    return (
        f"{decided.status}: objective {decided.objective:,.2f}; no plan under these rules does better than "
        f"{decided.bound:,.2f} (gap {decided.gap:.2g}, at most {distance:,.2f})"
    )


def explained_in_words(found: Explanation) -> str:
    """Say of each candidate what it is worth, what limits charge for it, and what is against it."""
    lines = [
        f"customer {found.customer_id}: at the plan's prices the best set is worth {found.best_worth:,.2f}"
    ]
    for row in found.contacts.to_dict("records"):
        mine = found.charges[found.charges["action_id"] == row["action_id"]]
        terms = [f"{row['objective']:,.2f}"]
        for rule, group, charged in zip(mine["rule"], mine["group"], mine["charged"], strict=True):
            inside = f" [{', '.join(map(str, group.values()))}]" if group else ""
            terms.append(f"{-charged:+,.2f} {rule}{inside}")
        loss = f"{'leaving it out' if row['planned'] else 'forcing it'} costs {row['loss']:,.2f}"
        if math.isinf(row["loss"]):
            loss = "the customer's own rules leave no choice"
        beside = f"; beside those planned, against {row['against']}" if row["against"] else ""
        mark = "planned" if row["planned"] else "       "
        lines.append(f"  {mark}  {row['action_id']}: {' '.join(terms)} = {row['worth']:,.2f}; {loss}{beside}")
    lines += [f"  taken out {row.action_id}: {row.reason}" for row in found.dropped.itertuples()]
    return "\n".join(lines)


def headline(decided: Plan | RunResult) -> dict[str, Any]:
    """Return what JSON says of a plan first."""
    return {name: getattr(decided, name) for name in ("status", "objective", "bound", "gap")}


def briefly(value: Any) -> str:
    """Write a summary's value on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {briefly(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(briefly(inner) for inner in value) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def as_json(value: Any) -> str:
    """Write a value as JSON; what JSON has no number for becomes null."""

    def plain(item: Any) -> Any:
        if isinstance(item, Mapping):
            return {str(key): plain(inner) for key, inner in item.items()}
        if isinstance(item, Sequence) and not isinstance(item, str | bytes):
            return [plain(inner) for inner in item]
        if hasattr(item, "item"):  # a number of numpy's
            item = item.item()
        if isinstance(item, float) and not math.isfinite(item):
            return None
        return item if isinstance(item, str | int | float | bool | None) else str(item)

    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
