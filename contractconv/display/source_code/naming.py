"""Names in generated code: none twice, none a keyword, one letter an index in an einsum."""

from __future__ import annotations

import keyword
import string
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from contractconv.display.source_code.helpers import NAMES as HELPERS
from contractconv.errors import ContractionError, OperandError
from contractconv.notation.spec import Spec

# What the code itself may call, and the underscore that stands for a size nobody asks for.
USED = frozenset(
    {"np", "torch", "jnp", "jax", "pad", "max", "min", "round", "tuple", "output_shape", "_"}
    | HELPERS
)

_ALPHABET = tuple(string.ascii_letters)

# What a position of an axis is called, as one would choose by hand.
POSITIONS = ("h", "w", "d", "y", "x", "z", "u", "v", "t", "p", "q", "r", "m", "n")


def checked_names(spec: Spec, names: Sequence[str]) -> tuple[str, ...]:
    """Check the names that the operands shall have.

    Raises:
        OperandError: there are too few or too many, or one cannot be the name of an argument.
    """
    count = len(spec.inputs)
    if len(names) != count:
        raise OperandError(
            f"'{spec}' has {count} operand{'s' * (count != 1)}, but "
            f"{len(names)} name{'s were' if len(names) != 1 else ' was'} given"
        )
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise OperandError(f"{name!r} cannot be the name of an operand in Python")
        if name in USED:
            raise OperandError(f"an operand cannot be called {name!r}: the source code uses that")
    if len({*map(_normal, names)}) < count:
        raise OperandError(f"two operands have the same name: {', '.join(names)}")
    return tuple(names)


def python_name(name: str) -> str:
    """A name as near to one as source code allows: ``lambda_`` for ``lambda``."""
    return f"{name}_" if keyword.iskeyword(name) or name in USED else name


def in_python(spec: Spec) -> Spec:
    """A contraction whose operands are called as source code can."""
    return replace(spec, names=tuple(map(python_name, spec.names)))


class Names:
    """Hands out names that nothing else in the function has."""

    def __init__(self, spec: Spec, operands: Iterable[str]) -> None:
        self._taken = {*USED, *map(_normal, operands)}
        self._spoken = {*map(_normal, (*spec.indices, *spec.parameters))}

    def argument(self, name: str) -> str:
        """A parameter's or an index's own name, or as near to it as Python allows."""
        wish = _normal(name) if name.isidentifier() else "n"
        while wish in self._taken or keyword.iskeyword(wish):
            wish += "_"
        self._taken.add(wish)
        return wish

    def fresh(self, *wishes: str) -> str:
        """The first wish that is free; or else the last one with a number."""
        numbered = (f"{wishes[-1]}{number}" for number in range(2, 1000))
        for wish in (*wishes, *numbered):
            name = _normal(wish)
            if name.isidentifier() and name not in self._taken | self._spoken:
                self._taken.add(name)
                return name
        raise AssertionError("nobody needs a thousand variables")

    def extent(self, index: str) -> str:
        """A name for the number of values of an index: ``K`` for ``k``, ``n_row`` for ``row``."""
        capital = (index.upper(),) if len(index) == 1 and index.islower() else ()
        return self.fresh(*capital, f"n_{index}", "n")


def _normal(name: str) -> str:
    # As Python's own tokenizer does: two spellings may be one identifier.
    return unicodedata.normalize("NFKC", name)


class Letters:
    """One letter for each index: its own if it is one, or else a free one."""

    def __init__(self, indices: Iterable[str]) -> None:
        self._letters = {name: name for name in indices if name in _ALPHABET}

    def __getitem__(self, index: str) -> str:
        if index not in self._letters:
            self._letters[index] = self._free(index)
        return self._letters[index]

    def _free(self, index: str) -> str:
        used = {*self._letters.values()}
        for wish in (*tuple(index), *_ALPHABET):
            if wish in _ALPHABET and wish not in used:
                return wish
        raise ContractionError(
            f"too many indices for source code: an einsum of numpy or torch has only the "
            f"{len(_ALPHABET)} letters"
        )

    def position(self) -> str:
        """A new index, for a position of an axis."""
        free = (name for name in POSITIONS if name not in self._letters)
        name = next(free, f"position {len(self._letters)}")
        self._letters[name] = self._free(name)
        return name

    def word(self, names: Iterable[str]) -> str:
        """The letters of some indices, side by side."""
        return "".join(self[name] for name in names)
