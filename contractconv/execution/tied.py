"""A contraction compiled for fixed shapes, in which one array stands in several places."""

from __future__ import annotations

from typing import Any, Never, NoReturn

from contractconv.arrays.views import Array
from contractconv.errors import ContractionError
from contractconv.execution.compiled import Compiled
from contractconv.execution.profile import Profile
from contractconv.notation.carets import operand_position
from contractconv.notation.keywords import Casting
from contractconv.notation.names import spread
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan


class TiedCompiled(Compiled):
    """What is compiled as if each place had an array of its own, called with one array a name.

    What comes back to an array is the sum of what comes back to its places.

    Attributes:
        plan: how the forward contraction is executed.
    """

    def __init__(self, compiled: Compiled, spec: Spec) -> None:
        self._compiled, self._spec = compiled, spec
        self.plan = compiled.plan

    def __call__(self, *operands: Any, **options: Any) -> Array:
        """Contract arrays of the compiled shapes; see :meth:`Compiled.__call__`."""
        return self._compiled(*spread(self._spec, operands), **options)

    def vjp(
        self,
        n: int | str,
        cotangent: Any,
        *operands: Any,
        out: Array | None = None,
        casting: Casting = "safe",
        **others: Never,
    ) -> Array:
        """Contract a cotangent back to an array, by its position or its name.

        Raises:
            OperandError: there is no array ``n``.
        """
        first, *more = self._spec.places_of(operand_position(self._spec, n))
        taken = spread(self._spec, operands)
        made = self._compiled.vjp(first, cotangent, *taken, out=out, casting=casting, **others)
        for place in more:
            made += self._compiled.vjp(place, cotangent, *taken)
        return made

    def vjps(self, cotangent: Any, *operands: Any) -> tuple[Array, ...]:
        """Contract a cotangent back to every array; see :meth:`Compiled.vjps`."""
        made = self._compiled.vjps(cotangent, *spread(self._spec, operands))
        found: dict[str, Array] = {}
        for name, part in zip(self._spec.called, made, strict=True):
            found[name] = found[name] + part if name in found else part
        return tuple(found.values())

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the arrays."""
        shapes = dict(zip(self._spec.called, self._compiled.shapes, strict=True))
        return tuple(shapes.values())

    def vjp_plans(self, n: int | str) -> tuple[Plan, ...]:
        """How the backward contraction of each place of an array is executed."""
        places = self._spec.places_of(operand_position(self._spec, n))
        return tuple(map(self._compiled.vjp_plan, places))

    def vjp_plan(self, n: int | str) -> Plan:
        """The same of an array that stands in one place.

        Raises:
            ContractionError: it stands in several.
        """
        first, *others = self.vjp_plans(n)
        if others:
            self._several(n, "plan", f"vjp_plans({n!r}) returns them")
        return first

    def profile(self, *operands: Any) -> Profile:
        """Time each piece of a call; see :meth:`Compiled.profile`."""
        return self._compiled.profile(*spread(self._spec, operands))

    def vjp_profile(self, n: int | str, cotangent: Any, *operands: Any) -> Profile:
        """Time each piece of :meth:`vjp`, for an array that stands in one place.

        Raises:
            ContractionError: it stands in several.
        """
        first, *others = self._spec.places_of(operand_position(self._spec, n))
        if others:
            self._several(n, "profile", "profile the contraction of untied operands instead")
        return self._compiled.vjp_profile(first, cotangent, *spread(self._spec, operands))

    def _several(self, n: int | str, what: str, instead: str) -> NoReturn:
        name = self._spec.arrays[operand_position(self._spec, n)]
        raise ContractionError(
            f"{name} stands in several places of '{self._spec}', and its gradient has a {what} for "
            f"each: {instead}"
        )

    def __repr__(self) -> str:
        return f"{self._compiled!r}".replace("Compiled(", "TiedCompiled(", 1)
