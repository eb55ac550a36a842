"""User errors: one base class; each says what is wrong, where, and how to mend it.

A user error is printed as one line without a traceback and ends the program with its class's exit code. Anything
else that is raised is a fault of adcr and keeps its traceback.
"""

from __future__ import annotations


class AdcrError(Exception):
    """Base of every error that a user can mend.

    Parameters
    ----------
    what : str
        One sentence: what is wrong.
    where : str, optional
        The file, row, column or option that it was found in.
    mend : str, optional
        One sentence: what to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        located = f"{self.where}: {self.what}" if self.where else self.what
        return f"{located} {self.mend}".strip()


class InputError(AdcrError):
    """A file, column, value or option that cannot be used as given (exit code 2)."""


class ModelError(AdcrError):
    """A model that cannot be found, read or trusted (exit code 2)."""


class TrackingError(AdcrError):
    """An MLflow store that cannot be reached or used (exit code 4)."""

    exit_code = 4


class OutputError(AdcrError):
    """A result that cannot be written; nothing half is left behind (exit code 5)."""

    exit_code = 5
