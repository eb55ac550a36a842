"""The commands `adcr prior build` and `adcr prior show`: each parses its options and calls one function."""

from __future__ import annotations

import click

from features.command_options import json_option


@click.group(no_args_is_help=True)
def prior() -> None:
    """Build and show the literature prior that training starts from.

    It is learned from simulated worlds, never from patients, and rebuilt by itself when the catalogue or the
    simulator change.
    """


@prior.command(short_help="Build the prior, if it is not in the cache")
@click.option("--force", is_flag=True, help="Build it anew even where it is in the cache.")
def build(*, force: bool) -> None:
    """Build the prior, if it is not in the cache, so that later commands find it ready."""
    from training.prior import build_prior, cache_folder, literature_prior, prior_key
    from training.prior_worlds import PriorSettings

    if force:
        folder = cache_folder() / prior_key(PriorSettings())
        folder.parent.mkdir(parents=True, exist_ok=True)
        built = build_prior(PriorSettings(), folder)
    else:
        built = literature_prior()
    click.echo(
        f"Prior {built.record.key}: {built.record.settings.worlds} worlds, {len(built.evidence.patients):,} simulated "
        f"patients, built in {built.record.seconds:.1f} s.\n{built.folder}"
    )


@prior.command(short_help="Show what the prior was made of")
@json_option
def show(*, as_json: bool) -> None:
    """Show what the prior was made of, and what it leans towards for each ADC."""
    from training.prior import literature_prior

    built = literature_prior()
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(built.record), indent=2).decode())
        return
    from training.prior_report import prior_text

    click.echo(prior_text(built))
