"""A number with its 95% interval, or the reason why there is none."""

from __future__ import annotations

import msgspec


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric with its 95% interval; `value` None with the reason where it cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
