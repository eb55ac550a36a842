"""Random numbers that depend on seed, block of patients and purpose only, never on threads or cohort size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from features.synthetic.arrays import FloatArray

#: Patients per block. Part of the definition of a cohort: changing it changes every simulated file.
BLOCK_SIZE = 8192


class Draws(Protocol):
    """A source of named random numbers, one per patient; a name always gives the same numbers."""

    @property
    def count(self) -> int:
        """Number of patients."""

    def uniform(self, purpose: str) -> FloatArray:
        """One number per patient, uniform on (0, 1)."""

    def normal(self, purpose: str) -> FloatArray:
        """One standard normal number per patient."""


class PhiloxDraws:
    """Counter-based draws for one block of patients.

    Every purpose has a stream of its own, so that adding a biomarker or intervening on one leaves the numbers of all
    others as they were, and the first patients of a block do not depend on how many follow.

    Parameters
    ----------
    seed : int
        Seed of the cohort, 0 <= seed < 2**64.
    block : int
        Number of the block of `BLOCK_SIZE` patients.
    count : int
        Patients wanted from the block.

    References
    ----------
    .. [1] Salmon et al. Parallel random numbers: as easy as 1, 2, 3. SC 2011.
    """

    def __init__(self, seed: int, block: int, count: int) -> None:
        self._seed = seed
        self._block = block
        self._count = count

    @property
    def count(self) -> int:
        """Number of patients."""
        return self._count

    def generator(self, purpose: str) -> np.random.Generator:
        """Return the stream of one purpose, from its start."""
        key = np.array([self._seed, crc32(purpose.encode())], dtype=np.uint64)
        counter = np.array([0, 0, 0, self._block], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def uniform(self, purpose: str) -> FloatArray:
        """One number per patient, uniform on (0, 1)."""
        # Philox gives multiples of 2**-53 from 0; half a step up keeps inverse distribution functions finite.
        return self.generator(purpose).random(self._count) + 2.0**-54

    def normal(self, purpose: str) -> FloatArray:
        """One standard normal number per patient."""
        return self.generator(purpose).standard_normal(self._count)


class StratifiedDraws:
    """Latin hypercube draws for a fixed reference population: means over it vary far less than over random patients.

    Parameters
    ----------
    seed : int
        Seed of the permutations.
    count : int
        Number of patients.
    """

    def __init__(self, seed: int, count: int) -> None:
        self._random = PhiloxDraws(seed, 0, count)

    @property
    def count(self) -> int:
        """Number of patients."""
        return self._random.count

    def uniform(self, purpose: str) -> FloatArray:
        """One number per patient, uniform on (0, 1), one in each of `count` equal strata."""
        generator = self._random.generator(purpose)
        strata = generator.permutation(self.count).astype(np.float64)
        return np.clip((strata + generator.random(self.count)) / self.count, 1e-12, 1.0 - 1e-12)

    def normal(self, purpose: str) -> FloatArray:
        """One standard normal number per patient, stratified."""
        quantiles: FloatArray = ndtri(self.uniform(purpose))
        return quantiles
