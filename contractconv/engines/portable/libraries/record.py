"""What there is to know of an array library: everything that anybody asks stands in one record."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contractconv.engines.portable.convolutions import Convolution
from contractconv.engines.portable.poolings import Pooling
from contractconv.errors import OperandError
from contractconv.maps.record import MapRecord
from contractconv.notation.problem import Problem
from contractconv.planning.options import Options

Axes = tuple[int, ...]
Reducer = Callable[[Any, Axes], Any]


def _lacking(*given: Any) -> Any:
    raise OperandError("this library of arrays carries out contractions alone, no programs")


class Runs(NamedTuple):
    """How a library handles elements of an axis that lie at equal distances.

    Attributes:
        sliced: of an array and an axis so many elements, ``sliced(array, axis, first, step,
            count)``, at a step above zero.
        spread: the reverse, ``spread(array, axis, first, step, size)``: an axis of so many
            elements, where those of the array stand from the first one on at a step, else zeros.
        turned: an axis from its end to its beginning.
    """

    sliced: Callable[[Any, int, int, int, int], Any]
    spread: Callable[[Any, int, int, int, int], Any]
    turned: Callable[[Any, int], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """How arrays of one library are made and computed with.

    Its arrays also have ``shape``, ``reshape(shape)`` and operators. Contractions need the fields
    without a default; programs those down to ``numpy`` besides. Where another one is ``None``, what
    it does is done by those.

    Attributes:
        array: a numpy array, and one of the library's beside which it is needed, to an array.
        promoted: numpy's name of the dtype in which some arrays meet.
        cast: an array in the dtype of a name.
        einsum: a string of letters and the arrays.
        take: the elements of an array at a numpy array of positions along an axis.
        joined: arrays one after the other along an axis.
        where: a condition, and two arrays.
        reductions: by the ufunc that combines two contributions, of an array and axes.
        substitutes: dtypes that cannot be computed with, and those that do it instead.
        name: what messages call it.
        function: what carries out a map, a function of its arguments; ``None`` if there is none,
            so that it is carried out in simpler maps.
        number: a number without axes, in the dtype of a name, beside an array.
        positions: ``0, 1, 2, ...``, so many integers, beside an array.
        transposed: the axes of an array in another order.
        broadcast: an array, repeated to a shape.
        real: the real part of an array.
        exp: the exponential of each element.
        flipped: an array, turned around along its last axis.
        products: of an array along its last axis, the running ones.
        first: where the first truth value that holds is along the last axis.
        numpy: an array as one of numpy's.
        signature: what of an array decides how something is carried out, its shape and its dtype at
            least; ``None`` if calls shall not be remembered.
        place: where an array is, if arrays that are elsewhere do not meet it.
        check: refuses an array that cannot be contracted, of a name for messages.
        fill: fills an array with another one; ``None`` if arrays never change.
        rows: rows of a matrix, at an array of their numbers.
        added: rows of a matrix added up in a matrix of so many rows, at an array of their numbers.
        compiled: a function of arrays of the library, made faster.
        convolve: from a convolution, and the dtype of both operands, to what carries it out;
            ``None`` if the library cannot.
        pool: the same of a pooling.
        most_windows: how many axes the windows of its convolutions may have.
        runs: how elements of an axis are read, and put, that lie at equal distances.
        copied: an array with elements of its own; ``None`` if arrays never change.
        views: arrays of numpy in the same memory, for our kernels; ``None`` if the library has to
            know what is done.
        returned: an array of numpy, which nobody else has, as one of the library's.
        contraction: carries out a whole contraction, of a problem, its operands and the options of
            a call.
        derivative: makes the local derivative of a reduction that is no mean: of the forward
            problem, its operands, the name of the dtype of the derivative, and the same operands
            with a direction in the place of one if it is wanted how the derivative changes.
        program: carries out a whole program, of what is known of it and its inputs by name.
    """

    array: Callable[[Any, Any], Any]
    promoted: Callable[[Sequence[Any]], str]
    cast: Callable[[Any, str], Any]
    einsum: Callable[..., Any]
    take: Callable[[Any, Any, int], Any]
    joined: Callable[[Sequence[Any], int], Any]
    where: Callable[[Any, Any, Any], Any]
    reductions: Mapping[str, Reducer]
    substitutes: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    function: Callable[[MapRecord], Callable[..., Any] | None] = lambda record: None
    number: Callable[[Any, str, Any], Any] = _lacking
    positions: Callable[[int, Any], Any] = _lacking
    transposed: Callable[[Any, Sequence[int]], Any] = _lacking
    broadcast: Callable[[Any, Sequence[int]], Any] = _lacking
    real: Callable[[Any], Any] = _lacking
    exp: Callable[[Any], Any] = _lacking
    flipped: Callable[[Any], Any] = _lacking
    products: Callable[[Any], Any] = _lacking
    first: Callable[[Any], Any] = _lacking
    numpy: Callable[[Any], Any] = _lacking
    signature: Callable[[Any], Hashable] | None = None
    place: Callable[[Any], str] = lambda array: ""
    check: Callable[[Any, str], None] = lambda array, name: None
    fill: Callable[[Any, Any], Any] | None = None
    rows: Callable[[Any, Any], Any] | None = None
    added: Callable[[Any, Any, int], Any] | None = None
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    convolve: Callable[[Convolution, str], Callable[[Any, Any], Any] | None] | None = None
    pool: Callable[[Pooling, str], Callable[[Any], Any] | None] | None = None
    most_windows: int = 3
    runs: Runs | None = None
    copied: Callable[[Any], Any] | None = None
    views: Callable[[Sequence[Any]], list[Any] | None] | None = None
    returned: Callable[[Any], Any] = lambda array: array
    contraction: Callable[[Problem, Sequence[Any], Options], Any] | None = None
    derivative: Callable[[Problem, Sequence[Any], str, Sequence[Any] | None], Any] | None = None
    program: Callable[[Any, Mapping[str, Any]], list[Any]] | None = None
