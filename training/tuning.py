"""Search for tree settings by Optuna inside the training patients: pruned, time-limited, resumable, reproducible.

Every trial is scored on the same inner folds, which never split a patient or a group; folds are binned once for all
trials. A trial that is behind the median of the others at the same round is given up. Each finished trial is written to
a journal: a search that was broken off goes on where it stopped and ends with the same settings, because the draws of a
trial depend on the seed, its number and the finished trials only. A journal belongs to one search at a time. It is a
convenience: where it cannot be had (read-only home, full disk, held by a process that stands still) the search goes
without.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from filelock import FileLock

from training.cohort_trees import InnerFolds, TreeSettings
from training.kept_fits import code_and_libraries, forget_old

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from features.feature_schema import FeatureColumn
    from training.metrics import Floats, Integers

#: Rounds between two looks at whether a trial is worth going on.
_LOOK_EVERY = 10
#: Trials before pruning starts; the first is always the settings that tuning starts from.
_UNPRUNED = 3
#: Name of the only search in a journal.
_STUDY, _SECONDS = "settings", "seconds"
#: Rounds without improvement that end a trial: at these learning rates later ones gain nothing that decides.
_PATIENCE = 10


class TuningPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to search.

    Attributes
    ----------
    trials : int
        Settings tried per training set.
    seconds : float
        No trial is started after these; the settings then depend on the machine's speed, which the report says.
    """

    trials: int = 20
    seconds: float = 120.0


class Tuned(msgspec.Struct, frozen=True):
    """What a search found.

    Attributes
    ----------
    settings : dict
        Parameters of `AdcResponseClassifier` that it changes.
    log_loss : float
        Of the best trial on the inner folds.
    trials, pruned : int
        Trials finished, and those of them given up early.
    resumed : int
        Trials taken over from the journal.
    timed_out : bool
        Whether the time ended the search.
    """

    settings: dict[str, float | int]
    log_loss: float
    trials: int
    pruned: int
    resumed: int
    timed_out: bool


def tune(
    matrix: Floats,
    outcome: Integers,
    folds: Integers,
    columns: tuple[FeatureColumn, ...],
    start: TreeSettings,
    plan: TuningPlan,
    *,
    journal: Path | None = None,
) -> Tuned:
    """Search for the settings of the cohort's trees with the lowest log loss on inner folds.

    Parameters
    ----------
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    outcome : numpy.ndarray of shape (n_patients,)
    folds : numpy.ndarray of shape (n_repeats, n_patients)
        Inner folds; groups are in one fold each.
    columns : tuple of FeatureColumn
    start : TreeSettings
        First trial; what is not searched for is taken from it.
    plan : TuningPlan
    journal : Path, optional
        Folder of journals; the search's own file is named by the hash of all it depends on.

    Returns
    -------
    Tuned
    """
    inner = InnerFolds(matrix, outcome, folds, columns)
    if journal is not None:
        try:
            with _held_journal(journal, _search_key(matrix, outcome, folds, columns, start), plan.seconds) as file:
                return _search(inner, start, plan, file)
        except OSError:  # filelock's Timeout is one too
            pass
    return _search(inner, start, plan, None)


def _search(inner: InnerFolds, start: TreeSettings, plan: TuningPlan, file: Path | None) -> Tuned:
    import optuna

    with _QUIET:
        study = _study(file)
        resumed = done = len(_finished(study))
        # Time that was worked before counts: what has timed out stays as it is, whoever asks again.
        began = perf_counter() - study.user_attrs.get(_SECONDS, 0.0)
        while done < plan.trials and perf_counter() - began < plan.seconds:
            # The sampler is seeded by the trial's number: a resumed search draws what an unbroken one would have.
            study.sampler = optuna.samplers.TPESampler(seed=start.seed * 10_007 + done, n_startup_trials=8)
            _run_trial(study, inner, start, first=done == 0)
            done += 1
            study.set_user_attr(_SECONDS, perf_counter() - began)
        if done < plan.trials:
            study.set_user_attr(_SECONDS, max(plan.seconds, perf_counter() - began))
        finished = _finished(study)[: plan.trials]
    complete = [t for t in finished if t.state == optuna.trial.TrialState.COMPLETE]
    best = min(complete, key=lambda t: (t.value, t.number), default=None)
    return Tuned(
        settings=dict(best.user_attrs["settings"]) if best else {},
        log_loss=float(best.value) if best else float("nan"),
        trials=len(finished),
        pruned=len(finished) - len(complete),
        resumed=min(resumed, plan.trials),
        timed_out=len(finished) < plan.trials,
    )


