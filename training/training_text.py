"""What `adcr train` prints: whom it learned from, how the candidates compare, and what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec

from features.report.files import HTML_FILE
from training.literature_text import learning_curve_lines, literature_sentence
from training.metrics import METRICS
from training.text_lines import RESEARCH_USE, metrics_table, wrapped
from training.training_table import PUT_ASIDE
from training.validation.text import checks_lines, validation_lines

if TYPE_CHECKING:
    from training.estimate import Estimate
    from training.training_result import TrainingResult
    from training.training_session import TrainingSession

_TOP_INFLUENCES = 5


def session_text(session: TrainingSession) -> str:
    """Report of a training session, at most 80 columns wide but for names of files.

    Parameters
    ----------
    session : TrainingSession

    Returns
    -------
    str
    """
    result, registered = session.result, session.registered
    champion = "is the champion now" if registered.decision.moves else "did not become champion"
    judged = [(c.label, {m: c.evaluation.estimate(m) for m in METRICS}) for c in result.candidates]
    parts = [
        *_cohort_lines(result),
        *checks_lines(result.validation.checks),
        "",
        *metrics_table(judged, METRICS[:3]),
        "",
        *metrics_table(judged, METRICS[3:]),
        "",
        *validation_lines(result.validation),
        *wrapped(verdict(result)),
        *wrapped(literature_sentence(result)),
        *learning_curve_lines(result.curve),
        *_notes(result),
        *_taken_over(session),
        *wrapped(f"Builds most on {', '.join(i.name for i in result.influences[:_TOP_INFLUENCES])}."),
        "",
        *wrapped(f"{registered.name} version {registered.version} {champion}: {registered.decision.reason}."),
        *_written(session),
        "",
        "Next:",
        *(f"  {line}" for line in next_commands(session)),
        "",
        RESEARCH_USE,
    ]
    return "\n".join(parts)


def _cohort_lines(result: TrainingResult) -> list[str]:
    stamp = result.record.cohort
    lines = []
    if result.record.simulated:
        lines += [f"{stamp.kind.upper()} PATIENTS: no number below says anything about real ones.", ""]
    drugs = ", ".join(f"{drug} {count}" for drug, count in stamp.adcs.items())
    lines.append(f"{result.name}: {result.endpoint} in {stamp.name}")
    lines += wrapped(
        f"{stamp.patients} patients, {stamp.events} responded ({stamp.events / stamp.patients:.0%}): {drugs}"
        + (f"; {', '.join(stamp.settings)}." if stamp.settings else ".")
    )
    left_out = "; ".join(f"{count} {reason}" for reason, count in result.attrition.left_out.items())
    why = " 'adcr cohort check' tells why." if PUT_ASIDE in result.attrition.left_out else ""
    lines += wrapped(f"Left out of {result.attrition.rows_in} rows: {left_out or 'none'}.{why}")
    signed = sum(c.monotone != 0 for c in result.table.schema.columns)
    lines += wrapped(
        f"{len(result.table.schema.columns)} columns, {signed} held to the direction that the catalogue gives. "
        f"{_split_words(result)}; 95% intervals resample {result.resampled}."
    )
    return lines


def _split_words(result: TrainingResult) -> str:
    split = result.validation.split
    if split.held_out:
        return f"Held out one at a time: {', '.join(split.held_out)}"
    return f"{split.repeats} x {split.folds}-fold cross-validation"


def verdict(result: TrainingResult) -> str:
    """Say in a sentence whether the model is better than the baselines.

    Better is only what has an interval of the paired difference in log loss that excludes zero.

    Parameters
    ----------
    result : TrainingResult

    Returns
    -------
    str
    """
    label, differences = result.model.label, result.differences("log_loss")
    fitted = [c for c in result.candidates if c.baseline and c.log_odds is not None]
    unbeaten = [c for c in fitted if not (differences[c.id].excludes_zero and (differences[c.id].value or 0) < 0)]
    if not unbeaten:
        closest = min(fitted, key=lambda c: c.evaluation.values["log_loss"])
        return (
            f"{label} is better than every baseline: its log loss is lower, by {_span(differences[closest.id])} "
            f"against the best of them, '{closest.label}'."
        )
    worse = [c for c in unbeaten if differences[c.id].excludes_zero]
    told = "; ".join(f"'{c.label}' ({_signed(differences[c.id])})" for c in unbeaten)
    first = f"{label} is worse than {len(worse)} of them. " if worse else ""
    return f"{label} is not shown to be better than {told}. {first}".strip()


def _span(difference: Estimate) -> str:
    assert difference.value is not None
    assert difference.low is not None
    assert difference.high is not None
    return f"{-difference.value:.3f} (95% interval {-difference.high:.3f} to {-difference.low:.3f})"


def _signed(difference: Estimate) -> str:
    if difference.value is None:
        return "not comparable"
    told = f"difference in log loss {difference.value:+z.3f}"
    if difference.low is None or difference.high is None:
        return told
    return f"{told}, 95% interval {difference.low:+z.3f} to {difference.high:+z.3f}"


def _notes(result: TrainingResult) -> list[str]:
    notes = []
    if result.best.baseline:
        notes += wrapped(
            f"The lowest log loss is that of '{result.best.label}'; the bundle holds {result.model.label}."
        )
    for candidate in result.candidates:
        if candidate.reason:
            notes += wrapped(f"'{candidate.label}' could not be fitted: {candidate.reason}.")
    return notes


def _taken_over(session: TrainingSession) -> list[str]:
    if not session.taken_over:
        return []
    fits = "1 fit was" if session.taken_over == 1 else f"{session.taken_over} fits were"
    return wrapped(f"{fits} taken over from an earlier start of this training.")


def _written(session: TrainingSession) -> list[str]:
    """Name the copies that were asked for; the run holds both anyway."""
    request = session.request
    written = [] if request.output is None else [f"wrote {request.output}"]
    return written if request.report is None else [*written, f"wrote {request.report / HTML_FILE}"]


def next_commands(session: TrainingSession) -> list[str]:
    """Commands that a user can run now.

    Parameters
    ----------
    session : TrainingSession

    Returns
    -------
    list of str
    """
    registered = session.registered
    model = f"models:/{registered.name}@champion" if registered.decision.moves else registered.uri
    experiment = f" --experiment {shlex.quote(session.experiment)}" if session.experiment != "adcr" else ""
    return [
        f"adcr score FILE --model {model} -o scores.csv",
        f"adcr compare{experiment}",
        "adcr ui",
    ]


def session_json(session: TrainingSession) -> str:
    """Content of the report for programs.

    Parameters
    ----------
    session : TrainingSession

    Returns
    -------
    str
    """
    result, registered = session.result, session.registered
    content: dict[str, Any] = {
        "model": result.name,
        "version": registered.version,
        "model_uri": registered.uri,
        "run_id": session.run_id,
        "fits_taken_over": session.taken_over,
        "experiment": session.experiment,
        "endpoint": result.endpoint,
        "cohort": result.record.cohort,
        "simulated": result.record.simulated,
        "rows_in": result.attrition.rows_in,
        "left_out": result.attrition.left_out,
        "columns": list(result.table.schema.names),
        "columns_left_out": result.attrition.columns,
        "resampled": result.resampled,
        "candidates": {
            c.id: {m: c.evaluation.estimate(m) for m in METRICS} | ({"reason": c.reason} if c.reason else {})
            for c in result.candidates
        },
        "log_loss_minus": result.differences("log_loss") | result.differences_of_models("log_loss"),
        "better_than_baselines": result.beats_baselines,
        "lowest_log_loss": result.best.id,
        "verdict": verdict(result),
        "literature": literature_sentence(result) or None,
        "literature_use": result.literature,
        "learning_curve": list(result.curve),
        "validation": result.validation,
        "champion": {
            "moved": registered.decision.moves,
            "reason": registered.decision.reason,
            "log_loss_minus_champion": registered.decision.difference,
        },
        "influences": list(result.influences),
        "explanation": result.explanation,
        "seconds": round(result.seconds, 2),
        "next": next_commands(session),
        "use": RESEARCH_USE,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
