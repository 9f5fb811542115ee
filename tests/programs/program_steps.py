"""What a random program may do next.

A step takes values that a program has, and writes another one with what users write programs with;
it is refused where there is nothing fit for it.
"""

from __future__ import annotations

from programs.choices import Step
from programs.contraction_steps import CONTRACTION_STEPS
from programs.map_steps import MAP_STEPS, SMOOTH_STEPS
from programs.part_steps import PART_STEPS

STEPS: list[Step] = [*CONTRACTION_STEPS, *MAP_STEPS, *PART_STEPS]
ALL_STEPS: list[Step] = [*STEPS, *SMOOTH_STEPS]
