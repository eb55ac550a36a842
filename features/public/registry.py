"""The registry of public cohorts: what there is, where, and on which terms."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from features.errors import InputError
from features.faults import listed, shown

#: Groups of measures that a cohort may hold, by the endings of their ids, in place of naming each.
BIOMARKER_GROUPS: dict[str, tuple[str, ...]] = {
    "expression": ("_mrna_z",),
    "mutations": ("_mutated",),
    "copy_number": ("_amplified", "_loss", "_deletion"),
}
#: How a list says an outcome; the keys are the outcome columns of a cohort file.
OUTCOME_NAMES = {"pcr": "pCR", "objective_response": "objective response", "pfs_months": "progression-free survival"}


class PublicCohort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One public cohort.

    Attributes
    ----------
    patients : int
        Rows that the import gives, or that the publication states where no copy was at hand; absent where not known.
    adc : tuple of str
        ADCs of the catalogue that some of the patients received; empty where none did.
    outcome : str
        Outcome column of the cohort file; empty where there is none.
    assessed, events : int
        Patients whose outcome is known, and who responded; absent where not known.
    biomarkers : tuple of str
        Measures of the catalogue, or groups of BIOMARKER_GROUPS.
    format : str
        What the file is; empty where no copy is to be had.
    mapping : str
        Name of the shipped mapping that reads it.
    note : str
        What else must be known to make use of it.
    host : str
        Name of a host of the registry; empty where it is not fetched.
    files : tuple of str
        Paths below the host.
    sha256 : tuple of str
        Of `files`, in their order, where they are fixed; empty where they are not.
    expression : str
        Path of a gene-level matrix, where there is one.
    by_hand : str
        What to do where it is not fetched by a program.
    apply : str
        Where to apply, where it needs an access agreement.
    verified : bool
        Whether the addresses were fetched by us.
    """

    name: str
    title: str
    citation: str
    licence: str
    verified: bool
    patients: int | None = None
    adc: tuple[str, ...] = ()
    outcome: Literal["", "pcr", "objective_response", "pfs_months"] = ""
    assessed: int | None = None
    events: int | None = None
    biomarkers: tuple[str, ...] = ()
    format: Literal["", "GEO series matrix", "cBioPortal study", "Excel workbook", "table"] = ""
    mapping: str = ""
    note: str = ""
    host: str = ""
    files: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    expression: str = ""
    by_hand: str = ""
    apply: str = ""

    def holds(self) -> str:
        """Say in one line who is in it, what they received, and what is known of the outcome."""
        if self.patients is None:
            return "as its owners say"
        parts = [f"{self.patients:,} patients"]
        parts.append(f"ADC: {', '.join(self.adc)}" if self.adc else "no ADC")
        parts.append(self._outcome() if self.outcome else "no outcome of treatment")
        return "; ".join(parts)

    def _outcome(self) -> str:
        name = OUTCOME_NAMES[self.outcome]
        if self.events is None:
            return name
        return f"{name} in {self.events:,} of {self.assessed:,}" if self.assessed else f"{name} in {self.events:,}"

    def to_lines(self) -> list[str]:
        """Say everything that a reader of the registry needs, a fact a line."""
        access = f"needs an agreement: {self.apply}" if self.apply else self.by_hand or "adcr cohort fetch"
        extra = " (--expression adds the gene-level matrix)" if self.expression else ""
        facts = {
            "": self.title,
            "holds: ": self.holds(),
            "biomarkers: ": ", ".join(self.biomarkers),
            "format: ": self.format and f"{self.format}{f', mapping {self.mapping}' if self.mapping else ''}",
            "note: ": self.note,
            "cite: ": self.citation,
            "licence: ": self.licence,
            "access: ": access + extra,
        }
        lines = [f"{name}{fact}" for name, fact in facts.items() if fact]
        return [*lines, "address not verified by us"] if self.host and not self.verified else lines


class _Registry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hosts: dict[str, str]
    cohort: tuple[PublicCohort, ...]


@cache
def _registry() -> _Registry:
    content = files("features.public").joinpath("registry.toml").read_bytes()
    return msgspec.toml.decode(content, type=_Registry)


def public_cohorts() -> tuple[PublicCohort, ...]:
    """List every cohort of the registry.

    Returns
    -------
    tuple of PublicCohort
    """
    return _registry().cohort


def public_cohort(name: str) -> PublicCohort:
    """Find a cohort by its name; a name of the form `cbioportal:STUDY` stands for any study of cBioPortal.

    Parameters
    ----------
    name : str

    Returns
    -------
    PublicCohort

    Raises
    ------
    InputError
        There is none of that name.
    """
    known = {c.name: c for c in public_cohorts()}
    if name in known:
        return known[name]
    prefix, _, study = name.partition(":")
    if prefix == "cbioportal" and study.replace("_", "").isalnum() and study.isascii():
        return PublicCohort(
            name=study,
            title=f"cBioPortal study {study}",
            citation="as the study says",
            licence="as the study says",
            verified=False,
            format="cBioPortal study",
            host="cbioportal",
            files=(f"{study}.tar.gz",),
        )
    close = difflib.get_close_matches(name, known, n=1)
    mend = f"Did you mean '{close[0]}'?" if close else f"There are {listed(known, most=20)}, and cbioportal:STUDY."
    raise InputError(f"there is no public cohort '{shown(name)}'.", where="adcr cohort fetch", mend=mend)


def host_address(host: str) -> str:
    """Address of a host: `ADCR_HOST_<NAME>` of the environment names a mirror.

    Parameters
    ----------
    host : str

    Returns
    -------
    str
        Without a slash at the end.
    """
    return os.environ.get(f"ADCR_HOST_{host.upper()}", _registry().hosts[host]).rstrip("/")
