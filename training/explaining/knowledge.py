"""What the model learned of each biomarker beside what the catalogue knows of it, drug by drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from features.adcs import adcs
from features.biomarkers import Direction, biomarker_of, measures
from features.sources import spelled_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.biomarkers import Citation
    from features.feature_schema import FeatureSchema
    from training.explaining.learned_effects import LearnedEffect

Verdict = Literal["agrees", "disagrees", "no clear effect", "sources disagree", "not known before"]


class KnownEffect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A learned effect beside the catalogue's direction on the same route.

    Attributes
    ----------
    expected : str
        Direction of response with more of the *measure*: increase, decrease, none, unknown or conflicting.
    support : str
        clinical, preclinical, inferred or none.
    held : bool
        The model was held to this sign in training, so that its agreement is no evidence.
    condition : str
        Gene without whose measures in the model the catalogue's direction says nothing.
    citations : tuple of str
        Short names of the sources.
    """

    effect: LearnedEffect
    step: str
    expected: str
    support: str
    verdict: Verdict
    held: bool
    condition: str
    citations: tuple[str, ...]


def against_knowledge(schema: FeatureSchema, effects: Iterable[LearnedEffect]) -> tuple[KnownEffect, ...]:
    """Set every learned effect beside the catalogue.

    Parameters
    ----------
    schema : FeatureSchema
        Of the model, with the signs that it is held to.
    effects : iterable of LearnedEffect

    Returns
    -------
    tuple of KnownEffect
        Of the catalogue's biomarkers, by falling change.
    """
    held = {column.name: column.monotone != 0 for column in schema.columns}
    found = [_known(effect, held=held[effect.name]) for effect in effects if effect.name in biomarker_of()]
    return tuple(sorted(found, key=lambda k: (-abs(k.effect.change), k.effect.name, k.effect.adc)))


def expected_direction(measure: str, adc: str) -> tuple[str, str]:
    """Direction that response takes with more of a measure on an ADC, by the catalogue, and its support.

    Parameters
    ----------
    measure : str
        Column id of the catalogue.
    adc : str
        Short name.

    Returns
    -------
    direction, support : str
        The biomarker's direction, turned round where a higher value means less of its encoded state; "unknown" where
        the ADC's route or the measure has none.
    """
    profile, toward = adcs().get(adc), measures()[measure].toward_state
    route = profile.route if profile else None
    claim = biomarker_of()[measure].directions.get(route) if route else None
    if claim is None or toward == 0:
        return str(Direction.UNKNOWN), "none"
    turned = {Direction.INCREASE: Direction.DECREASE, Direction.DECREASE: Direction.INCREASE}
    direction = turned.get(claim.direction, claim.direction) if toward < 0 else claim.direction
    return str(direction), claim.support


def _known(effect: LearnedEffect, *, held: bool) -> KnownEffect:
    biomarker = biomarker_of()[effect.name]
    expected, support = expected_direction(effect.name, effect.adc)
    return KnownEffect(
        effect,
        biomarker.mechanism_step,
        expected,
        support,
        verdict_of(expected, effect.sign),
        held,
        biomarker.conditional_on,
        tuple(dict.fromkeys(citation.source for citation in biomarker.citations)),
    )


def verdict_of(expected: str, sign: int) -> Verdict:
    """Compare a direction of the catalogue with a learned sign.

    Parameters
    ----------
    expected : str
        increase, decrease, none, unknown or conflicting.
    sign : int
        +1, -1, or 0 for no clear effect.

    Returns
    -------
    str
    """
    if expected == Direction.CONFLICTING:
        return "sources disagree"
    if expected == Direction.NONE:
        return "disagrees" if sign else "agrees"
    if not sign:
        return "no clear effect"
    if expected == Direction.UNKNOWN:
        return "not known before"
    return "agrees" if (sign > 0) == (expected == Direction.INCREASE) else "disagrees"


def cited_sources(names: Iterable[str]) -> tuple[str, ...]:
    """Spell the sources of some measures out.

    Parameters
    ----------
    names : iterable of str
        Column ids of the catalogue.

    Returns
    -------
    tuple of str
        One text per source, each once, by short name.
    """
    citations: dict[str, Citation] = {}
    for name in names:
        for citation in biomarker_of()[name].citations:
            citations.setdefault(citation.source, msgspec.structs.replace(citation, locator=""))
    return spelled_out(citations[key] for key in sorted(citations))
