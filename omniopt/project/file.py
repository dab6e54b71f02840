"""The project file: its keys, and YAML read without surprises."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, Tag, ValidationError, field_validator

from omniopt.errors import BadInput, Fault, Faults, nearest
from omniopt.project.annoyance import Annoyance
from omniopt.project.response import Response
from omniopt.project.sources import DataSource, Identity, SqlSource, TableSource, either

#: Name of the project file in a project's folder.
PROJECT_FILE = "omniopt.yaml"


class Horizon(BaseModel):
    """The days contacts are planned for: ``days`` days from ``start``, which is day 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    # Beyond these bounds a number is a slip, and dates would leave the calendar.
    start: datetime.date = Field(ge=datetime.date(1900, 1, 1), le=datetime.date(2200, 1, 1))
    days: int = Field(ge=1, le=36_525, strict=True)

    @field_validator("start", mode="before")
    @classmethod
    def _no_number(cls, value: Any) -> Any:
        # Pydantic would read 20261123 as so many seconds after 1970.
        if isinstance(value, int | float):
            raise ValueError("write a date, such as 2026-11-23")
        return value


Policy = Annotated[
    Annotated[str, Tag("text")] | Annotated[dict[str, Any], Tag("keys")],
    either("a path, or the policy itself"),
]


class ProjectFile(BaseModel):
    """The project file, key by key."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    name: str = Field(min_length=1)
    # What every generator of random numbers takes.
    seed: int = Field(default=0, ge=0, lt=2**32, strict=True)
    horizon: Horizon | None = None
    tables: dict[str, TableSource] = Field(min_length=1)
    multi_valued: dict[str, str] = {}
    sources: dict[str, DataSource] = {}
    identity: Identity = Identity()
    annoyance: Annoyance | None = None
    response: Response = Response()
    policy: Policy

    @field_validator("tables")
    @classmethod
    def _names_of_inputs(cls, tables: dict[str, Any]) -> dict[str, Any]:
        # The results list what went in under these names.
        for name in ("project", "policy"):
            if name in tables:
                raise ValueError(
                    f"call the table '{name}' otherwise: the name stands for a file of the project"
                )
        return tables


_HINT = "Write keys and values, such as version: 1"


class _Loader(yaml.SafeLoader):
    """YAML without surprises: no duplicate keys, no aliases, and NO, 08:30 and 007 are text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict) or key in seen:
                twice = not isinstance(key, list | dict)
                problem = f"the key '{key}' stands here twice" if twice else "a key is no text"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# The words of YAML 1.2: a column that holds the country NO, or an id 007, is not changed on the way.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("timestamp", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Parameters
    ----------
    file : Path
        The file.

    Returns
    -------
    dict

    Raises
    ------
    BadInput
        When it cannot be read, is no YAML, has a key twice, or holds no mapping.
    """
    try:
        raw = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except FileNotFoundError as error:
        raise BadInput(
            Fault(f"there is no such file in {file.parent}", file=file.name, hint="Correct the path")
        ) from error
    except OSError as error:
        raise BadInput(Fault(f"the file cannot be read: {error.strerror}", file=file.name)) from error
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise BadInput(Fault("the file is not UTF-8 text", file=file.name)) from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(Fault(f"{error.problem or 'this is no YAML'}", file=file.name + line)) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(Fault(f"this is no YAML: {error}", file=file.name)) from error
    if not isinstance(raw, dict):
        what = {list: "a list", type(None): "empty"}.get(type(raw), "no mapping")
        raise BadInput(Fault(f"the file is {what}, not a mapping of keys", file=file.name, hint=_HINT))
    return raw


def validated(raw: dict[str, Any], file: str | None, faults: Faults) -> ProjectFile:
    """Check the keys of a project file.

    Parameters
    ----------
    raw : dict
        The keys as they were read.
    file : str or None
        The file's name for messages.
    faults : Faults
        Faults found before; those found here are added, and all are raised.

    Returns
    -------
    ProjectFile

    Raises
    ------
    BadInput
        When there is a fault, found here or before.
    """
    spec = None
    try:
        spec = ProjectFile.model_validate(raw)
    except ValidationError as error:
        for problem in error.errors():
            _explain(problem, file, faults)
    faults.raise_if_any()
    assert spec is not None
    return spec


# Keys of the project file that are mappings with keys of their own.
_MODELS: dict[str, type[BaseModel]] = {
    "horizon": Horizon,
    "tables": SqlSource,
    "annoyance": Annoyance,
    "sources": DataSource,
    "identity": Identity,
    "response": Response,
}


def _explain(problem: Any, file: str | None, faults: Faults) -> None:
    """Turn what pydantic says into the reader's words."""
    # The names of forms stand among the keys; only in identity is keys a key.
    forms = {"text", "keys", "[key]"} - ({"keys"} if problem["loc"][0] == "identity" else set())
    path = [str(part) for part in problem["loc"] if part not in forms]
    key, place, hint = path[-1], ".".join(path[:-1]), None
    match problem["type"]:
        case "extra_forbidden":
            legal = _MODELS.get(path[0] if place else "", ProjectFile).model_fields
            message, hint = f"the key '{key}' is unknown", nearest(key, legal)
        case "missing":
            message = f"the key '{key}' is missing"
        case kind:
            given = "a list" if isinstance(problem["input"], list) else f"'{problem['input']}'"
            text = problem["msg"].removeprefix("Value error, ")
            place, message, hint = ".".join(path), f"{given} cannot stand here", text
            if kind == "too_short":
                message, hint = "nothing is given", None
    faults.add(f"{place}: {message}" if place else message, file=file, hint=hint)
