"""What is said of an impossible policy: the clash, and the ways out, in the planner's words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from omniopt.rules.holdout import EXPLORATION

PLACES = ("region", "country", "city", "state", "area", "branch", "town", "district", "market")
SHOWN = 5  # members, customers or ways out that are named in full


@dataclass(frozen=True)
class Member:
    """One of the rules that clash.

    Attributes
    ----------
    kind : {"limit", "contact", "conflict", "requires", "lock"}
    rule : str
        The rule's name; empty for a lock, ``exploration`` for one that chance made.
    side : {"min", "max", ""}
        The bound, for limits and contact rules.
    group : dict
        Attribute to value: the limit's group; customer_id and action_id of a lock.
    bound : float or None
        The bound itself, where it is one number.
    """

    kind: str
    rule: str
    side: str = ""
    group: dict[str, Any] = field(default_factory=dict)
    bound: float | None = None


@dataclass(frozen=True)
class Clash:
    """Rules that no plan keeps together.

    Attributes
    ----------
    members : tuple of Member
    customers : tuple of str
        The customers, or households, that cannot be served, where the clash lies within single ones.
    unit : {"customer", "household"}
    minimal : bool
        Whether each member was proven to be needed: without it, the others can be kept.
    """

    members: tuple[Member, ...]
    customers: tuple[str, ...]
    unit: str
    minimal: bool


@dataclass(frozen=True)
class Move:
    """One change of the policy.

    Attributes
    ----------
    kind, rule, side : str
    group : dict
        The group whose bound moves; empty if the limit has one bound for all its groups.
    before, after : float or None
        The bound; ``after`` is None where the rule, or the lock, has to go.
    customers : tuple of str
        The customers whose own bound moves, for a bound that is read from the customers' table.
    """

    kind: str
    rule: str
    side: str
    group: dict[str, Any]
    before: float | None
    after: float | None
    customers: tuple[str, ...] = ()

    @property
    def distance(self) -> float:
        """How far the bound moves, relative to itself; infinite for a rule that goes."""
        if self.before is None or self.after is None:
            return float("inf")
        return abs(self.after - self.before) / max(1.0, abs(self.before))


@dataclass(frozen=True)
class Repair:
    """A way to make a plan possible, with what the plan is then worth.

    Attributes
    ----------
    text : str
    moves : tuple of Move
        All of them are needed.
    objective : float or None
        Of a plan found under the changed policy; None if there was no time to find out.
    proven : bool
        Whether that plan is within a thousandth of the best one then.
    lost : float or None
        By how much that is worse than the best of the repairs.
    distance : float
        How far the bounds move, relative to themselves.
    """

    text: str
    moves: tuple[Move, ...]
    objective: float | None
    proven: bool
    lost: float | None
    distance: float


@dataclass(frozen=True)
class Diagnosis:
    """Why no plan keeps all the rules.

    Attributes
    ----------
    text : str
        The whole message: the clash, then the ways out, one a line.
    clash : Clash
    further : tuple of Clash
        Clashes beside the first, where no single move helps.
    repairs : tuple of Repair
        Best first: by money lost, then by how far bounds move.
    """

    text: str
    clash: Clash
    further: tuple[Clash, ...]
    repairs: tuple[Repair, ...]

    @property
    def minimal(self) -> bool:
        """Whether no member of any clash can be left out."""
        return all(clash.minimal for clash in (self.clash, *self.further))

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold, days of groups written as in the text."""
        return asdict(self) | {"minimal": self.minimal}


def number(value: float) -> str:
    """Write a bound."""
    return f"{value:,.10g}"


def listed(items: list[str]) -> str:
    """Join words; of many, the first ones are named."""
    if len(items) > SHOWN:
        return f"{', '.join(items[: SHOWN - 1])} and {len(items) - SHOWN + 1:,} more"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def place(group: dict[str, Any], days: int = 0) -> str:
    """Write a limit's group: ``2026-11-30 in North``; its days are texts already."""
    words = []
    for attribute, value in group.items():
        value = number(value) if isinstance(value, float) else value
        short = attribute.rpartition(".")[2]
        if attribute == "date":
            words.append(str(value))
        elif attribute == "from":
            words.append(f"in the {days} days from {value}")
        else:
            words.append(f"in {value}" if short in PLACES else f"for {short} {value}")
    return " ".join(words)


