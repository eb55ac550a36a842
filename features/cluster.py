"""A Dask cluster: the scheduler that is named, or one of this machine for the time of the work."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from features.errors import InputError
from features.in_order import processors

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds to wait for a scheduler that is named.
CONNECT_SECONDS = 20
#: Times that a task is tried again after the worker that did it died.
RETRIES = 1


@contextmanager
def cluster_client(scheduler: str | None = None, *, workers: int | None = None) -> Iterator[Any]:
    """Connect to a scheduler, or start workers on this machine.

    Parameters
    ----------
    scheduler : str, optional
        Address such as "tcp://10.0.0.1:8786". Without it a local cluster is started, one thread per worker, and ended
        with the block.
    workers : int, optional
        Of a local cluster; one per processor by default.

    Yields
    ------
    distributed.Client

    Raises
    ------
    InputError
        Dask is not installed, or nothing answers at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            "Dask is not installed.", where="--engine dask", mend="Install it with: pip install 'adcr[dask]'."
        ) from error
    with dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}), ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            # No dashboard: nothing on this machine listens but for the work itself.
            address = stack.enter_context(
                LocalCluster(
                    n_workers=workers or processors(),
                    threads_per_worker=1,
                    dashboard_address=None,
                    host="127.0.0.1",
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                "no Dask scheduler answers there.",
                where=f"--scheduler {scheduler}",
                mend="Start one with `dask scheduler`, and name the address that it prints.",
            ) from error
        yield client
