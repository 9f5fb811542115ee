"""Certificates of programs: every contraction and every map is proved, and what is made of them.

A contraction is compared with brute force as one alone is; the derivative of a map with that of its
formula; and the gradients that the program returns with how its result changes, in numbers that do
not round what is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contractconv.cache_register import kept
from contractconv.calculus.backward import derive
from contractconv.errors import CertificateError, ReductionError
from contractconv.markup.shown import Printed
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Spec
from contractconv.programs.differentiated import differentiated
from contractconv.programs.kinds import Kinds, is_differentiable
from contractconv.programs.nodes import Contract, Map, in_order
from contractconv.programs.program import Graph
from contractconv.programs.small_sizes import fitting
from contractconv.programs.text.lines import NamedLines, named_lines
from contractconv.verification.certificate import Certificate, certify
from contractconv.verification.programs.gradients import Agreed, Compared, compared
from contractconv.verification.programs.map_proofs import MapProof, proved

POINTS = 60_000
"""How many points and elements a program may have, to be carried out one by one."""


@dataclass(frozen=True, slots=True)
class ContractionProof:
    """A contraction of a program that was proved.

    Attributes:
        spec: its string.
        lines: the names of the values that it makes.
        certificates: its gradients, by each operand that can change.
    """

    spec: Spec
    lines: tuple[str, ...]
    certificates: tuple[Certificate, ...]

    def __str__(self) -> str:
        numbers = sum(check.numbers for one in self.certificates for check in one.checks)
        return f"{', '.join(self.lines):<14} '{self.spec}': {numbers:,} numbers"


@dataclass(frozen=True, slots=True, repr=False)
class ProgramCertificate(Printed):
    """What was checked of a program, all of it with success.

    Attributes:
        name: of the program.
        contractions: what was proved of each string.
        maps: what was proved of each map.
        gradients: which gradients were compared, and how.
        shapes: the shapes with which they were.
    """

    name: str
    contractions: tuple[ContractionProof, ...]
    maps: tuple[MapProof, ...]
    gradients: Compared
    shapes: tuple[tuple[str, Shape], ...]

    @property
    def summary(self) -> str:
        """The certificate in a few words."""
        parts = (
            _counted(len(self.contractions), "contraction"),
            _counted(len(self.maps), "map"),
            _counted(len(self.gradients.names), "gradient"),
        )
        return f"verified: {self.name}, {parts[0]}, {parts[1]} and {parts[2]}"

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join(self._rows())

    def _rows(self) -> Iterator[str]:
        yield self.summary
        if self.contractions:
            yield "  contractions: gradients = brute force over the definition"
            yield from (f"    {one}" for one in self.contractions)
        if self.maps:
            yield "  maps: what comes back = the derivative of the formula"
            yield from (f"    {one}" for one in self.maps)
        yield from self._compared()

    def _compared(self) -> Iterator[str]:
        found = self.gradients
        if not found.names:
            yield "  gradients: none were compared, as it is not returned what they are those of"
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes)
        for part in found.parts:
            yield from _told(part)
            yield f"    {part.how}, with {shapes}"
        if found.unknown:
            yield "  not compared, as nothing says of what they are derivatives"
            yield f"    {', '.join(found.unknown)}"


def _told(part: Agreed) -> Iterator[str]:
    """Derivatives that hold, and what they were compared with."""
    of, vectors = " + ".join(part.results), "" if part.order == 1 else " and the vectors"
    what = "gradients" if part.order == 1 else "derivatives of gradients"
    yield f"  {what} of {of}: ⟨d_a, V⟩ = the change along V{vectors}"
    named = [name for name, meaning in part.meanings if not meaning]
    yield from [f"    {', '.join(named)}"] * bool(named)
    yield from (f"    {name}: {meaning}" for name, meaning in part.meanings if meaning)


def verify_program(
    graph: Graph, shapes: Mapping[str, Shape] | None = None, budget: int = POINTS
) -> ProgramCertificate:
    """Check a program, and its gradients.

    Args:
        graph: the program; of one without gradients, those by all its inputs are derived.
        shapes: shapes of inputs with which the gradients are compared; the others are chosen,
            small.
        budget: how many points its contractions, and elements its values, may have together.

    Returns:
        The certificate. Of a derivative of gradients it says which it is: a Hessian times vectors,
        or a Gauss-Newton matrix; or that it is none of these.

    Raises:
        CertificateError: something disagrees; the message says on which line.
        ShapeError: shapes do not fit, or make too many points.
    """
    told = named_lines(_with_gradients(graph))
    contractions = tuple(_contractions(told))
    used = dict.fromkeys(n.function for n in in_order(told.graph.wanted) if isinstance(n, Map))
    maps = tuple(map(proved, used))
    # A vector by which a Hessian is multiplied has the sizes of what it changes.
    program = next(fitting(told.graph, shapes or {}, budget, alike=True))
    found = compared(told, program)
    given = tuple((node.name, program.shapes[node]) for node in program.graph.inputs)
    return ProgramCertificate(graph.name, contractions, maps, found, given)


def _with_gradients(graph: Graph) -> Graph:
    """The program, with gradients by all its inputs if it returns none."""
    told, numbers = named_lines(graph), Kinds()
    wrt = [node.name for node in graph.inputs if is_differentiable(numbers[node])]
    ends = [node for node in graph.wanted if is_differentiable(numbers[node])]
    if told.targets:
        # What it is made of has gradients: results that are numbers may be made of these.
        ends = [node for node in ends if not node.axes]
    returned = any(node in told.targets for node in graph.wanted)
    return differentiated(graph, wrt) if wrt and ends and not returned else graph


def _contractions(told: NamedLines) -> Iterator[ContractionProof]:
    lines: dict[Spec, list[Contract]] = {}
    for node in in_order(told.graph.wanted, references=False):
        if isinstance(node, Contract) and not node.local:
            lines.setdefault(node.spec, []).append(node)
    numbers = Kinds()
    for spec, nodes in lines.items():
        names = tuple(told.names.get(node, "a value") for node in nodes)
        moving = sorted({n for node in nodes for n in _moving(node, numbers)})
        yield ContractionProof(spec, names, tuple(_certificates(spec, names, moving)))


def _moving(node: Contract, numbers: Kinds) -> list[int]:
    """The operands that can change."""
    return [n for n, operand in enumerate(node.operands) if is_differentiable(numbers[operand])]


def _certificates(spec: Spec, names: tuple[str, ...], operands: list[int]) -> Iterator[Certificate]:
    for n in operands:
        try:
            yield _certificate(spec, n)
        except ReductionError:
            return  # a reduction without a derivative has none to be proved
        except CertificateError as error:
            raise CertificateError(f"on the line of {', '.join(names)}: {error}") from None


@kept(most=1024)
def _certificate(spec: Spec, operand: int) -> Certificate:
    """The certificate of one gradient: what many programs have is proved once."""
    return certify(derive(spec, operand))


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
