"""The commands `adcr cohort simulate` and `calibrate-report`: each parses its options and calls one function."""

from __future__ import annotations

from pathlib import Path

import click

from features.command_options import PATH, output_option


@click.command(short_help="Simulate a cohort whose truth is known")
@click.option("--patients", type=int, metavar="N", help="Number of patients; needed without --covariates.")
@click.option(
    "--covariates",
    type=PATH,
    metavar="FILE",
    help="Cohort file whose biomarkers are kept as they are; only responses are simulated.",
)
@click.option("--seed", type=int, metavar="N", default=0, show_default=True, help="Same seed, same bytes.")
@output_option
@click.option("--truth", type=PATH, metavar="FILE", help="Also write each patient's true probabilities to this file.")
@click.option(
    "--oracle", type=PATH, metavar="FILE", help="Also write the best attainable scores and true effects (JSON)."
)
@click.option(
    "--world", type=int, metavar="N", default=0, show_default=True, help="World of effect sizes; 0: best estimates."
)
@click.option("--adcs", metavar="ADC,ADC", help="ADCs to draw from, with commas between: T-DM1,T-DXd.")
@click.option("--setting", type=click.Choice(["neoadjuvant", "metastatic"]), help="Draw one setting only.")
@click.option("--trial", metavar="TRIAL", help="Draw a published trial's population and arms: DESTINY-Breast03.")
@click.option("--missing", type=float, metavar="X", help="Share of biomarker values that are missing, 0 to 0.9.")
@click.option(
    "--sites", type=int, metavar="N", default=1, show_default=True, help="Number of hospitals, each with its assay."
)
@click.option("--shift", is_flag=True, help="Shift assay platform and case mix, as another hospital would.")
@click.pass_context
def simulate(
    context: click.Context,
    patients: int | None,
    covariates: Path | None,
    seed: int,
    output: Path,
    truth: Path | None,
    oracle: Path | None,
    world: int,
    adcs: str | None,
    setting: str | None,
    trial: str | None,
    missing: float | None,
    sites: int,
    shift: bool,
) -> None:
    """Simulate a cohort with the mechanism of ADC response, calibrated to published trials."""
    from features.whole_file import require_folder

    for path in (output, truth, oracle):
        if path:
            require_folder(path)
    names = [name.strip() for name in adcs.split(",")] if adcs else None
    if covariates:
        given = {"--patients": patients, "--trial": trial, "--missing": missing, "--shift": shift or None}
        given["--sites"] = sites if sites != 1 else None
        _not_with_covariates(context, [option for option, value in given.items() if value is not None])
        written = _simulate_responses(covariates, output, seed, truth, oracle, world, names, setting)
    elif patients is None:
        raise click.UsageError("Missing option '--patients' (or '--covariates').", context)
    else:
        from features.progress_bar import LateProgressBar
        from features.synthetic import write_cohort
        from features.synthetic.oracle import write_oracle

        with LateProgressBar(f"simulating {output.name}", "patients") as progress:
            written = write_cohort(
                output,
                patients=patients,
                seed=seed,
                truth=truth,
                world=world,
                adcs=names,
                setting=setting,
                trial=trial,
                missing=missing,
                sites=sites,
                shift=shift,
                threads=2,
                progress=lambda done: progress(done, patients),
            )
        if oracle:
            written += (
                write_oracle(
                    oracle, patients=patients, seed=seed, world=world, adcs=names, setting=setting, trial=trial
                ),
            )
    for path in written:
        click.echo(f"wrote {path}")


def _not_with_covariates(context: click.Context, given: list[str]) -> None:
    if given:
        raise click.UsageError(f"{' and '.join(given)} cannot be combined with --covariates.", context)


def _simulate_responses(
    covariates: Path,
    output: Path,
    seed: int,
    truth: Path | None,
    oracle: Path | None,
    world: int,
    adcs: list[str] | None,
    setting: str | None,
) -> tuple[Path, ...]:
    from features.cohort_file import read_cohort
    from features.synthetic.semi_synthetic import write_semi_synthetic

    written, doubts = write_semi_synthetic(
        output, read_cohort(covariates), seed, world=world, adcs=adcs, setting=setting, truth=truth, oracle=oracle
    )
    for doubt in doubts:
        click.echo(doubt, err=True)
    return written


@click.command("calibrate-report", short_help="Set the simulator beside the published trials")
@output_option
@click.option("--cohorts", type=PATH, metavar="DIR", help="Folder of real cohorts whose biomarker shares are compared.")
@click.option(
    "--worlds", type=click.IntRange(1), metavar="N", default=40, show_default=True, help="Worlds behind the intervals."
)
def calibrate_report(output: Path, cohorts: Path | None, worlds: int) -> None:
    """Write a page that sets the simulator beside the published trials it was calibrated to, and those held out."""
    from features.progress_bar import LateProgressBar
    from features.synthetic.calibration_report import write_calibration_report

    with LateProgressBar("simulating the trials", "worlds") as progress:
        checks = write_calibration_report(output, cohorts=cohorts, worlds=worlds, progress=progress)
    for fitted, role in ((True, "fitted"), (False, "held-out")):
        inside = [check.inside for check in checks if (check.anchor.role == "fitted") is fitted]
        click.echo(f"{sum(inside)} of {len(inside)} {role} results lie inside the published 95% interval")
    click.echo(f"wrote {output}")
