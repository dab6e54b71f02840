"""The certificate against what was recomputed: its shape, arithmetic and wording, and its list of rules."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from omniopt.audit.inputs import Inputs
from omniopt.audit.limits import Label, Limit
from omniopt.audit.rounding import GAP, same
from omniopt.audit.scope import Unchecked, canonical
from omniopt.errors import Faults

FILE = "certificate.json"
STATUSES = ("optimal", "within_gap", "stopped_early")
SHAPES = {"changes": dict, "inputs": dict, "dropped": dict, "rules": list, "horizon": dict, "project": str}


def read(directory: Path, faults: Faults) -> dict[str, Any] | None:
    """Read certificate.json; None, and a fault, if that is not possible."""
    path = directory / FILE
    if not path.is_file():
        faults.add("there is no certificate in this folder", file=FILE)
        return None
    try:
        certificate = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        faults.add(f"it cannot be read: {error}", file=FILE)
        return None
    if not isinstance(certificate, dict):
        faults.add("it is no mapping of names to values", file=FILE)
        return None
    for key, kind in SHAPES.items():
        if certificate.get(key) is not None and not isinstance(certificate[key], kind):
            faults.add(
                f"it says {_short(certificate[key])} where a {kind.__name__} must be", file=FILE, column=key
            )
            certificate[key] = None
    return certificate


def number(mapping: Mapping[str, Any], key: str, faults: Faults, rule: str | None = None) -> float:
    """A finite number of the certificate, or NaN and a fault."""
    value = _finite(mapping.get(key))
    if value is None:
        faults.add(
            f"it says {_short(mapping.get(key))} where a number must be", file=FILE, column=key, rule=rule
        )
        return math.nan
    return value


def _finite(value: Any) -> float | None:
    """A finite number as such; anything else is None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _short(value: Any) -> str:
    """What the certificate says, cut short."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def count(certificate: Mapping[str, Any], key: str, true: int, faults: Faults) -> None:
    """A count of the certificate against the true one."""
    if certificate.get(key) != true or isinstance(certificate.get(key), bool):
        faults.add(f"it says {_short(certificate.get(key))}, there are {true}", file=FILE, column=key)


def status(certificate: Mapping[str, Any], sign: float, faults: Faults) -> None:
    """Bound against objective, the gap's arithmetic, and the word for it.

    `sign` is 1 where the objective is maximised, −1 where it is minimised.
    """
    objective, bound, gap, target = (
        number(certificate, k, faults) for k in ("objective", "bound", "gap", "gap_target")
    )
    scale = max(1.0, abs(bound))
    if sign * (objective - bound) > GAP * scale:
        side = "below" if sign > 0 else "above"
        faults.add(
            f"the bound {bound:.10g} lies {side} the objective {objective:.10g}", file=FILE, column="bound"
        )
    true = abs(bound - objective) / scale
    if not abs(gap - true) <= 1e-12 + GAP * true:
        faults.add(f"it says {gap:.6g}; objective and bound give {true:.6g}", file=FILE, column="gap")
    word = (
        "optimal" if true <= GAP * 1.001 else "within_gap" if true <= target * (1 + GAP) else "stopped_early"
    )
    said = certificate.get("status")
    if said not in STATUSES:
        faults.add(f"{_short(said)} is no status of a plan", file=FILE, column="status")
    elif said != word:
        faults.add(
            f"it says {said}, but a gap of {true:.3g} with a target of {target:.3g} is called {word}",
            file=FILE,
            column="status",
        )


def inputs_match(
    certificate: Mapping[str, Any],
    true: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    faults: Faults,
) -> None:
    """Hash and rows of every input, against what was read just now; `names` call them in messages."""
    said = certificate.get("inputs")
    if not isinstance(said, Mapping):
        faults.add("the certificate does not say what it was made from", file=FILE, column="inputs")
        return
    for name, entry in true.items():
        mine = said.get(name)
        if not isinstance(mine, Mapping):
            faults.add("the certificate does not name this input", table=name, file=FILE, column="inputs")
        elif mine.get("sha256") != entry.get("sha256"):
            message = "the input is not the one the plan was made from"
            faults.add(message, file=names.get(name), table=name, hint="Make the plan anew")
        elif "rows" in entry and mine.get("rows") != entry["rows"]:
            faults.add(f"it says {mine.get('rows')} rows, there are {entry['rows']}", table=name, file=FILE)
    for name in said:
        if name not in true:
            faults.add(
                "the certificate names an input that the project does not have", table=str(name), file=FILE
            )


@dataclass
class Ledger:
    """The certificate's list of rules, ticked off one by one.

    Attributes
    ----------
    entries : dict
        By kind, name, group and side (of a ratio limit).
    prices : dict
        Price of every row of every limit, by the same key.
    """

    inputs: Inputs
    entries: dict[tuple[str, str, str, str], dict[str, Any]] = field(default_factory=dict)
    ticked: set[tuple[str, str, str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, inputs: Inputs, certificate: Mapping[str, Any], faults: Faults) -> Ledger:
        """Index the entries; two for one row are a fault."""
        ledger, rules = cls(inputs), certificate.get("rules")
        if not isinstance(rules, list):
            faults.add("it holds no list of rules", file=FILE, column="rules")
            return ledger
        ratios = {
            str(r.get("name"))
            for r in inputs.policy.get("limits") or []
            if isinstance(r, dict) and "over" in r
        }
        for entry in rules:
            if not isinstance(entry, dict) or not isinstance(entry.get("group") or {}, dict):
                faults.add("an entry is no mapping", file=FILE, column="rules")
                continue
            side = (
                "" if str(entry.get("name")) not in ratios else "min" if entry.get("max") is None else "max"
            )
            key = (
                str(entry.get("kind")),
                str(entry.get("name")),
                ledger._group(entry.get("group") or {}),
                side,
            )
            if key in ledger.entries:
                faults.add(f"two entries for {key[2] or 'one row'}", file=FILE, rule=key[1])
            ledger.entries[key] = entry
        return ledger

    def _group(self, group: Mapping[str, Any]) -> str:
        """A group in one spelling, whatever the order and types in the file."""
        parts = []
        for name, value in group.items():
            if name.rpartition(".")[2] in ("date", "valid_from", "valid_to") and value is not None:
                try:
                    value = self.inputs.world.day(value)
                except Unchecked:
                    pass
            parts.append(f"{name}={canonical(value)}")
        return ", ".join(sorted(parts))

    def find(
        self, kind: str, name: str, faults: Faults, group: Mapping[str, Any] | None = None, side: str = ""
    ) -> dict[str, Any] | None:
        """The entry of a row; None, and a fault, where the certificate has none."""
        key = (kind, name, self._group(group or {}), side)
        self.ticked.add(key)
        if key not in self.entries:
            of = f" for {key[2]}" if key[2] else ""
            faults.add(
                f"the certificate has no entry{of}{f' with a {side}' if side else ''}", file=FILE, rule=name
            )
        return self.entries.get(key)

    def strangers(self, faults: Faults) -> None:
        """Entries that belong to no rule."""
        for key in self.entries:
            if key not in self.ticked:
                of = f" for {key[2]}" if key[2] else ""
                faults.add(f"the policy has no such {key[0]}{of}", file=FILE, rule=key[1])


def agree(
    entry: Mapping[str, Any], key: str, true: float | None, size: float, faults: Faults, where: str = ""
) -> None:
    """One number of an entry against the true one (None: there is none)."""
    said = entry.get(key)
    if true is not None and not math.isfinite(true):
        true = None
    number = _finite(said)
    if (said is None and true is None) or (
        number is not None and true is not None and same(number, true, size)
    ):
        return
    words = "nothing" if true is None else f"{true:.10g}"
    message = f"{key} is {words}{where}, the certificate says {_short(said)}"
    faults.add(message, file=FILE, rule=str(entry.get("name")))


def check_limit(ledger: Ledger, limit: Limit, chosen: np.ndarray, faults: Faults) -> dict[str, np.ndarray]:
    """Every row of a limit: kept, and truly reported.

    Returns
    -------
    dict of str to ndarray
        The prices of its rows, by side for a ratio limit (``min``, ``max``), else under ``""``.
    """
    used, size = limit.totals(chosen)
    rows = len(limit.labels)
    if limit.over is None:
        prices = {"": np.zeros(rows)}
        for k in range(rows):
            _check_row(ledger, limit, k, float(used[k]), float(size[k]), prices[""], faults)
        return prices
    over, over_size = limit.over_totals(chosen)
    prices = {}
    for side, bound, sign in (("min", limit.low, 1.0), ("max", limit.high, -1.0)):
        if not np.isfinite(bound).any():
            continue
        prices[side] = np.zeros(rows)
        for k in range(rows):
            totals = (float(used[k]), float(over[k]), float(size[k] + abs(bound[k]) * over_size[k]))
            _check_ratio(ledger, limit, k, side, sign, float(bound[k]), totals, prices[side], faults)
    return prices


def _group_of(limit: Limit, label: Label) -> dict[str, Any]:
    return dict(zip(limit.per, label, strict=True))


def _say(limit: Limit, label: Label, ledger: Ledger) -> str:
    parts = []
    for name, value in zip(limit.per, label, strict=True):
        if name.rpartition(".")[2] == "date" and value is not None:
            value = ledger.inputs.world.date(int(value))
        parts.append(f"{name} {value}")
    return f" for {', '.join(parts)}" if parts else ""


def _check_row(
    ledger: Ledger, limit: Limit, k: int, used: float, size: float, prices: np.ndarray, faults: Faults
) -> None:
    low, high, label = float(limit.low[k]), float(limit.high[k]), limit.labels[k]
    where = _say(limit, label, ledger)
    if used > high and not same(used, high, size):
        faults.add(f"broken{where}: {used:.10g} is used, at most {high:.10g} is allowed", rule=limit.name)
    if used < low and not same(used, low, size):
        faults.add(f"broken{where}: {used:.10g} is reached, at least {low:.10g} is required", rule=limit.name)
    entry = ledger.find("limit", limit.name, faults, _group_of(limit, label))
    if entry is None:
        return
    for key, true in (("min", low), ("max", high), ("used", used), ("slack", min(high - used, used - low))):
        agree(entry, key, true, size, faults, where)
    _nothing_missed(entry, faults)
    prices[k] = number(entry, "price", faults, limit.name)


def _check_ratio(
    ledger: Ledger, limit: Limit, k: int, side: str, sign: float, bound: float,
    totals: tuple[float, float, float], prices: np.ndarray, faults: Faults,
) -> None:  # fmt: skip
    used, over, size = totals
    label = limit.labels[k]
    where = _say(limit, label, ledger)
    slack = sign * (used - bound * over)
    ratio = used / over if over else None
    if slack < 0 and not same(slack, 0.0, size):
        words = "nothing" if ratio is None else f"{ratio:.10g}"
        faults.add(f"broken{where}: the ratio is {words}, its {side} is {bound:.10g}", rule=limit.name)
    entry = ledger.find("limit", limit.name, faults, _group_of(limit, label), side)
    if entry is None:
        return
    agree(entry, side, bound, 0.0, faults, where)
    agree(entry, "used", ratio, 0.0, faults, where)
    agree(entry, "slack", slack, size, faults, where)
    if bool(entry.get("vacuous", False)) != (ratio is None):
        words = "its denominator is zero" if ratio is None else "its denominator is not zero"
        faults.add(f"vacuous{where}: {words}, the certificate says otherwise", file=FILE, rule=limit.name)
    _nothing_missed(entry, faults)
    prices[k] = number(entry, "price", faults, limit.name)


def _nothing_missed(entry: Mapping[str, Any], faults: Faults) -> None:
    """No rule checked here may be missed at a penalty."""
    for key in ("missed_by", "penalty_paid"):
        if entry.get(key, 0.0) != 0:
            faults.add(
                f"{key} is {_short(entry[key])}, but the rule has no penalty",
                file=FILE,
                rule=str(entry.get("name")),
            )
