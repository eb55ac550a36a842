"""Numbers and warnings as every report writes them."""

from __future__ import annotations

NO_BREAK = "\u00a0"


def share(part: int, whole: int) -> str:
    """Write a count with its share.

    Parameters
    ----------
    part, whole : int

    Returns
    -------
    str
    """
    return f"{part:,}" if not whole else kept_together(f"{part:,} ({part / whole:.0%})")


def kept_together(text: str) -> str:
    """Let a line break only before what stands in parentheses, never within.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    before, bracket, inside = text.partition("(")
    return f"{before}{bracket}{inside.replace(' ', NO_BREAK)}"


def banner(kind: str) -> str:
    """Tell that patients are not real, where they are not.

    Parameters
    ----------
    kind : {"measured", "simulated", "semi-synthetic"}

    Returns
    -------
    str
    """
    if kind == "measured":
        return ""
    if kind == "semi-synthetic":
        return "SEMI-SYNTHETIC PATIENTS: real biomarkers, simulated responses; no result says anything about real ones."
    return f"{kind.upper()} PATIENTS: no number here says anything about real ones."
