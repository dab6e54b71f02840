"""The only reader and writer of tables; the contracts of columns and keys.

What a frame looks like after reading, whatever its source was:

- ids are text: 7, "7" and 7.0 are one id; in a CSV file, 007 keeps its zeros;
- numbers are ``float64``; a missing value is an empty cell, never a NaN that was written;
- dates are day numbers: the first day of the horizon is 1, the day before it 0;
- times are minutes since midnight, days of the week are bits (Monday 1 to Sunday 64);
- a free attribute is a number if every cell is one, boolean if every cell is true or false, else text;
- rows keep the order of the source.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniopt.tables.coded import Coded as Coded
    from omniopt.tables.contract import ARMS as ARMS
    from omniopt.tables.contract import CONTRACT as CONTRACT
    from omniopt.tables.contract import OUTCOMES as OUTCOMES
    from omniopt.tables.contract import Column as Column
    from omniopt.tables.contract import TableSpec as TableSpec
    from omniopt.tables.contract import spec_of as spec_of
    from omniopt.tables.database import hide_password as hide_password
    from omniopt.tables.read import Tables as Tables
    from omniopt.tables.read import read_pieces as read_pieces
    from omniopt.tables.read import read_table as read_table
    from omniopt.tables.read import read_tables as read_tables
    from omniopt.tables.read import with_codes as with_codes
    from omniopt.tables.sources import Source as Source
    from omniopt.tables.sources import rows_of as rows_of
    from omniopt.tables.sources import sha256_of as sha256_of
    from omniopt.tables.write import read_parquet as read_parquet
    from omniopt.tables.write import write_csv as write_csv
    from omniopt.tables.write import write_parquet as write_parquet

# Loaded when they are first used: candidates are read while the packages that the rest needs are imported.
_HOME = {
    name: f"omniopt.tables.{module}"
    for module, names in {
        "coded": "Coded",
        "contract": "ARMS CONTRACT OUTCOMES Column TableSpec spec_of",
        "database": "hide_password",
        "read": "Tables read_pieces read_table read_tables with_codes",
        "sources": "Source rows_of sha256_of",
        "write": "read_parquet write_csv write_parquet",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'omniopt.tables' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
