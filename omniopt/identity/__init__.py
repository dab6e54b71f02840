"""One customer from many sources: which rows are of one person, and what is known of them.

`link` does it for a project's sources; `propose` looks for likely links that exact keys do not show.
"""

from omniopt.identity.linkage import Linked, SourceTables, link, nodes_of, read_sources

__all__ = ["Linked", "SourceTables", "link", "nodes_of", "read_sources"]
