"""The expressions in the text of a program, read as nodes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

from contractconv.maps.reading import BINARY, COMPARED, UNARY
from contractconv.maps.table import MAPS
from contractconv.programs.build import apply, as_axes, named, position_of
from contractconv.programs.kinds import DTYPES
from contractconv.programs.lengths import size_of
from contractconv.programs.nodes import Axes, Cast, Contract, Length, Node, Number, Position
from contractconv.programs.sizes import Extent, Size
from contractconv.programs.text.calls import Functions
from contractconv.programs.text.contractions import Contraction
from contractconv.programs.text.source import Source
from contractconv.programs.text.words import FORMS, NUMBERS, close_to

_DEEPEST = 100
_MOST_AXES = 64  # of an array
_MOST_BITS = 10_000  # of an integer that Python writes without being asked twice

_HINT = "there are names, numbers, operators, and calls of maps and contractions"
_HINTS: dict[type[ast.AST], str] = {
    ast.Attribute: "maps are called by name: relu(x)",
    ast.FloorDiv: "write floor(a / b)",
    ast.MatMult: 'which axes does it mean? write contract("b i, i o -> b o", x, W)',
    ast.Subscript: 'a part of an array is a contraction: contract("(i+1) -> i", x, i=3)',
}


class Values:
    """Reads expressions.

    Args:
        source: the text that they stand in.
        known: the values that have names, by these.
        functions: what may be called beside maps.
    """

    def __init__(self, source: Source, known: Mapping[str, Node], functions: Functions) -> None:
        self.source, self._known, self._functions = source, known, functions
        self._depth = 0

    def node(self, tree: ast.expr) -> Node:
        """The node that an expression says."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.source.error(tree, "nested too deeply: give a part a line of its own")
        with self.source.pointing(tree):
            made = self._made(tree)
        self._depth -= 1
        return checked_rank(self.source, tree, made)

    def several(self, tree: ast.expr) -> tuple[Node, ...]:
        """The values that a call of a function makes."""
        match tree:
            case ast.Call(func=ast.Name(id=name)) if name in self._functions.graphs:
                return self._made_by(tree, name)
        hint = "write each on a line of its own"
        raise self.source.error(tree, "only a call of a function makes several values", hint)

    def size(self, tree: ast.expr) -> Size:
        """The size that an expression says."""
        found = size_of(self.node(tree))
        if found is None:
            hint = 'a size is an integer, size(x, "b"), extent(z, "i"), or a sum of them'
            raise self.source.error(tree, "this is no size", hint)
        return found

    def text(self, tree: ast.AST, what: str) -> str:
        """The string that stands somewhere."""
        if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
            return tree.value
        raise self.source.error(tree, f"{what} is a string")

    def axes(self, tree: ast.AST, what: str) -> Axes:
        """The names that a string holds."""
        text = self.text(tree, what)
        count = len(text.replace(",", " ").split())
        if count > _MOST_AXES:
            raise self.source.error(tree, f"{count} axes: an array has at most {_MOST_AXES}")
        with self.source.pointing(tree):
            return as_axes(text)

    def _made(self, tree: ast.expr) -> Node:
        match tree:
            case ast.Name(id=name):
                return self._named(tree, name)
            case ast.Constant(value=bool() | int() | float() | complex() as number):
                return self._number(tree, number)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.node(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand) if _is_literal(operand):
                return self._negative(operand)
            case ast.Call(func=ast.Name(id=name)):
                return self._called(tree, name)
        function, arguments = self._operator(tree)
        return apply(function, *map(self.node, arguments))

    def _operator(self, tree: ast.expr) -> tuple[str, Sequence[ast.expr]]:
        """The map that an operator stands for, and its arguments."""
        match tree:
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in BINARY:
                return BINARY[type(sign)], (left, right)
            case ast.UnaryOp(op=before, operand=operand) if type(before) in UNARY:
                return UNARY[type(before)], (operand,)
            case ast.Compare(left=left, ops=[one], comparators=[right]) if type(one) in COMPARED:
                return COMPARED[type(one)], (left, right)
            case ast.Compare(ops=[_, _, *_]):
                hint = "compare two at a time: (a < b) & (b < c)"
                raise self.source.error(tree, "comparisons in a chain", hint)
        kind = type(tree.op) if isinstance(tree, ast.BinOp) else type(tree)
        raise self.source.error(tree, "this has no place in a program", _HINTS.get(kind, _HINT))

    def _named(self, tree: ast.expr, name: str) -> Node:
        if name in NUMBERS:
            return Number((), value=NUMBERS[name])
        if name in self._known:
            return self._known[name]
        raise self.source.error(
            tree, f"there is no value {name!r} yet", close_to(name, self._known, "")
        )

    def _number(self, tree: ast.expr, value: complex) -> Number:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise self.source.error(tree, "an integer of more than 3,000 digits")
        return Number((), value=value)

    def _negative(self, operand: ast.expr) -> Number:
        number = self.node(operand)
        assert isinstance(number, Number)
        return Number((), value=-number.value)

    # -- calls ---------------------------------------------------------------------------------

    def _called(self, tree: ast.Call, name: str) -> Node:
        form = _FORMS.get(name)
        if form is not None:
            return form(self, tree)
        if name in self._functions.graphs:
            return self._single(tree, name)
        if name not in MAPS:
            self._functions.check_called(tree.func, name)
            hint = close_to(name, [*self._functions.graphs, *FORMS, *MAPS], "")
            raise self.source.error(tree.func, f"there is no map called {name!r}", hint)
        self.check_keywords(tree, ())
        return apply(name, *map(self.node, tree.args))

    def _single(self, tree: ast.Call, name: str) -> Node:
        """The value that a function makes, which makes but one."""
        made = self._made_by(tree, name)
        if len(made) == 1:
            return made[0]
        names = ", ".join(output for output, _ in self._functions.graphs[name].outputs)
        hint = f"give them names, on a line of their own: {names} = {name}(...)"
        raise self.source.error(tree, f"{name} makes {len(made)} values", hint)

    def _made_by(self, tree: ast.Call, name: str) -> tuple[Node, ...]:
        self.check_keywords(tree, ())
        return self._functions.called(tree, name, [self.node(part) for part in tree.args])

    def check_keywords(self, tree: ast.Call, known: Sequence[str]) -> dict[str, ast.expr]:
        """The keywords of a call, which are known ones."""
        for keyword in tree.keywords:
            if keyword.arg not in known:
                said = f"the keyword {keyword.arg!r}" if keyword.arg else "a mapping of keywords"
                hint = f"it knows {', '.join(known)}" if known else "it knows no keyword"
                raise self.source.error(keyword, f"{said} in a call of {_name(tree)}", hint)
        return {str(keyword.arg): keyword.value for keyword in tree.keywords}

    def arguments(self, tree: ast.Call, least: int, most: int) -> list[ast.expr]:
        """The arguments of a call, if there are as many as there should be."""
        if least <= len(tree.args) <= most:
            return tree.args
        wanted = str(least) if least == most else f"{least} to {most}"
        raise self.source.error(tree, f"{_name(tree)} has {wanted} arguments, not {len(tree.args)}")

    def _contract(self, tree: ast.Call) -> Node:
        return Contraction(self, tree).node()

    def _named_axes(self, tree: ast.Call) -> Node:
        self.check_keywords(tree, ())
        what, axes = self.arguments(tree, 2, 2)
        source = self.node(what)
        names = self.axes(axes, "what axes are called")
        if len(names) != len(source.axes):
            shown = " ".join(source.axes)
            raise self.source.error(axes, f"not as many names as there are axes: '{shown}'")
        return named(source, names)

    def _cast(self, tree: ast.Call) -> Node:
        told = self.check_keywords(tree, ("like",))
        what, *given = self.arguments(tree, 1, 2 - len(told))
        source = self.node(what)
        like = self.node(told["like"]) if told else None
        dtype = self.text(given[0], "a dtype") if given else None
        if dtype is not None and dtype not in DTYPES:
            known = f"numbers are {', '.join(DTYPES)}"
            raise self.source.error(given[0], f"{dtype!r} is no dtype", known)
        return Cast(source.axes, source=source, dtype=dtype, like=like)

    def _size(self, tree: ast.Call) -> Node:
        self.check_keywords(tree, ())
        what, *axis = self.arguments(tree, 1, 2)
        if not axis:
            return Length((), size=self.size(what))
        node = self.node(what)
        with self.source.pointing(axis[0]):
            name = self.text(axis[0], "the name of an axis")
            position_of(node, name)
        return Length((), size=Size.of(Extent(node, name)))

    def _extent(self, tree: ast.Call) -> Node:
        self.check_keywords(tree, ())
        what, index = self.arguments(tree, 2, 2)
        node = self.node(what)
        if not isinstance(node, Contract):
            raise self.source.error(what, "indices are those of contractions, and this is none")
        name = self.text(index, "the name of an index")
        if name not in node.spec.indices:
            known = ", ".join(node.spec.indices) or "none"
            raise self.source.error(index, f"there is no index {name!r}", f"there are: {known}")
        return Length((), size=Size.of(Extent(node, name, of_index=True)))

    def _index(self, tree: ast.Call) -> Node:
        self.check_keywords(tree, ())
        axis, *size = self.arguments(tree, 1, 2)
        names = self.axes(axis, "the name of an index")
        if len(names) != 1:
            raise self.source.error(axis, "one index has one name")
        return Position(names, size=self.size(size[0]) if size else None)

    def _complex(self, tree: ast.Call) -> Node:
        self.check_keywords(tree, ())
        parts = [self.node(part) for part in self.arguments(tree, 2, 2)]
        values = [part.value for part in parts if isinstance(part, Number)]
        real = [value for value in values if not isinstance(value, complex)]
        if len(real) != 2:
            raise self.source.error(tree, "a complex number is made of two real ones")
        return Number((), value=complex(*map(float, real)))


_FORMS: dict[str, Callable[[Values, ast.Call], Node]] = {
    "cast": Values._cast,
    "complex": Values._complex,
    "contract": Values._contract,
    "extent": Values._extent,
    "index": Values._index,
    "local": Values._contract,
    "named": Values._named_axes,
    "size": Values._size,
}


def checked_rank(source: Source, tree: ast.AST, node: Node) -> Node:
    """Refuse what has more axes than an array can have."""
    if len(node.axes) <= _MOST_AXES:
        return node
    raise source.error(tree, f"{len(node.axes)} axes: an array has at most {_MOST_AXES}")


def _is_literal(tree: ast.expr) -> bool:
    """Whether a minus before it belongs to the number."""
    match tree:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float() | complex()):
            return True
        case ast.Name(id=name):
            return name in NUMBERS
    return False


def _name(tree: ast.Call) -> str:
    return tree.func.id if isinstance(tree.func, ast.Name) else "it"
