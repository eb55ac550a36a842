"""The registry of public cohorts: what there is, where, and on which terms."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib.resources import files

import msgspec

from features.errors import InputError
from features.faults import listed, shown


class PublicCohort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One public cohort.

    Attributes
    ----------
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
    holds: str
    citation: str
    licence: str
    verified: bool
    host: str = ""
    files: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    expression: str = ""
    by_hand: str = ""
    apply: str = ""


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
            holds="as the study says",
            citation="as the study says",
            licence="as the study says",
            verified=False,
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
