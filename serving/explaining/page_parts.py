"""What the pages of a cohort and of a patient share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.report.document import Section
    from serving.explaining.explained_cohort import ExplainedCohort

SCHEMA_VERSION = 1
USE = (
    "Research use only; never a treatment recommendation. Contributions tell what the model does with a value, not "
    "what the value does to a tumour."
)
ENDPOINTS = {"pcr": "pathological complete response (pCR)", "objective_response": "objective response (RECIST 1.1)"}


def document(
    explained: ExplainedCohort, title: str, subtitle: str, headline: Iterable[tuple[str, str]], parts: Iterable[Section]
) -> Document:
    """Put a page together, with what of it is simulated on top.

    Parameters
    ----------
    explained : ExplainedCohort
    title, subtitle : str
    headline : iterable of (str, str)
    parts : iterable of Section

    Returns
    -------
    Document
    """
    banner = (
        f"{explained.origin.upper()}: no number here says anything about real patients." if explained.origin else ""
    )
    return Document(
        schema_version=SCHEMA_VERSION,
        kind="explanation",
        title=title,
        subtitle=subtitle,
        banner=banner,
        use=USE,
        headline=tuple(headline),
        sections=tuple(parts),
    )


def model_line(explained: ExplainedCohort) -> str:
    """Name the model, what it predicts and what it learned from.

    Parameters
    ----------
    explained : ExplainedCohort

    Returns
    -------
    str
    """
    record = explained.record
    return (
        f"Model {record.model_name} {record.model_version}: {ENDPOINTS[record.endpoint]}, learned from "
        f"{record.cohort.patients:,} patients of {record.cohort.name}"
    )
