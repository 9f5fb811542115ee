"""Derivatives in the forward direction, Jacobians, and whatever else is called by roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contractconv.api.call_checks import Call, Called, shape_of
from contractconv.api.contraction import Contraction
from contractconv.api.representations import Shown
from contractconv.api.sequences import Steps
from contractconv.errors import OperandError, ShapeError
from contractconv.notation.carets import operand_label
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Spec

if TYPE_CHECKING:
    from contractconv.calculus.collected import Collected
    from contractconv.calculus.derived_strings import Recipe, Subject
    from contractconv.calculus.equation import Equation
    from contractconv.verification.certificate import Certificate


class Derived(Called, Shown):
    """A contraction derived from another one, whose operands have roles.

    Attributes:
        forward: the contraction that it was derived from.
        operand: the position of the array that it is about.
        place: the position of the operand that this array is.
        name: what it is, for messages.
        takes: what it is called with before the forward operands: ``V`` a tangent of the
            operand's shape, ``G`` a cotangent of the result's shape, ``R`` a root of the loss's
            Hessian, with an axis for its columns in front of the result's.
        real: whether complex arrays are refused, because they would have to be conjugated.
    """

    def __init__(self, forward: Contraction, subject: Subject, real: bool = False) -> None:
        self.forward, self.real = forward, real
        self.place, self.name, self.takes = subject.operand, subject.name, subject.takes
        self.operand = forward.arrays.index(forward.names[self.place])
        self._subject, self._title = subject, f"the {subject.name}"

    def checked(self) -> Derived:
        """Return the object itself, or refuse what cannot be derived before it is called."""
        _ = self._recipe
        return self

    @property
    def _recipe(self) -> Recipe:
        return self._subject.recipe

    @property
    def contraction(self) -> Contraction:
        """The string as a contraction; its operands are :attr:`roles`, each by itself."""
        return Contraction._of(self._recipe.spoken)

    @property
    def roles(self) -> tuple[str, ...]:
        """What each operand of the string is: a forward operand by name, or a role."""
        return self._recipe.roles

    @property
    def steps(self) -> Steps:
        """How it came about: each step has a name, a sympy expression and a sentence.

        Example:
            >>> for step in Contraction("(i+k), k -> i").jvp(0).steps:
            ...     print(step.name, step.formula)
            write Y[i] = Σ_{k} X[i+k] · W[k]
            differentiate JV[i] = Σ_{k} V[i+k] · W[k]
            read off JV[i] = Σ_{k} V[i+k] · W[k]
        """
        from contractconv.api.derivation import Step
        from contractconv.calculus.derivation_steps import recipe_steps

        told = recipe_steps(self._recipe, self.forward._named, self.place)
        return Steps(map(Step, told))

    # Any: a checker takes ``**named`` of integers for a candidate of every keyword.
    def verify(self, /, *, extents: Any = None, **named: int) -> Certificate:
        """Prove it on small arrays: formula and string are compared with brute force.

        Args:
            extents: extents and parameters to use; the others are chosen, small and varied.
            **named: the same by keyword.

        Returns:
            A certificate that says what was compared; ``print`` it.

        Raises:
            CertificateError: something disagrees.
            ShapeError: the extents make too many points for brute force.

        Example:
            >>> print(Contraction("(i+k), k -> i").jacobian(0).verify())
            verified: the Jacobian of '(i+k), k -> i' by operand 0
              formula = brute force                           66 numbers, exact
              string = brute force                            66 numbers, exact
              with i=4, k=3; i=3, k=4; i=3, k=3
        """
        from contractconv.verification.derived_forms import certify_derived

        return certify_derived(
            self._subject, self.forward._options("verify", named, extents).extents
        )

    def code(self, library: str) -> str:
        """Return runnable source for ``"numpy"``, ``"torch"`` or ``"jax"``.

        Its last function is called as the object is, by keyword with the extents that no shape
        determines.

        Raises:
            ContractionError: the library is unknown, or there is no such source: a reduction with
                a local derivative for each point, a scatter into an operand.

        Example:
            >>> source = Contraction("b i, i o -> b o").jvp(1).code("numpy")
            >>> print(source[source.index("def forward(") :])
            def forward(X, V):
                \"\"\"b i, i o -> b o\"\"\"
                agree("b i, i o", X.shape, V.shape)
                return np.einsum("bi,io->bo", X, V, optimize=True)
            <BLANKLINE>
            <BLANKLINE>
            def forward_derivative(V, X, W):
                \"\"\"The forward derivative: b i, i o -> b o\"\"\"
                return forward(X, V)
            <BLANKLINE>
        """
        from contractconv.display.recipe_source import recipe_source

        spec, recipe, takes = self._in_source()
        return recipe_source(recipe, spec, self.place, takes, self.name, library)

    def _in_source(self) -> tuple[Spec, Recipe, list[str]]:
        """The contraction, the recipe, and what is taken before the operands, as code calls it."""
        from contractconv.calculus.letters import role_letter
        from contractconv.display.source_code.naming import in_python

        spec = in_python(self.forward._named)
        takes = [role_letter(role, spec, self.place) for role in self.takes]
        return spec, self._subject.derive(spec, self.place), takes

    def _made(self, call: Call) -> Any:
        self._check(call)
        roles = call.roles
        if self.real:
            self._check_real(roles)
        recipe = self._subject.derive(call.concrete, self.place)
        return call.execution.run_recipe(
            recipe, call.problem, roles, call.operands, self.place,
            self._shape(recipe, call), call.options,
        )  # fmt: skip

    def _shape(self, recipe: Recipe, call: Call) -> Shape | None:
        shapes = {"result": call.problem.result_shape, "operand": call.shapes[self.place]}
        known = [shapes[part] for part in recipe.like]
        return sum(known, ()) if known else None

    def _check(self, call: Call) -> None:
        given = call.given
        if "V" in given and shape_of(given["V"]) != call.shapes[self.place]:
            raise ShapeError(
                f"the tangent V has shape {shape_of(given['V'])}, "
                f"{operand_label(self.forward._named, self.place)} of "
                f"'{self.forward}' has {call.shapes[self.place]}"
            )
        result = call.problem.result_shape
        root = shape_of(given.get("R"))
        if "R" in given and (not root or root[1:] != result):
            raise ShapeError(
                f"the root R has shape {shape_of(given['R'])}; it must have an axis for its "
                f"columns, then those of the result: (..., {', '.join(map(str, result))})"
            )

    def _check_real(self, arrays: dict[str, Any]) -> None:
        wrong = [name for name, array in arrays.items() if _is_complex(array)]
        if wrong:
            raise OperandError(
                f"{wrong[0]} is complex: the {self.name} of '{self.forward}' is for real arrays, "
                f"as its string has no conjugate; give real and imaginary parts an axis of their "
                f"own, or put it together from jvp and grad, conjugating in between"
            )

    def _shown_equation(self) -> Equation | Collected:
        return self._recipe.equation

    def _shown_spec(self) -> Spec:
        return self._recipe.spec

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self._subject

    def __repr__(self) -> str:
        label = operand_label(self.forward._named, self.place)
        return f"<{self.name} of {self.forward!r} by {label}>"


def _is_complex(array: Any) -> bool:
    return isinstance(array, complex) or "complex" in str(getattr(array, "dtype", ""))
