"""Every ADC is typed and cited, and found under any name that files give it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from features.adcs import Adc, adcs, resolve_adc
from features.column_names import normalise_name
from features.sources import spelled_out

if TYPE_CHECKING:
    from pathlib import Path

each_adc = pytest.mark.parametrize("adc", adcs().values(), ids=lambda a: a.id)


def test_the_catalogue_holds_the_27_adcs_of_the_evidence(project_root: Path) -> None:
    written = (project_root / "features" / "adcs.toml").read_text(encoding="utf-8")
    assert len(adcs()) == written.count("\n[[adc]]\n") == 27


@each_adc
def test_an_adc_has_its_parts_and_a_source_that_resolves(adc: Adc) -> None:
    for part in (adc.target, adc.antibody, adc.payload, adc.linker, adc.dar_text, adc.status, adc.verification):
        assert part
    assert all(spelled_out(adc.citations))
    assert adc.citations
    assert adc.dar is None or 1 <= adc.dar <= 16
    assert adc.her2_targeted == adc.target.startswith("HER2")


@each_adc
def test_what_is_marked_unverified_is_a_field_with_a_value(adc: Adc) -> None:
    for field in adc.unverified_fields:
        assert getattr(adc, field) is not None


def test_no_name_belongs_to_two_adcs() -> None:
    owners = Counter(
        name for adc in adcs().values() for name in {normalise_name(n) for n in (adc.id, adc.name, *adc.aliases)}
    )
    assert not [name for name, count in owners.items() if count > 1]


@pytest.mark.parametrize(
    ("adc_id", "route"),
    [
        ("T-DM1", "maytansinoid_noncleavable"),
        ("T-DXd", "topoisomerase1_cleavable"),
        ("SYD985", "alkylator_cleavable"),
        ("RC48", "auristatin_cleavable"),
        ("ARX788", "auristatin_noncleavable"),
        ("ZW49", "auristatin_cleavable"),
        ("A166", None),  # whether its linker is cleavable is unverified
        ("BDC-1001", None),  # not cytotoxic
        ("Tmab-vcMMAE-SMCC-DM1", None),  # one linker of each kind
        ("mirvetuximab soravtansine", None),
    ],
)
def test_a_route_follows_from_payload_and_linker_where_both_are_known(adc_id: str, route: str | None) -> None:
    assert adcs()[adc_id].route == route


@pytest.mark.parametrize(
    ("text", "adc", "partners"),
    [
        ("Trastuzumab emtansine + Pertuzumab", "T-DM1", "pertuzumab"),
        ("Kadcyla", "T-DM1", ""),
        ("ado-trastuzumab emtansine", "T-DM1", ""),
        ("T-DM1 + Pertuzumab", "T-DM1", "pertuzumab"),
        ("TDM1/P", "T-DM1", "pertuzumab"),
        ("T-DM1+P", "T-DM1", "pertuzumab"),
        ("T-DM1+pertuzumab then AC", "T-DM1", "pertuzumab; AC"),
        ("T-DM1 x4", "T-DM1", ""),
        ("T-DM1 (Kadcyla) 3.6 mg/kg q3w", "T-DM1", ""),
        ("T\u2011DM1", "T-DM1", ""),
        ("DS-8201a", "T-DXd", ""),
        ("Enhertu 5.4 mg/kg", "T-DXd", ""),
        ("Enhertu®", "T-DXd", ""),
        ("T-DXd 5.4/6.4", "T-DXd", ""),
        ("T-DXd then THP", "T-DXd", "THP"),
        ("fam-trastuzumab deruxtecan-nxki", "T-DXd", ""),
        ("disitamab vedotin 2.0 mg/kg", "RC48", ""),
        ("RC48-ADC + toripalimab", "RC48", "toripalimab"),
        ("ARX 788", "ARX788", ""),
        ("A166 4.8 / 6.0 mg/kg", "A166", ""),
        ("none", "none", ""),
    ],
)
def test_a_drug_or_arm_is_resolved_with_its_partners(text: str, adc: str, partners: str) -> None:
    assert resolve_adc(text) == (adc, partners)


@pytest.mark.parametrize(
    "text", ["", "  ", "trastuzumab", "Paclitaxel", "T-DM1 then T-DXd", "Trastuzumab emtansin", "+"]
)
def test_what_names_no_adc_or_two_is_not_guessed(text: str) -> None:
    assert resolve_adc(text) is None


@pytest.mark.parametrize("text", ["Paclitaxel + Trastuzumab", "Ctr", "capecitabine+T or lapatinib", "irinotecan"])
def test_a_comparator_is_read_only_when_asked(text: str) -> None:
    assert resolve_adc(text) is None
    assert resolve_adc(text, comparator=True) == ("none", text)


@pytest.mark.parametrize("text", ["Trastuzumab emtansin", "TDM", "trastuzumab rezetecan", "SHR-A1811 deruxtecan", ""])
def test_a_misspelt_or_unlisted_adc_never_becomes_a_comparator(text: str) -> None:
    assert resolve_adc(text, comparator=True) is None


@each_adc
def test_every_name_of_an_adc_resolves_to_it_alone_and_in_a_regimen(adc: Adc) -> None:
    for name in (adc.id, adc.name, *adc.aliases):
        assert resolve_adc(name) == (adc.id, "")
        assert resolve_adc(name.upper()) == (adc.id, "")
        assert resolve_adc(f"{name} + pertuzumab") == (adc.id, "pertuzumab")
