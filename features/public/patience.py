"""Asking a server that may be busy or break off: which failures are worth another attempt, and how long to wait."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

Answer = TypeVar("Answer")

ATTEMPTS = 4
#: Seconds before the second attempt; each further one waits twice as long. A server's own wish counts up to a minute.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
#: Seconds for connecting, and between two pieces of an answer.
TIMEOUTS = (20, 60)
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class TryAgainError(Exception):
    """A failure that may pass.

    Parameters
    ----------
    why : str
    wait : float, optional
        Seconds that the server asks for.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class RefusedError(Exception):
    """A failure that will not pass."""


def patiently(action: Callable[[], Answer], first_wait: float = FIRST_WAIT) -> Answer:
    """Do something up to four times, with growing waits.

    Parameters
    ----------
    action : callable
        Raises TryAgainError or RefusedError.
    first_wait : float
        Seconds before the second attempt.

    Returns
    -------
    object
        What `action` returns.

    Raises
    ------
    RefusedError
        It was refused, or failed every time.
    """
    wait = first_wait
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _named():
                return action()
        except TryAgainError as error:
            if attempt == ATTEMPTS:
                raise RefusedError(f"{error}, {ATTEMPTS} times") from error
            time.sleep(min(error.wait if error.wait is not None else wait, LONGEST_WAIT))
            wait *= 2
    raise AssertionError


@contextmanager
def _named() -> Iterator[None]:
    """Failures of the network by what they mean."""
    import requests

    try:
        yield
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise TryAgainError("there is no connection, or it broke") from error
    except requests.exceptions.Timeout as error:
        raise TryAgainError("the server does not answer") from error
    except requests.exceptions.RequestException as error:
        raise RefusedError(f"the address cannot be asked ({type(error).__name__})") from error


def check_status(answer: requests.Response, accepted: tuple[int, ...] = (200,)) -> None:
    """Tell by its status whether an answer is one.

    Parameters
    ----------
    answer : requests.Response
    accepted : tuple of int

    Raises
    ------
    TryAgainError
        The server is busy or ill.
    RefusedError
        Any other status.
    """
    if answer.status_code in _AGAIN:
        told = answer.headers.get("Retry-After", "")
        raise TryAgainError(f"the server answered {answer.status_code}", float(told) if told.isdigit() else None)
    if answer.status_code not in accepted:
        raise RefusedError(f"the server answered {answer.status_code}")
