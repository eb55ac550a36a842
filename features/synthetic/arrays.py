"""Array types of the simulator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

#: The true biology of a block of tumours: one float array per quantity, one entry per patient. Quantities that a
#: cohort file can hold go by the id of their measure; the rest are described in `population.py`.
Tumours = dict[str, FloatArray]
