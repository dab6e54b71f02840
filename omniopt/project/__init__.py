"""omniopt.yaml: what a project is made of, read strictly."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from omniopt.errors import BadInput, Faults, nearest
from omniopt.project.changes import changed, contact_rows, plain
from omniopt.project.file import PROJECT_FILE, Horizon, ProjectFile, read_yaml, validated
from omniopt.project.reading import as_written, read_people, read_project, source_at
from omniopt.project.sources import SqlSource
from omniopt.tables import Source, Tables, rows_of, sha256_of, with_codes
from omniopt.tables.ahead import MANY, begun

__all__ = [
    "CONTACT_KEYS", "LIMIT_KEYS", "PROJECT_FILE",
    "Horizon", "Project", "ProjectFile", "SqlSource", "read_yaml",
]  # fmt: skip

#: What `Project.with_limit` and `Project.with_contact` may change.
LIMIT_KEYS = tuple(
    "measure where per min max rolling_days over all_or_nothing fixed_cost penalty report_only".split()
)
CONTACT_KEYS = tuple("where per min max days every count unit history min_or_none".split())


# Two projects are equal if they are one: frames have no single answer to whether they are equal.
@dataclass(frozen=True, eq=False)
class Project:
    """A project: its file, its tables, its policy, and the changes made to it since.

    Use `Project.load` for a project in files and `Project.from_frames` for DataFrames.

    Attributes
    ----------
    spec : ProjectFile
        What the project file says.
    root : Path
        The folder its paths are relative to.
    file : Path or None
        The project file; None for a project made of frames.
    policy : dict
        The policy as it was read, before `changes`.
    changes : dict
        ``limits``, ``contact``, ``vetoes`` and ``locks`` that were set since; can be written as JSON.
    frames : dict of str to DataFrame
        Tables given in memory; they come before files.
    policy_file : Path or None
        The file the policy was read from; None if it is inline.
    source_frames : dict of str to DataFrame
        Rows of sources given in memory; they come before files.
    """

    spec: ProjectFile
    root: Path
    file: Path | None
    policy: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    policy_file: Path | None = None
    source_frames: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    # Of the files as they were when they were read; they may be edited since.
    _sha256: dict[str, str] = field(default_factory=dict, repr=False)
    _cache: dict[str, Tables] = field(default_factory=dict, repr=False)
    _ahead: dict[str, Future[Tables]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, path: Path | str) -> Project:
        """Read a project file and its policy, but no table yet.

        Parameters
        ----------
        path : Path or str
            The project file, or the folder that holds ``omniopt.yaml``.

        Returns
        -------
        Project

        Raises
        ------
        BadInput
            With everything that is wrong in the two files.
        """
        file = Path(path)
        if file.is_dir():
            file = file / PROJECT_FILE
        raw = read_yaml(file)
        faults = Faults()
        spec = validated(raw, file.name, faults)
        faults.raise_if_any()
        sha256 = {"project": sha256_of(file)}
        if isinstance(spec.policy, dict):
            return cls(spec, file.parent, file, spec.policy, _sha256=sha256)
        policy_file = file.parent / spec.policy
        policy = read_yaml(policy_file)
        sha256["policy"] = sha256_of(policy_file)
        return cls(spec, file.parent, file, policy, policy_file=policy_file, _sha256=sha256)

    @classmethod
    def from_frames(
        cls,
        policy: Mapping[str, Any] | Path | str,
        *,
        name: str = "project",
        horizon: Mapping[str, Any] | Horizon | None = None,
        seed: int = 0,
        multi_valued: Mapping[str, str] | None = None,
        annoyance: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
        sources: Mapping[str, Mapping[str, Any]] | None = None,
        identity: Mapping[str, Any] | None = None,
        **tables: pd.DataFrame,
    ) -> Project:
        """Make a project of DataFrames.

        Parameters
        ----------
        policy : mapping, Path or str
            The policy, or the path of its file.
        name : str
            The project's name.
        horizon : mapping or Horizon, optional
            ``{"start": date, "days": n}``.
        seed : int
            Seed of everything that draws random numbers.
        multi_valued : mapping, optional
            Columns that hold several values in a cell, and their separator.
        annoyance : mapping, optional
            ``{"loss": money, "days": n}``: what it costs when a customer unsubscribes.
        response : mapping, optional
            How response is learnt, as the project file says it.
        sources : mapping of str to mapping, optional
            Sources whose customers are linked, each as the project file says it; its ``table`` is a
            DataFrame, or what the file would name.
        identity : mapping, optional
            How they are linked, as the project file says it.
        **tables : DataFrame
            The tables, by their names.

        Returns
        -------
        Project

        Raises
        ------
        BadInput
            With everything that is wrong.
        """
        faults = Faults()
        for table, frame in tables.items():
            if not isinstance(frame, pd.DataFrame):
                faults.add(f"a {type(frame).__name__} is no DataFrame", table=table)
        policy_file = Path(policy) if isinstance(policy, str | Path) else None
        rules = read_yaml(policy_file) if policy_file else policy
        if not isinstance(rules, Mapping):
            faults.add(
                f"the policy is a {type(rules).__name__}, not a mapping",
                hint="Write keys such as objective and limits",
            )
            rules = {}
        said, source_frames = _without_frames(sources or {})
        raw = {
            "version": 1,
            "name": name,
            "seed": seed,
            "horizon": horizon,
            "tables": dict.fromkeys(tables, "in memory"),
            "multi_valued": dict(multi_valued or {}),
            "annoyance": annoyance,
            "response": dict(response or {}),
            "sources": said,
            "identity": dict(identity or {}),
            "policy": dict(rules),
        }
        spec = validated(raw, None, faults)
        faults.raise_if_any()
        sha256 = {"policy": sha256_of(policy_file)} if policy_file else {}
        return cls(
            spec, Path("."), None, dict(rules), frames=dict(tables), policy_file=policy_file,
            source_frames=source_frames, _sha256=sha256,
        )  # fmt: skip

    @property
    def policy_name(self) -> str:
        """How to call the policy's file in a message."""
        file = self.policy_file or self.file
        return file.name if file else "policy"

    def read(self, coded: bool = False) -> Tables:
        """Read and check all tables; the result is kept, and shared by the projects made from this one.

        Parameters
        ----------
        coded : bool
            Give the candidates as columns of codes and numbers, for tables too long for a frame.

        Returns
        -------
        Tables

        Raises
        ------
        BadInput
            With everything that is wrong in all tables.
        """
        kind = "coded" if coded and "candidates" in self._sources() else "tables"
        ahead = self._ahead.pop(kind, None)
        return self._read(kind) if ahead is None else ahead.result()

    def read_ahead(self) -> None:
        """Begin to read in a thread what `read` is to return with codes, if candidates are many."""
        source = self._sources().get("candidates")
        if source is not None and (rows_of(source) or 0) >= MANY:
            self._ahead["coded"] = begun(self._read, "coded")

    def _read(self, kind: str) -> Tables:
        if kind == "coded" and kind not in self._cache and "tables" in self._cache:
            self._cache[kind] = with_codes(self._cache["tables"])
        if kind not in self._cache:
            faults, file = Faults(), self.file.name if self.file else None
            given = self._sources()
            tables = read_project(self.spec, self.root, given, self._to_link(), file, kind == "coded", faults)
            if self.spec.annoyance is not None and "candidates" in given:
                faults.add(
                    "annoyance is worked out for candidates that the project makes itself; these are given",
                    file=file,
                    hint="Write the expected loss into a column annoyance of candidates",
                )
            faults.raise_if_any()
            self._describe(tables)
            self._cache[kind] = tables
        return self._cache[kind]

    def people(self) -> pd.DataFrame:
        """Read the sources' customers before they are linked: see `omniopt.project.reading.read_people`."""
        return read_people(self.spec, self._to_link(), self.file.name if self.file else None)

    def count(self, table: str) -> int | None:
        """Count the rows of a table, by its metadata if it has some; None where it cannot be read."""
        source = self._sources().get(table)
        made = any(source.kind == table for source in self.spec.sources.values())
        if source is None and not made:
            return None
        rows = None if source is None else rows_of(source)
        if rows is None:
            with contextlib.suppress(BadInput):
                frame = getattr(self.read(), table)
                rows = None if frame is None else len(frame)
        return rows

    def _sources(self) -> dict[str, Source]:
        sources: dict[str, Source] = {}
        for name, source in self.spec.tables.items():
            sources[name] = source_at(self.root, source)
        return sources | self.frames

    def _to_link(self) -> dict[str, Source]:
        named = {name: source_at(self.root, source.table) for name, source in self.spec.sources.items()}
        return named | self.source_frames

    def _describe(self, tables: Tables) -> None:
        """Put the sources as the project file writes them, and the hashes of project and policy."""
        for name, source in self.spec.tables.items():
            if name not in self.frames:
                tables.described[name]["source"] = as_written(source)
        policy = self.spec.policy if isinstance(self.spec.policy, str) else str(self.policy_file)
        names = {"project": self.file.name if self.file else "", "policy": policy}
        for name, digest in self._sha256.items():
            tables.described[name] = {"sha256": digest, "source": names[name]}

    def with_limit(self, name: str, /, **changes: Any) -> Project:
        """Return a project with a limit changed.

        Parameters
        ----------
        name : str
            The limit's name in the policy.
        **changes : object
            Keys of the limit and their new values; None removes a key.

        Returns
        -------
        Project

        Raises
        ------
        BadInput
            When the policy has no such limit, or limits have no such key.
        """
        return self._with_rule("limits", name, changes, LIMIT_KEYS)

    def with_contact(self, name: str, /, **changes: Any) -> Project:
        """Return a project with a contact rule changed; see `with_limit`."""
        return self._with_rule("contact", name, changes, CONTACT_KEYS)

    def _with_rule(self, section: str, name: str, changes: dict[str, Any], legal: tuple[str, ...]) -> Project:
        rules = self.policy.get(section)
        rules = rules if isinstance(rules, list) else []
        names = [str(rule.get("name")) for rule in rules if isinstance(rule, Mapping)]
        faults = Faults()
        if name not in names:
            what = "limit" if section == "limits" else "contact rule"
            faults.add(f"the policy has no {what} '{name}'", file=self.policy_name, hint=nearest(name, names))
        for key in changes:
            if key not in legal:
                message = f"'{key}' cannot be changed"
                faults.add(message, file=self.policy_name, rule=name, hint=nearest(key, legal))
        faults.raise_if_any()
        before = self.changes.get(section, {})
        rule = before.get(name, {}) | {key: plain(value) for key, value in changes.items()}
        return replace(self, changes=self.changes | {section: before | {name: rule}})

    def with_decisions(self, vetoes: pd.DataFrame | None, locks: pd.DataFrame | None) -> Project:
        """Return a project with contacts that people ruled out or insist on; they replace earlier ones.

        Parameters
        ----------
        vetoes, locks : DataFrame or None
            Columns customer_id and action_id, and reason if there is one.

        Returns
        -------
        Project

        Raises
        ------
        BadInput
            When a column is missing, a cell is empty, or a contact is both ruled out and insisted on.
        """
        faults = Faults()
        given = {"vetoes": vetoes, "locks": locks}
        lists = {name: contact_rows(rows, name, faults) for name, rows in given.items()}
        banned = {(customer, action) for customer, action, _ in lists["vetoes"]}
        for row, (customer, action, _) in enumerate(lists["locks"], start=1):
            if (customer, action) in banned:
                message = f"action '{action}' for customer '{customer}' is vetoed too"
                faults.add(message, table="locks", row=row, hint="Keep one of the two")
        faults.raise_if_any()
        kept = {key: value for key, value in self.changes.items() if key not in lists}
        return replace(self, changes=kept | {key: value for key, value in lists.items() if value})

    def effective_policy(self) -> dict[str, Any]:
        """Return the policy with the changes applied; the original is left as it is."""
        policy = dict(self.policy)
        for section in ("limits", "contact"):
            changes = self.changes.get(section, {})
            if changes:
                policy[section] = [changed(rule, changes) for rule in policy[section]]
        return policy

    def date_of(self, day: Any) -> Any:
        """Turn day numbers into dates.

        Parameters
        ----------
        day : int or array of int
            Day numbers; the horizon's first day is 1. Missing ones stay missing.

        Returns
        -------
        numpy.datetime64 or numpy.ndarray
            ``datetime64[D]``; the numbers as they came if the project has no horizon.
        """
        if self.spec.horizon is None:
            return day
        # A day number says how many days to add to the day before the first.
        before = np.datetime64(self.spec.horizon.start, "D") - np.timedelta64(1, "D")
        if np.ndim(day) == 0:
            return before + np.timedelta64(int(day), "D")
        days = pd.array(day, dtype="Int64")
        dates = before + days.to_numpy(np.int64, na_value=0).astype("timedelta64[D]")
        dates[days.isna()] = np.datetime64("NaT", "D")
        return dates


def _without_frames(sources: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Part what is said of sources from the rows that are given with it."""
    said, frames = {}, {}
    for name, source in sources.items():
        table = source.get("table") if isinstance(source, Mapping) else None
        said[name] = source
        if isinstance(table, pd.DataFrame):
            said[name], frames[name] = {**source, "table": "in memory"}, table
    return said, frames
