"""The certificate against what was recomputed: its shape, arithmetic and wording, and its list of rules."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omniopt.audit.inputs import Inputs
from omniopt.audit.rounding import GAP, same
from omniopt.audit.scope import DATE_COLUMNS, Unchecked, canonical
from omniopt.errors import Faults

FILE = "certificate.json"
STATUSES = ("optimal", "within_gap", "stopped_early")
SHAPES = {
    "changes": dict,
    "inputs": dict,
    "dropped": dict,
    "rules": list,
    "horizon": dict,
    "project": str,
    "ranks": list,
}


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


def changes(certificate: Mapping[str, Any]) -> str:
    """What the plan's policy was changed by, in a few words."""
    said, words = certificate.get("changes") or {}, []
    for section in ("limits", "contact"):
        rules = said.get(section)
        for rule, keys in rules.items() if isinstance(rules, Mapping) else ():
            words += [f"{key} of {rule}" for key in keys]
    for what in ("vetoes", "locks"):
        words += [f"{len(said[what])} {what}"] if said.get(what) else []
    return f"; the policy with changes: {', '.join(words)}" if words else ""


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


def gap(
    said: Mapping[str, Any], value: str, target: float, sign: float, faults: Faults, rule: str | None = None
) -> str:
    """Bound against the value of that name, the gap's arithmetic, and the word for such a gap.

    `sign` is 1 where the objective is maximised, −1 where it is minimised.
    """
    objective, bound, stated = (number(said, k, faults, rule) for k in (value, "bound", "gap"))
    scale = max(1.0, abs(bound))
    if sign * (objective - bound) > GAP * scale:
        side = "below" if sign > 0 else "above"
        faults.add(
            f"the bound {bound:.10g} lies {side} the {value} {objective:.10g}",
            file=FILE,
            column="bound",
            rule=rule,
        )
    true = abs(bound - objective) / scale
    if not abs(stated - true) <= 1e-12 + GAP * true:
        faults.add(
            f"it says {stated:.6g}; {value} and bound give {true:.6g}", file=FILE, column="gap", rule=rule
        )
    if true <= GAP * 1.001:
        return "optimal"
    return "within_gap" if true <= target * (1 + GAP) else "stopped_early"


def status(said: Mapping[str, Any], word: str, faults: Faults, rule: str | None = None) -> None:
    """The word for a gap against the right one."""
    stated = said.get("status")
    if stated not in STATUSES:
        faults.add(f"{_short(stated)} is no status of a plan", file=FILE, column="status", rule=rule)
    elif stated != word:
        why = f"it says {stated}, but such a gap is called {word}"
        faults.add(why, file=FILE, column="status", rule=rule)


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
    place : dict
        Of the entries of limits that bind: where each stands among them.
    """

    inputs: Inputs
    entries: dict[tuple[str, str, str, str], dict[str, Any]] = field(default_factory=dict)
    ticked: set[tuple[str, str, str, str]] = field(default_factory=set)
    place: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, inputs: Inputs, certificate: Mapping[str, Any], faults: Faults) -> Ledger:
        """Index the entries; two for one row are a fault."""
        ledger, rules = cls(inputs), certificate.get("rules")
        if not isinstance(rules, list):
            faults.add("it holds no list of rules", file=FILE, column="rules")
            return ledger
        sided = {
            str(r.get("name"))
            for r in inputs.policy.get("limits") or []
            if isinstance(r, dict) and ("over" in r or "rolling_days" in r or r.get("all_or_nothing"))
        }
        for entry in rules:
            if not isinstance(entry, dict) or not isinstance(entry.get("group") or {}, dict):
                faults.add("an entry is no mapping", file=FILE, column="rules")
                continue
            side = "" if str(entry.get("name")) not in sided else "min" if entry.get("max") is None else "max"
            key = (
                str(entry.get("kind")),
                str(entry.get("name")),
                ledger._group(entry.get("group") or {}),
                side,
            )
            if key in ledger.entries:
                faults.add(f"two entries for {key[2] or 'one row'}", file=FILE, rule=key[1])
            ledger.entries[key] = entry
            if entry.get("kind") == "limit" and entry.get("report_only") is not True:
                ledger.place[id(entry)] = len(ledger.place)
        return ledger

    def _group(self, group: Mapping[str, Any]) -> str:
        """A group in one spelling, whatever the order and types in the file."""
        parts = []
        for name, value in group.items():
            if name.rpartition(".")[2] in (*DATE_COLUMNS, "from") and value is not None:
                try:
                    value = self.inputs.world.day(value)
                except Unchecked:
                    pass
            parts.append(f"{name}={canonical(value)}")
        return ", ".join(sorted(parts))

    def has(self, kind: str, name: str, group: Mapping[str, Any], side: str) -> bool:
        """Whether there is an entry of a row."""
        return (kind, name, self._group(group), side) in self.entries

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
    name = entry.get("name")
    faults.add(message, file=FILE, rule=None if name is None else str(name))