def searched_settings(trial: Any) -> dict[str, float | int]:
    """Draw the settings of a trial.

    Parameters
    ----------
    trial : optuna.Trial

    Returns
    -------
    dict
    """
    return {
        "leaves": trial.suggest_int("leaves", 2, 8),
        "learning_rate": trial.suggest_float("learning_rate", 0.06, 0.25, log=True),
        "column_share": trial.suggest_float("column_share", 0.15, 0.8),
        "patient_share": trial.suggest_float("patient_share", 0.4, 0.9),
        "l2": trial.suggest_float("l2", 1.0, 60.0, log=True),
        "unproven_gain": trial.suggest_float("unproven_gain", 0.1, 1.0),
    }


def _run_trial(study: Any, inner: InnerFolds, start: TreeSettings, *, first: bool) -> None:
    import optuna

    if first:
        names = ("leaves", "learning_rate", "column_share", "patient_share", "l2", "unproven_gain")
        if not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
            study.enqueue_trial({n: getattr(start, n) for n in names})
    trial = study.ask()
    settings = searched_settings(trial)
    pruned = False

    def keep_on(current: int, best_loss: float) -> bool:
        nonlocal pruned
        if current % _LOOK_EVERY == 0:
            trial.report(best_loss, current)
            pruned = trial.should_prune()
        return not pruned

    choice = inner.choose_rounds(_with(start, settings), keep_on)
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        trial.set_user_attr("settings", settings)
        study.tell(trial, choice.log_loss)


def _with(start: TreeSettings, settings: Mapping[str, Any]) -> TreeSettings:
    return replace(start, patience=_PATIENCE, **settings)


@contextmanager
def _held_journal(folder: Path, name: str, patience: float) -> Iterator[Path]:
    """Give a search's journal, whole and for this search alone; another that runs the same search is waited for."""
    folder.mkdir(parents=True, exist_ok=True)
    forget_old(folder)
    file = folder / f"{name}.journal"
    with FileLock(file.with_suffix(".lock"), timeout=patience):
        _mend(file)
        yield file


def _mend(file: Path) -> None:
    """Take off the line that a full disk or a power failure cut."""
    if file.exists():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)


def _study(file: Path | None) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=_LOOK_EVERY)

    def opened() -> Any:
        storage = None
        if file is not None:
            # Optuna's own lock would stay after a killed search; the one held around this ends with its process.
            lock: Any = _Held()
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(file), lock_obj=lock))
        return optuna.create_study(
            study_name=_STUDY, storage=storage, pruner=pruner, direction="minimize", load_if_exists=True
        )

    if file is None:
        return opened()
    try:
        found = opened()
        _finished(found)
    except OSError:
        raise
    except Exception:
        # Lines that are none of Optuna's: it fails on each in a way of its own.
        file.unlink()
        return opened()
    return found


class _Held:
    """Lock of Optuna's that is held already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _finished(study: Any) -> list[Any]:
    """Trials with a result, in order; one that was cut off in the middle counts for nothing and is drawn again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _search_key(
    matrix: Floats, outcome: Integers, folds: Integers, columns: tuple[FeatureColumn, ...], start: TreeSettings
) -> str:
    """Hash of all that a search depends on, its length apart: a longer search goes on from a shorter one."""
    digest = hashlib.sha256(code_and_libraries().encode() + repr(start).encode() + msgspec.json.encode(columns))
    for part in (np.ascontiguousarray(matrix), np.asarray(outcome, dtype=np.int64), np.asarray(folds, dtype=np.int64)):
        digest.update(repr(part.shape).encode() + part.tobytes())
    return digest.hexdigest()[:24]


class _QuietOptuna:
    """Optuna tells of every trial; the progress bar does that.

    Searches of several folds run side by side and Optuna's verbosity is one for all, so the last to leave restores it.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = Lock(), 0, 0

    def __enter__(self) -> None:
        import optuna

        with self._lock:
            if not self._inside:
                self._before = optuna.logging.get_verbosity()
                optuna.logging.set_verbosity(optuna.logging.ERROR)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        import optuna

        with self._lock:
            self._inside -= 1
            if not self._inside:
                optuna.logging.set_verbosity(self._before)


_QUIET = _QuietOptuna()
