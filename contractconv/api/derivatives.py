"""Derivatives in the forward direction, Jacobians, and whatever else is called by roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contractconv.api.contraction import Contraction
from contractconv.api.forward_operands import Call, forward_call, shape_of
from contractconv.api.shown import Shown
from contractconv.errors import OperandError, ShapeError
from contractconv.notation.places import operand_position
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Spec

if TYPE_CHECKING:
    from contractconv.api.derivation import Step
    from contractconv.arrays.views import Array
    from contractconv.calculus.derived_strings import Recipe
    from contractconv.calculus.equation import Equation
    from contractconv.verification.certificate import Certificate


class Derived(Shown):
    """A contraction derived from another one, whose operands have roles.

    Attributes:
        forward: the contraction that it was derived from.
        operand: the position of the operand that it is about.
        name: what it is, for messages.
        takes: what it is called with before the forward operands: ``V`` a tangent of the
            operand's shape, ``G`` a cotangent of the result's shape, ``R`` a root of the loss's
            Hessian, with an axis for its columns in front of the result's.
        real: whether complex arrays are refused, because they would have to be conjugated.
    """

    def __init__(
        self,
        forward: Contraction,
        n: int,
        name: str,
        takes: tuple[str, ...],
        derive: Callable[[Spec, int], Recipe],
        real: bool = False,
    ) -> None:
        self.forward = forward
        self.operand = operand_position(forward._spec, n)
        self.name = name
        self.takes = takes
        self.real = real
        self._derive = derive

    def checked(self) -> Derived:
        """Return the object itself, or refuse what cannot be derived before it is called."""
        self._derive(self.forward._spec, self.operand)
        return self

    @property
    def _recipe(self) -> Recipe:
        return self._derive(self.forward._spec, self.operand)

    @property
    def contraction(self) -> Contraction:
        """The string as a contraction; its operands are :attr:`roles`."""
        return Contraction._of(self._recipe.spec)

    @property
    def roles(self) -> tuple[str, ...]:
        """What each operand of the string is: a forward operand by name, or a role."""
        return self._recipe.roles

    @property
    def steps(self) -> tuple[Step, ...]:
        """How it came about: each step has a name, a sympy expression and a sentence.

        Example:
            >>> for step in Contraction("(i+k), k -> i").jvp(0).steps:
            ...     print(step.name, step.formula)
            write Y[i] = Σ_{k} X[i+k] · W[k]
            differentiate dY[i] = Σ_{k} V[i+k] · W[k]
            read off dY[i] = Σ_{k} V[i+k] · W[k]
        """
        from contractconv.api.derivation import Step
        from contractconv.calculus.steps import recipe_steps

        told = recipe_steps(self._recipe, self.forward._spec, self.operand)
        return tuple(map(Step, told))

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
        from contractconv.verification.derived import Subject, certify_derived

        how = dict(getattr(self._derive, "how", ()))
        subject = Subject(
            self.forward._spec,
            self.operand,
            self.name,
            self.takes,
            self._derive,
            getattr(self._derive, "batch", None),
            how.get("kind", ""),
        )
        options = self.forward._options("verify", named, extents)
        return certify_derived(subject, options.extents)

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

        return recipe_source(
            self._recipe, self.forward._spec, self.operand, self.takes, self.name, library
        )

    # Any: a checker takes ``**named`` of integers for a candidate of every keyword.
    def __call__(
        self,
        /,
        *arrays: Any,
        output_shape: Any = None,
        algorithm: Any = "auto",
        memory_limit: Any = None,
        out: Any = None,
        dtype: Any = None,
        casting: Any = "safe",
        extents: Any = None,
        **named: int,
    ) -> Array:
        """Carry it out.

        Args:
            *arrays: what :attr:`takes` names, then all forward operands.
            output_shape: the shape of the forward result, if the forward call was given one.
            algorithm: see :func:`contractconv.contract`, as for the next ones.
            memory_limit: bytes that temporary arrays may take beyond operands and result.
            out: an array of exactly the result's shape, which is filled and returned.
            dtype: what all arrays are converted to.
            casting: which conversions to ``dtype`` and to that of ``out`` are allowed.
            extents: what the forward call was given.
            **named: the same by keyword.

        Returns:
            A new array, or ``out``.

        Raises:
            OperandError: the number of arrays is wrong, or one is not an array of numbers.
            ShapeError: the shapes do not fit.
        """
        options = self.forward._options(
            f"the {self.name}", named, extents, output_shape=output_shape, algorithm=algorithm,
            memory_limit=memory_limit, out=out, dtype=dtype, casting=casting,
        )  # fmt: skip
        call = forward_call(self.forward, self.takes, arrays, options, f"the {self.name}")
        self._check(call)
        return call.finished(self._made(call))

    def _made(self, call: Call) -> Array:
        from contractconv.calculus.symbols import operand_names
        from contractconv.execution.gradient import run_recipe

        names = operand_names(len(call.operands))
        roles = call.given | dict(zip(names, call.operands, strict=True))
        if self.real:
            self._check_real(roles)
        recipe = self._derive(call.concrete, self.operand)
        return run_recipe(
            recipe, call.problem, roles, call.operands, self.operand,
            self._shape(recipe, call), call.options,
        )  # fmt: skip

    def _shape(self, recipe: Recipe, call: Call) -> Shape | None:
        shapes = {"result": call.problem.result_shape, "operand": call.shapes[self.operand]}
        known = [shapes[part] for part in recipe.like]
        return sum(known, ()) if known else None

    def _check(self, call: Call) -> None:
        given = call.given
        if "V" in given and shape_of(given["V"]) != call.shapes[self.operand]:
            raise ShapeError(
                f"the tangent V has shape {shape_of(given['V'])}, operand {self.operand} of "
                f"'{self.forward}' has {call.shapes[self.operand]}"
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

    def _shown_equation(self) -> Equation:
        return self._recipe.equation

    def _shown_spec(self) -> Spec:
        return self._recipe.spec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Derived) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self.operand, self.takes, self._derive

    def __str__(self) -> str:
        return str(self._recipe.spec)

    def __repr__(self) -> str:
        return f"<{self.name} of {self.forward!r} by operand {self.operand}>"


def _is_complex(array: Any) -> bool:
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    return isinstance(array, complex) or kind == "c"


def forward_derivative(forward: Contraction, n: int) -> Derived:
    """The Jacobian of a contraction times a tangent, by operand ``n``."""
    from contractconv.calculus.derived_strings import jvp

    return Derived(forward, n, "forward derivative", ("V",), jvp)


def jacobian(forward: Contraction, n: int) -> Derived:
    """The Jacobian of a contraction by operand ``n``."""
    from contractconv.calculus.derived_strings import jacobian

    return Derived(forward, n, "Jacobian", (), jacobian).checked()
