"""Real numbers of many decimal digits, in a context of their own: nobody else's precision moves."""

from __future__ import annotations

from mpmath import MPContext

DIGITS = 60

MP = MPContext()
MP.dps = DIGITS

STEP = MP.mpf(10) ** -20
"""Of differences: what is left of them is right to as many digits as the step's square has."""
EXACT_DIGITS, DECIMAL_DIGITS = 30, 13
"""To how many digits such numbers agree; and numbers that were written as Python's."""
