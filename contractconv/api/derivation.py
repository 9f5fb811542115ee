"""Derivations: the gradient of a contraction by one operand, with everything known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contractconv.api.call_checks import THE_COTANGENT, Call, Called
from contractconv.api.contraction import Contraction
from contractconv.api.representations import Shown, Written
from contractconv.api.sequences import Phases, Seconds, Steps
from contractconv.errors import ParameterError
from contractconv.markup.parts import article
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.options import Options
from contractconv.uninterrupted import enter

if TYPE_CHECKING:
    import sympy

    from contractconv.calculus.backward import Formulas
    from contractconv.calculus.collected import Collected
    from contractconv.calculus.derivation_steps import Step as StepFormula
    from contractconv.calculus.equation import Equation
    from contractconv.calculus.gather_phases import Phase as PhaseFormula
    from contractconv.display.source_code import Given
    from contractconv.verification.certificate import Certificate


class Derivation(Called, Written):
    """The gradient of a contraction with respect to one operand, derived.

    It is called with the cotangent (the gradient of a loss with respect to the result) and all
    forward operands, and returns an array of the operand's shape and dtype; that of integers is in
    the numbers it was made in. For complex operands this is the derivative of
    ``Σ cotangent * result`` itself; nothing is conjugated. Of a real operand among complex ones it
    is the real part. The formula is derived with sympy when it is first looked at.

    Attributes:
        forward: the contraction that was differentiated.
        operand: the position of the array it was differentiated by.
        place: the position of the operand that this array is.
        solved: the indices that its formula was asked to be solved for, see :meth:`solved_for`.
        takes: the cotangent, before the forward operands.

    Example:
        >>> d = Contraction("b (2*i+k-1) c, k c o -> b i o").grad(0)
        >>> print(d.scatter)
        b i o, k c o -> b (2*i+k-1) c
        >>> print(d.gather)
        b ((h-k+1)/2) o, k c o -> b h c
        >>> print(d.formula)
        dX[b, h, c] = Σ_{o,k} G[b, (h−k+1)/2, o] · W[k, c, o]   where 2 | h−k+1, 0 ≤ (h−k+1)/2 < N_i
    """

    takes, _title = (THE_COTANGENT,), "a gradient"

    def __init__(
        self, forward: Contraction, operand: int, place: int, solved: Sequence[str] = ()
    ) -> None:
        self.forward, self.operand, self.place = forward, operand, place
        self.solved = tuple(dict.fromkeys(solved))

    @property
    def _formulas(self) -> Formulas:
        enter("contractconv.calculus.backward")
        from contractconv.calculus.backward import derive

        return derive(self.forward._named, self.place, self.solved)

    def solved_for(self, *names: str) -> Derivation:
        """Return the same gradient with its formula solved for other indices.

        A position ``h = 2*i+k-1`` of the operand is reached from a place ``i`` by a tap ``k``. By
        default the formula sums over taps, and says where they come from; solved for the tap, it
        sums over places, as many textbooks do.

        Args:
            *names: the indices to solve for, at most one of each axis. Axes for which none is
                given are solved as by default.

        Returns:
            A gradient whose formula, scripts, steps, gather and certificate are of this form.

        Raises:
            ContractionError: the gradient cannot be solved for one of them; the message lists for
                which it can.

        Example:
            >>> d = Contraction("b (2*i+k-1) c, k c o -> b i o").grad(0).solved_for("k")
            >>> print(d.formula)
            dX[b, h, c] = Σ_{i,o} G[b, i, o] · W[h−2i+1, c, o]   where 0 ≤ h−2i+1 < N_k
            >>> print(d.string)
            b i o, (h-2*i+1) c o -> b h c
        """
        found = Derivation(self.forward, self.operand, self.place, names)
        _ = found._formulas
        return found

    @property
    def string(self) -> Contraction | None:
        """The contraction that says what the formula says; ``None`` if no string does.

        A string has no conditions beside its axes. The range of an index that is solved for has to
        be said by an axis on which it stood alone.

        Example:
            >>> pool = Contraction("(2*i+k) -> i").grad(0)
            >>> print(pool.string)
            ((h-k)/2) -> h
            >>> print(pool.solved_for("k").string)
            None
        """
        return self.gather if self._formulas.is_said else None

    # -- the two forms -------------------------------------------------------------------------

    @property
    def scatter(self) -> Contraction:
        """The gradient as a scatter: contributions are placed where the operand was read.

        Its operands are the cotangent, the local derivative if the reduction has one (the
        selection of a maximum, the softmax of a logsumexp, ...), and the other operands.
        """
        return Contraction._of(self._formulas.spoken(self._formulas.scatter))

    @property
    def gather(self) -> Contraction:
        """The gradient as a gather: each element of the operand collects its contributions.

        It takes the same operands as :attr:`scatter`. Where no operand could carry the condition
        that an index is a whole number in its range, the axis stays a scatter.
        """
        return Contraction._of(self._formulas.spoken(self._formulas.gather))

    @property
    def roles(self) -> tuple[str, ...]:
        """What it reads: the cotangent ``G``, a local derivative, and the other operands by name.

        They are the operands of :attr:`scatter` and of :attr:`gather`, in order.

        Example:
            >>> Contraction("(2*i+k), k -> i").grad(0).roles
            ('G', 'W')
            >>> Contraction("(2*i+k) -> i", reduce="max").grad(0).roles
            ('G', 'S')
        """
        return tuple(factor.name for factor in self._formulas.derivative.factors)

    def phases(self, /, **parameters: int) -> Phases:
        """Split the gather at its congruences: small contractions without a division.

        A gradient of stride ``s`` in ``n`` dimensions has ``s**n`` of them, each dense in the
        cotangent. Each is called like the derivation, and their results add up to the gradient.

        Args:
            **parameters: numbers for strides, dilations and paddings that are still symbols.

        Raises:
            ParameterError: a parameter in a division has no number.
            ContractionError: there would be too many, or a composition is in the way.

        Example:
            >>> for phase in Contraction("(2*i+k-1), k -> i").grad(0).phases():
            ...     print(phase, " where ", phase.meaning)
            (h-k), (2*k+1) -> (2*h)  where  h = 2*h, k = 2*k+1
            (h-k+1), (2*k) -> (2*h+1)  where  h = 2*h+1, k = 2*k
        """
        from contractconv.calculus.gather_phases import phases

        bound = self.forward.bind(**parameters)
        derivation = Derivation(bound, self.operand, self.place, self.solved)
        found = phases(derivation._formulas.gather)
        return Phases(Phase(derivation, phase, parameters) for phase in found)

    # -- how it came about, and that it is right -----------------------------------------------

    @property
    def steps(self) -> Steps:
        """The derivation as it went: each step has a name, a sympy expression and a sentence.

        Example:
            >>> step = Contraction("(2*i+k), k -> i").grad(0).steps[4]
            >>> print(step)
            congruence: i is a whole number, so a term is there only if 2 divides h−k.
                dX[h] = Σ_{k} G[(h−k)/2] · W[k]   where 2 | h−k
            >>> step.sympy
            Sum(Piecewise((G[h/2 - k/2]*W[k], Eq(Mod(h - k, 2), 0)), (0, True)), (k, 0, N_k - 1))
        """
        from contractconv.calculus.derivation_steps import steps

        return Steps(map(Step, steps(self._formulas)))

    @property
    def sympy(self) -> sympy.Expr:
        """The gather formula: a ``Sum`` of a ``Piecewise`` that holds the conditions.

        It is right for all positive strides and dilations and non-negative paddings, with
        ``N_i`` the extent of ``i`` and ``N_h`` the size of the axis with position ``h``.
        Conditions that hold because extents follow the notation's rule are left out.
        """
        return super().sympy

    @property
    def seconds(self) -> Seconds:
        """What comes out if this gradient is differentiated again, by each array it is made of.

        ``V`` is the cotangent of the gradient. Of a sum or a mean these are the layer's own
        contractions once more, with ``V`` in an operand's place. Of another reduction the
        differentiated operand is in its own gradient, through the local derivative, so it is
        listed as well. Each can be called.

        Example:
            >>> for second in Contraction("b (2*i+k) c, k c o -> b i o").grad(0).seconds:
            ...     print("by", second.by, "it is", second)
            by G it is Y with V in place of X
            by W it is dW with V in place of X
        """
        from contractconv.api.second_derivative import seconds

        return seconds(self.forward, self.operand, (self.place,))

    def verify(self, /, *, engines: bool = True, extents: Any = None, **named: int) -> Certificate:
        """Prove the derivation on small arrays, in exact integers.

        The formula, both strings and the gradient as it is computed are compared with brute force
        over the definition, element by element; and the gradient must be the transpose of the
        forward map. A symbolic formula is tried with several strides, dilations and paddings.

        Proofs in integers reach no compiled kernel, so forward and backward contraction are also
        run as floats, by every algorithm of every engine that applies: sums must be the integers
        exactly, what is transformed within the bound that its plan states.

        Args:
            engines: whether the engines are run, too; compiling kernels may take a second.
            extents: extents and parameters to use; the others are chosen, small and varied.
            **named: the same by keyword.

        Returns:
            A certificate that says what was compared; ``print`` it.

        Raises:
            CertificateError: something disagrees.
            ShapeError: the extents make too many points for brute force.
        """
        from contractconv.verification.certificate import certify

        given = self.forward._options("verify", named, extents).extents
        return certify(self._formulas, given, engines=engines)

    # -- running and writing it ----------------------------------------------------------------

    def _made(self, call: Call) -> Any:
        return call.execution.gradient(
            call.concrete, self.place, call.problem, call.given["G"], call.operands, call.options
        )

    def _by_blocks(self, call: Call) -> Any:
        from contractconv.arrays.mapped import in_file

        if not any(map(in_file, (*call.roles.values(), call.asked.out))):
            return None
        from contractconv.execution.files.calls import gradient

        return gradient(
            call.concrete, self.place, call.problem, call.given["G"], call.operands, call.asked
        )

    def _ready(self, call: Call, arrays: Sequence[Any]) -> Callable[[Sequence[Any]], Any] | None:
        made: Callable[[Sequence[Any]], Any] | None
        made = call.execution.ready(call.concrete, self.place, call.problem, arrays)
        return made

    @property
    def _forward(self) -> Contraction:
        return self.forward

    def _simplified(self, concrete: Spec, problem: Problem, shapes: tuple[Shape, ...]) -> Spec:
        from contractconv.calculus.backward import derive
        from contractconv.planning.derived_problems import simplified

        formulas = derive(concrete, self.place)
        return self._formulas.spoken(simplified(formulas, problem, shapes))

    def _source(self, spec: Spec, library: str, given: Given) -> str:
        from contractconv.display.tied_source import derivation_source

        return derivation_source(spec, [self.place], library, given)

    # -- showing itself ------------------------------------------------------------------------

    def _shown_equation(self) -> Equation | Collected:
        return self._formulas.collected

    def _shown_spec(self) -> Spec:
        return self._formulas.gather

    def __str__(self) -> str:
        return str(self.scatter)

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.solved))
        key = operand_key(self.forward, self.operand)
        return f"{self.forward!r}.grad({key!r})" + f".solved_for({names})" * bool(names)

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self.place, self.solved


def operand_key(forward: Contraction, operand: int) -> int | str:
    """What one asks for an operand by: its name, if it has one."""
    return forward.arrays[operand] if forward._named.names else operand


class Step(Shown):
    """One step of a derivation.

    Attributes:
        name: what is done: sum, differentiate, eliminate, congruence, range, ...
        sentence: what was done and why, in words.
        string: the contraction that is read off, if one is.
    """

    def __init__(self, found: StepFormula) -> None:
        self._found = found
        self.name = found.name
        self.sentence = found.sentence
        self.string = None if found.string is None else Contraction._of(found.spoken)

    def _shown_equation(self) -> Equation:
        return self._found.equation

    def _shown_spec(self) -> Spec:
        return self._found.spoken

    @property
    def local(self) -> str:
        """What the local derivative of a reduction is, as a formula, where a step brings it in.

        Example:
            >>> print(Contraction("i j -> i", reduce="max").grad(0).steps[0].local)
            S[i, j] = 1[j = argmax_{j′} X[i, j′]]
        """
        from contractconv.display.equations import write_local

        return "" if self._found.local is None else write_local(self._found.local, "text")

    def __str__(self) -> str:
        said = [f"{self.name}: {self.sentence}", self.formula, self.local, self.string]
        return "\n    ".join(str(line) for line in said if line)

    def __repr__(self) -> str:
        return f"<step {self.name}: {self.formula}>"

    def _pretty(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from contractconv.display.html_sequences import step_parts

        return article(step_parts(self._found))


class Phase(Called, Shown):
    """One residue class of a strided gradient: a contraction without a division.

    It is called as the derivation is, and returns its part of the gradient, in the operand's shape;
    numbers that the phases were split for may be left out.

    Attributes:
        contraction: the phase as a contraction of the gather's operands; its new indices have
            the names of the old ones.
        meaning: what each index that was split stood for, ``"h = 2*h+1, k = 2*k"``.
    """

    takes, _title = (THE_COTANGENT,), "a phase"

    def __init__(
        self, derivation: Derivation, found: PhaseFormula, parameters: Mapping[str, int]
    ) -> None:
        self._derivation = derivation
        self.forward, self.operand = derivation.forward, derivation.operand
        self.place = derivation.place
        self._found = found
        self._parameters = parameters
        self.contraction = Contraction._of(derivation._formulas.spoken(found.spec))
        self.meaning = found.meaning

    def _made(self, call: Call) -> Any:
        from contractconv.planning.derived_problems import phase_problem

        formulas, given = self._derivation._formulas, call.given["G"]
        part = phase_problem(self._found, formulas, call.problem, call.shapes)
        return call.execution.gradient(
            call.concrete, formulas.operand, call.problem, given, call.operands, call.options, part
        )

    def _told(self, options: Options) -> Options:
        """Leave out the parameters that are bound already, to the same numbers."""
        values = dict(options.extents)
        for name, bound in self._parameters.items():
            if values.pop(name, bound) != bound:
                raise ParameterError(
                    f"{name} is {bound} in these phases: split the gradient once more for another"
                )
        return replace(options, extents=values)

    def _identity(self) -> tuple[Any, ...]:
        return self._derivation, self._found

    def _shown_equation(self) -> Equation:
        from contractconv.calculus.backward import phase_formula

        return phase_formula(self._derivation._formulas, self._found.spec)

    def _shown_spec(self) -> Spec:
        return self._found.spec

    def _page_parts(self) -> Iterator[str]:
        from contractconv.display.html_sequences import phase_parts

        return phase_parts(self._shown_spec(), self._shown_equation(), self.meaning)

    def _repr_html_(self) -> str:
        from contractconv.display.html_page import picture

        drawing = picture(self._shown_spec(), self._shown_equation())
        return article([*self._page_parts(), drawing])

    def __repr__(self) -> str:
        return f"<phase {self} of {self._derivation!r}>"
