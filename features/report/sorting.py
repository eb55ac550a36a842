"""The one script of a page: it sorts, searches and pages tables; all else of a page works without it."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files


def sorting_script() -> str:
    """Give the script of sortable tables, which reads the page and writes nothing but the order of rows.

    Returns
    -------
    str
    """
    return files("features.report").joinpath("sorting.js").read_text(encoding="utf-8")


def content_policy(script: str) -> str:
    """Content security policy of a page: nothing is fetched, and no script runs but the page's own.

    Parameters
    ----------
    script : str
        Content of the page's script element; "" where there is none.

    Returns
    -------
    str
        Should a text ever slip through unescaped, the browser still runs nothing of it.
    """
    allowed = "'none'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed = f"'sha256-{digest}'"
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"
