"""The derivatives that a program returns, compared with how its results change.

For each value ``a`` and what is said to come back to it, ``d_a``, a random direction ``V`` is
drawn: the result of ``a + V·ε`` has to change by ``⟨d_a, V⟩``. What does not hold so may be a
second derivative: then values move along two directions at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contractconv.errors import CertificateError
from contractconv.programs.nodes import in_order
from contractconv.programs.sizing import Sized
from contractconv.programs.text.lines import NamedLines
from contractconv.programs.text.writer import write
from contractconv.verification.programs.claims import Claim, Claims
from contractconv.verification.programs.second_derivatives import Derivative, SecondDerivatives
from contractconv.verification.programs.trials import Ends, trial_of


@dataclass(frozen=True, slots=True)
class Agreed:
    """Derivatives that hold.

    Attributes:
        results: of what.
        order: how often that was differentiated.
        meanings: what each is called, and what it is; gradients say that by their names.
        how: in which numbers they were compared.
    """

    results: tuple[str, ...]
    order: int
    meanings: tuple[tuple[str, str], ...]
    how: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The derivatives that a program returns.

    Attributes:
        parts: those that hold.
        unknown: what looks like a derivative, and is none that was tried.
    """

    parts: tuple[Agreed, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the derivatives that hold are called."""
        return tuple(name for part in self.parts for name, _ in part.meanings)


def compared(told: NamedLines, program: Sized) -> Compared:
    """Compare all derivatives that a program returns with how its results change.

    Args:
        told: the program, and what comes back to what.
        program: the same with sizes.

    Raises:
        CertificateError: one does not hold; the message says on which line it stands.
    """
    claims = Claims(told, program)
    if not claims.choices or not (claims.returned or claims.guesses):
        return Compared()
    return _Comparison(told, program, claims).made()


class _Comparison:
    """What is said of the derivatives of some results, compared."""

    def __init__(self, told: NamedLines, program: Sized, claims: Claims) -> None:
        self._told, self._claims = told, claims
        self._trial = trial_of(program)
        self._seconds = SecondDerivatives(self._trial, claims)

    def made(self) -> Compared:
        """What holds, and what is none of what was tried."""
        claims = self._claims
        parts = list(self._gradients([*claims.returned, *claims.inner]))
        held = Compared(tuple(parts)).names
        late = [c for c in (*claims.returned, *claims.inner, *claims.guesses) if c.name not in held]
        found = {claim: self._found(claim) for claim in late}
        parts += self._second({c: one for c, one in found.items() if one is not None})
        unknown = (c.name for c in late if found[c] is None and self._is_unknown(c))
        return Compared(tuple(parts), tuple(unknown))

    def _found(self, claim: Claim) -> Derivative | None:
        """Of which derivative a claim holds; ``None`` if nothing need be said of it."""
        found = self._seconds.find(claim)
        if found is None and claim not in self._claims.inner and self._is_wrong(claim):
            raise self._wrong(claim)
        return found

    def _gradients(self, asked: list[Claim]) -> Iterator[Agreed]:
        """The gradients that hold, by their results, of which as few as possible are named."""
        choices = self._claims.choices.items()
        held = {results: [c for c in asked if self._holds(c, ends)] for results, ends in choices}
        left = list(asked)
        while left and held:
            results = max(held, key=lambda every: sum(c in left for c in held[every]))
            found = [claim for claim in held.pop(results) if claim in left]
            left = [claim for claim in left if claim not in found]
            if found:
                named = tuple((claim.name, "") for claim in found)
                yield Agreed(results, 1, named, self._trial.how(1))

    def _second(self, found: Mapping[Claim, Derivative]) -> Iterator[Agreed]:
        """The second derivatives that hold, by their results."""
        groups: dict[tuple[tuple[str, ...], int], list[tuple[str, str]]] = {}
        for claim, one in found.items():
            groups.setdefault((one.results, one.order), []).append((claim.name, one.meaning))
        for (results, order), meanings in groups.items():
            yield Agreed(results, order, tuple(meanings), self._trial.how(order))

    def _is_unknown(self, claim: Claim) -> bool:
        """Whether nothing says what a value that the program returns is a derivative of."""
        if claim in self._claims.guesses:
            return self._seconds.vanishes(claim)
        return claim not in self._claims.inner

    def _holds(self, claim: Claim, ends: Ends) -> bool:
        """Whether what comes back to a value says how the results change with it."""
        (at,) = claim.at
        direction = self._trial.direction(at)
        change = self._trial.change(ends, [{at: direction}])
        return self._trial.agrees(claim.node, at, direction, change)

    def _is_wrong(self, claim: Claim) -> bool:
        """Whether what is no derivative that was tried should be one of them."""
        if self._claims.vectors(claim.node):
            return self._seconds.are_known(claim)
        if claim in self._claims.guesses:
            return False
        # What is made of gradients may be a derivative of what is not returned.
        return claim.named or not self._claims.may_be_second(claim)

    def _wrong(self, claim: Claim) -> CertificateError:
        """The error for a claim, on the first line that does not hold."""
        results, ends = list(self._claims.choices.items())[-1]
        if self._claims.vectors(claim.node):
            tried = f"nor any second derivative that was tried, such as {self._seconds.tried}"
            return self._error(claim, f"is neither the gradient of {' + '.join(results)}, {tried}")
        made_of = set(in_order([claim.node], references=False))
        before = [c for c in self._claims.gradients if c.node in made_of]
        wrong = next((c for c in before if not self._holds(c, ends)), claim)
        self._holds(wrong, ends)
        along = f"along a random direction V {self._trial.said}"
        return self._error(wrong, f"is not the gradient of {' + '.join(results)}: {along}")

    def _error(self, claim: Claim, message: str) -> CertificateError:
        start = f"    {claim.name} = "
        lines = write(self._told.graph).splitlines()
        line = next((text for text in lines if text.startswith(start)), start)
        return CertificateError(
            f"{self._told.graph.name}: {claim.name} {message}, on the line\n{line}"
        )
