"""All tables of a project read: those it gives, and those its sources are made into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from omniopt.errors import BadInput, Fault, Faults
from omniopt.project.file import ProjectFile
from omniopt.project.sources import SqlSource
from omniopt.tables import Source, Tables, hide_password, read_tables, sha256_of
from omniopt.tables.convert import Days

if TYPE_CHECKING:
    from omniopt.identity import Linked


def source_at(root: Path, source: str | SqlSource) -> Source:
    """Return where a table is, with paths from the project's folder."""
    if isinstance(source, SqlSource):
        return {"url": source.url, "sql": source.sql, "root": str(root)}
    return root / source


def as_written(source: str | SqlSource) -> str:
    """Write a source as the project file does, without a password."""
    return f"{hide_password(source.url)} {source.sql}" if isinstance(source, SqlSource) else source


def read_project(
    spec: ProjectFile,
    root: Path,
    given: Mapping[str, Source],
    to_link: Mapping[str, Source],
    file: str | None,
    coded: bool,
    faults: Faults,
) -> Tables:
    """Read and check all tables of a project.

    Parameters
    ----------
    spec : ProjectFile
        What the project file says.
    root : Path
        The folder its paths are relative to.
    given : mapping of str to Source
        The tables it gives.
    to_link : mapping of str to Source
        Where the rows of its sources are.
    file : str or None
        The project file's name, for messages.
    coded : bool
        Give the candidates as columns of codes and numbers.
    faults : Faults
        Receives everything that is wrong.

    Returns
    -------
    Tables
        Only to be used if `faults` stayed empty.
    """
    horizon, own = spec.horizon, Faults()
    linked = _linked(spec, root, given, to_link, file, faults)
    tables = read_tables(
        {**given, **(linked.frames if linked else {})},
        horizon.start if horizon else None,
        horizon.days if horizon else None,
        spec.multi_valued,
        own,
        project_file=file,
        coded=coded,
    )
    if linked is None:
        # Sources that could not be read give no tables: that these are missing is not said as well.
        unmade: set[str | None] = {
            source.kind for source in spec.sources.values() if source.kind not in given
        }
        unmade |= {"scores"} if "history" in unmade and "scores" not in given else set()
        faults.extend(fault for fault in own if fault.table not in unmade)
        return tables
    faults.extend(linked.at_source(fault) for fault in own)
    if not faults:
        _describe(spec, root, tables, linked)
    return tables


def read_people(spec: ProjectFile, to_link: Mapping[str, Source], file: str | None) -> pd.DataFrame:
    """Read the sources of customers: one row per id of a source, its keys normalised.

    Raises
    ------
    BadInput
        With everything that is wrong with them, or because there are none.
    """
    if not spec.sources:
        raise BadInput(
            Fault("the project has no sources to link", file=file, hint="Describe them under sources")
        )
    from omniopt.identity import nodes_of, read_sources

    faults = Faults()
    people = {name: source for name, source in spec.sources.items() if source.kind == "customers"}
    tables = {name: to_link[name] for name in people}
    sources = read_sources(people, spec.identity, tables, _days(spec), faults, file)
    faults.raise_if_any()
    return nodes_of(sources, spec.identity)


def _days(spec: ProjectFile) -> Days:
    return Days(spec.horizon.start, spec.horizon.days) if spec.horizon else Days()


def _linked(
    spec: ProjectFile, root: Path, given: Mapping[str, Source], to_link: Mapping[str, Source],
    file: str | None, faults: Faults,
) -> Linked | None:  # fmt: skip
    """Make customers, consents and history of the project's sources, if it has some."""
    if not spec.sources:
        return None
    from omniopt.identity import link  # compiled code is slow to import

    for kind in sorted({source.kind for source in spec.sources.values()} & set(given)):
        message = f"{kind} are given under tables and made of sources as well"
        faults.add(message, file=file, table=kind, hint="Make the table a source too")
    links = spec.identity.links
    proposed = None if links is None else root / links
    return link(spec.sources, spec.identity, to_link, proposed, _days(spec), faults, file=file)


def _describe(spec: ProjectFile, root: Path, tables: Tables, linked: Linked) -> None:
    """Add what was linked to the tables: the report, and the sources among the inputs."""
    tables.linkage = linked.report
    for name in linked.frames:
        tables.described[name]["source"] = "made of sources"
    for name, source in spec.sources.items():
        tables.described[f"sources.{name}"] = linked.inputs[name] | {"source": as_written(source.table)}
    if spec.identity.links is not None:
        rows = len(linked.report["proposed"])
        digest = sha256_of(root / spec.identity.links)
        tables.described["identity.links"] = {"sha256": digest, "rows": rows, "source": spec.identity.links}
