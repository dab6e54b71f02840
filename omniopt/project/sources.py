"""What the project file says of sources: where tables come from, and how many become one customer."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

#: Keys that link rows exactly unless the project names others.
KEYS = ("customer_number", "email", "phone")


class SqlSource(BaseModel):
    """A table that is the result of a query; ``url`` is a SQLAlchemy URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    sql: str


def _form(value: Any) -> str | None:
    """Tell which of two forms a value has, so that pydantic answers for that form alone."""
    return "text" if isinstance(value, str) else "keys" if isinstance(value, dict | SqlSource) else None


def either(forms: str) -> Discriminator:
    """Read text or keys; `forms` says what to write instead of anything else."""
    return Discriminator(_form, custom_error_type="no_form", custom_error_message=f"write {forms}")


TableSource = Annotated[
    Annotated[str, Tag("text")] | Annotated[SqlSource, Tag("keys")], either("a path, or url and sql")
]


class DataSource(BaseModel):
    """One source: a table with its own ids and columns, and what it holds.

    Attributes
    ----------
    kind : str
        ``customers``, ``consents`` or ``history``.
    table : str or SqlSource
        Any table the project can read.
    columns : dict of str to str
        The contract's name of a column to the source's; other columns keep their names.
    values : dict
        Columns with the same value in every row, such as ``channel: shop``.
    ids_of : str or None
        The source of customers whose ids stand in ``customer_id``, or ``customers``: those by which tables
        and plans call them; for consents and history.
    trust : float
        A more trusted source has the higher number.
    updated : str or None
        The source's column with the date of a row's last change.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["customers", "consents", "history"]
    table: TableSource
    columns: dict[str, str] = {}
    values: dict[str, str | bool | int | float] = {}
    ids_of: str | None = None
    trust: float = Field(default=1.0, allow_inf_nan=False)
    updated: str | None = None


class Identity(BaseModel):
    """How rows of many sources become one customer.

    Attributes
    ----------
    keys : tuple of str
        Columns whose equal values, once normalised, link rows.
    country_code : str or None
        Of telephone numbers written without one, such as ``"49"``.
    largest : int
        So many ids of one source may be one person.
    settle : str
        Which source wins where they differ: the ``most_trusted`` or the ``newest``.
    household : tuple of str
        Customers who agree in all of these columns are a household.
    links : str or None
        A table of proposed links, such as ``omniopt link`` writes.
    threshold : float
        Proposed links from this probability on are made.
    compare : dict of str to str
        Columns that ``omniopt link`` compares, and how: ``name``, ``text`` or ``exact``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    keys: tuple[str, ...] = Field(default=KEYS, min_length=1)
    country_code: str | None = None
    largest: int = Field(default=5, ge=1, strict=True)
    settle: Literal["most_trusted", "newest"] = "most_trusted"
    household: tuple[str, ...] = ()
    links: str | None = None
    threshold: float = Field(default=0.95, gt=0, le=1)
    compare: dict[str, Literal["name", "text", "exact"]] = {}

    @field_validator("country_code", mode="before")
    @classmethod
    def _digits(cls, value: Any) -> Any:
        if value is None or re.fullmatch(r"[1-9]\d{0,2}", str(value)):
            return None if value is None else str(value)
        raise ValueError("write the digits of a country's code, such as 49")