class Words:
    """Writes the message of a diagnosis.

    Parameters
    ----------
    units : dict
        Limit to what its bounds are numbers of, such as ``contacts`` or ``minutes``.
    spans : dict
        Limit to the days of its windows.
    """

    def __init__(self, units: dict[str, str], spans: dict[str, int]) -> None:
        self.units, self.spans = units, spans

    def name(self, member: Member | Move) -> str:
        """Name a rule as a planner would."""
        if member.kind == "lock":
            who, what = member.group["customer_id"], member.group["action_id"]
            if member.rule == EXPLORATION:
                return f"the draw of action {what} for customer {who}"
            return f"the lock of customer {who} on action {what}"
        inside = place(member.group, self.spans.get(member.rule, 0))
        word = {"limit": "", "contact": "contact rule ", "conflict": "conflict ", "requires": "requirement "}
        return f"{word[member.kind]}'{member.rule}'" + (f" {inside}" if inside else "")

    def bounded(self, member: Member) -> str:
        """Name a rule with its bound."""
        asks = self.asks(member)
        return f"{self.name(member)} ({asks})" if asks else self.name(member)

    def asks(self, member: Member) -> str:
        """Say what a bound asks for: ``at least 500 contacts``."""
        if member.bound is None or not member.side:
            return ""
        return f"at {'least' if member.side == 'min' else 'most'} {self.amount(member, member.bound)}"

    def amount(self, member: Member, value: float) -> str:
        """Write a number with what it is a number of: ``180 minutes``, ``8 of cost``."""
        unit = self.units.get(member.rule, "contacts") if member.kind == "limit" else "contacts"
        if unit == "contacts":
            unit = "contact" if value == 1 else unit
        elif unit.isidentifier() and not unit.endswith("s"):
            unit = f"of {unit}"
        return f"{number(value)} {unit}"

    def move(self, move: Move) -> str:
        """Say what to do: ``raise 'call desk' from 1,200 to 1,380``."""
        if move.kind == "lock" and move.rule == EXPLORATION:
            who, what = move.group["customer_id"], move.group["action_id"]
            return f"have chance draw customer {who} another contact than {what}, or none: change explore.key"
        if move.after is None:
            return f"take back {self.name(move)}" if move.kind == "lock" else f"drop {self.name(move)}"
        verb = "raise" if move.side == "max" else "lower"
        what = self.name(move)
        if move.before is None:
            return f"{verb} the {move.side} of {what} by {number(move.after)} for {people(move.customers)}"
        what += f" for {people(move.customers)}" if move.customers else ""
        return f"{verb} {what} from {number(move.before)} to {number(move.after)}"

    def message(
        self, clashes: list[Clash], reach: list[float | None], repairs: tuple[Repair, ...], unsure: bool
    ) -> str:
        """Write the whole message: the clashes, then the ways out, one a line.

        Parameters
        ----------
        clashes : list of Clash
        reach : list of float or None
            How far each clash lets its only limit come.
        repairs : tuple of Repair
        unsure : bool
            Whether time ran out on some way.
        """
        moves = {(m.rule, m.side): m for r in repairs for m in r.moves if m.after is not None}
        lines = [self._clash(clash, far, moves) for clash, far in zip(clashes, reach, strict=True)]
        if not all(clash.minimal for clash in clashes):
            lines.append("time ran out: perhaps not all of these rules are needed for the clash")
        if not repairs:
            return "\n".join([*lines, "no way out was found in the time there was"])
        lines += [repair.text for repair in repairs[:SHOWN]]
        if len(repairs) > SHOWN:
            lines.append(f"and {len(repairs) - SHOWN} more ways")
        if unsure:
            lines.append("time ran out: there may be more ways")
        return "\n".join(lines)

    def _clash(self, clash: Clash, reach: float | None, moves: dict[tuple[str, str], Move]) -> str:
        """Say what clashes, in one sentence without a full stop."""
        if clash.customers:
            return self._within(clash, reach)
        limits = [m for m in clash.members if m.kind == "limit"]
        others = [self.bounded(m) for m in clash.members if m.kind != "limit"]
        under = f" under {listed(others)}" if others else ""
        if len(limits) == 1 and reach is not None:
            limit = limits[0]
            verb, most = ("asks for", "at most") if limit.side == "min" else ("allows", "at least")
            brings = f"but{under} the candidates bring {most} {number(reach)}"
            return f"limit {self.name(limit)} {verb} {self.asks(limit)}, {brings}"
        ceilings = [m for m in limits if m.side == "max"]
        floors = [m for m in limits if m.side == "min"]
        if len(ceilings) == len(floors) == 1:
            raised, lowered = moves.get((ceilings[0].rule, "max")), moves.get((floors[0].rule, "min"))
            if raised and lowered and not self._is_share(ceilings[0]):
                return self._pair(ceilings[0], floors[0], raised, lowered, under)
        together = listed([self.bounded(m) for m in limits] or others)
        return f"{together} cannot be kept together{under if limits else ''}"

    def _is_share(self, member: Member) -> bool:
        return not self.units.get(member.rule, "contacts").isidentifier()

    def _within(self, clash: Clash, reach: float | None) -> str:
        """Word a clash of the rules for single customers."""
        who = people(clash.customers, clash.unit)
        rules = [m for m in clash.members if m.kind != "lock"]
        floors = [m for m in rules if m.kind == "contact" and m.side == "min"]
        if len(rules) < len(clash.members):
            by = {m.rule == EXPLORATION for m in clash.members if m.kind == "lock"}
            held = "locked and drawn" if len(by) > 1 else "drawn" if True in by else "locked"
            return f"the {held} contacts of {who} break {listed([self.bounded(m) for m in rules])}"
        if len(floors) != 1 or floors[0].bound is None:
            return f"{listed([self.bounded(m) for m in rules])} cannot be kept together for {who}"
        others = [self.bounded(m) for m in rules if m is not floors[0]]
        under = f" under {listed(others)}" if others else ""
        if reach is None or clash.unit != "customer" or len(clash.customers) > 1 and reach > 0:
            can = "cannot get that" if clash.unit == "customer" else "cannot get that for all their members"
        else:
            can = "can get none" if reach == 0 else f"can get at most {number(reach)}"
        return f"{self.name(floors[0])} asks for {self.asks(floors[0])}, but{under} {who} {can}"

    def _pair(self, ceiling: Member, floor: Member, raised: Move, lowered: Move, under: str) -> str:
        """Word a maximum that is too low for a minimum."""
        assert raised.before is not None and raised.after is not None and lowered.after is not None
        missing = self.amount(ceiling, raised.after - raised.before)
        short = f"{self.name(ceiling)} is {missing} short of {self.bounded(floor)}{under}"
        ways = f"raise it to {number(raised.after)}, or lower {self.name(lowered)} to {number(lowered.after)}"
        return f"{short}: {ways}"


def people(customers: tuple[str, ...], unit: str = "customer") -> str:
    """Name customers, or households."""
    if not customers:
        return f"every {unit}"
    return f"{unit}{'s' if len(customers) > 1 else ''} {listed(list(customers))}"
