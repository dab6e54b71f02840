"""What a check found, to be read or to be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omniopt.errors import Fault


@dataclass
class Verification:
    """What the check found.

    Attributes
    ----------
    ok : bool
        Nothing was found, and nothing was left unchecked.
    findings : list of Fault
        Everything that is not as the certificate and the contract say, and every rule that could not be
        checked.
    objective : float or None
        The plan's objective, recomputed.
    bound_proven : float or None
        What no plan can exceed (for a minimum: fall below), proven from the prices.
    solver_bound : float or None
        The certificate's bound.
    checks : list of (str, bool, str)
        What was checked, whether nothing was found there, and a word on it.
    """

    findings: list[Fault] = field(default_factory=list)
    objective: float | None = None
    bound_proven: float | None = None
    solver_bound: float | None = None
    checks: list[tuple[str, bool, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if the plan is what its certificate says."""
        return not self.findings and bool(self.checks)

    def __str__(self) -> str:
        lines = [
            f"{'ok  ' if ok else 'NOT ' if not ok else ''} {name}: {detail}"
            for name, ok, detail in self.checks
        ]
        lines += [f"- {finding}" for finding in self.findings]
        what = "The plan is what its certificate says." if self.ok else f"{len(self.findings)} findings."
        return "\n".join([*lines, what])

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "ok": self.ok,
            "objective": self.objective,
            "bound_proven": self.bound_proven,
            "solver_bound": self.solver_bound,
            "checks": [{"name": name, "ok": ok, "detail": detail} for name, ok, detail in self.checks],
            "findings": [str(finding) for finding in self.findings],
        }
