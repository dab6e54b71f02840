"""Tables that are the result of a query. No other module imports SQLAlchemy to read tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omniopt.tables.unreadable import Unreadable, first_line


def hide_password(url: str) -> str:
    """Return a database URL that may be shown and stored."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "***"
    secret = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
    query = {k: "***" if secret.search(k) else v for k, v in parsed.query.items()}
    return parsed.set(query=query).render_as_string(hide_password=True)


def query(source: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Run the query of a source.

    Parameters
    ----------
    source : mapping
        ``url`` (SQLAlchemy's form), ``sql``, and ``root``, the folder a relative SQLite file lies in.

    Returns
    -------
    header : list of str
        The names of the columns.
    columns : list of list
        Their cells.

    Raises
    ------
    Unreadable
        When the database cannot be reached or the query fails; no password is in the message.
    """
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    url = str(source.get("url", ""))
    try:
        parsed = sqlalchemy.make_url(url)
    except (SQLAlchemyError, ValueError) as error:
        raise Unreadable(
            "the url of the database cannot be read", "Write it as postgresql+psycopg://…"
        ) from error
    parsed = _existing_sqlite(parsed, source.get("root"))
    try:
        engine = sqlalchemy.create_engine(parsed)
        try:
            # Without parameters the text goes to the database as it is: %, : and ? keep their meaning.
            options = {"no_parameters": True}
            if parsed.get_backend_name() == "postgresql":
                options["postgresql_readonly"] = True
            # Nothing is committed either, so that a statement that writes leaves nothing behind.
            with engine.connect().execution_options(**options) as connection:
                result = connection.exec_driver_sql(str(source.get("sql", "")))
                if not result.returns_rows:
                    raise Unreadable("the sql returns no rows", "Write a select")
                header, rows = list(result.keys()), result.fetchall()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError, OSError, ValueError, TypeError) as error:
        reason = _without_secrets(first_line(getattr(error, "orig", None) or error), parsed)
        raise Unreadable(
            f"the database says: {reason}", f"See the url {hide_password(url)} and the sql"
        ) from None
    return header, [[row[i] for row in rows] for i in range(len(header))]


def _existing_sqlite(url: Any, root: object) -> Any:
    """Open a SQLite file beside the project file, only to read; SQLite itself would create a missing one."""
    file = url.database
    if url.get_backend_name() != "sqlite" or not file or file == ":memory:" or file.startswith("file:"):
        return url
    path = Path(str(root or "."), file).absolute()
    if not path.is_file():
        raise Unreadable(f"there is no database file {file}", "Correct the url in the project file")
    query = {**url.query, "mode": "ro", "uri": "true"}
    return url.set(database=f"file:{quote(str(path))}", query=query)


def _without_secrets(text: str, url: Any) -> str:
    secrets = [url.password, *url.query.values()]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    return text
