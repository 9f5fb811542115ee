"""A text, read as a program through Python's grammar, of which little is allowed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from contractconv.errors import ProgramError
from contractconv.programs.kinds import DTYPES
from contractconv.programs.nodes import Input, Node
from contractconv.programs.program import Graph
from contractconv.programs.text.calls import Functions
from contractconv.programs.text.limits import checked
from contractconv.programs.text.source import Source
from contractconv.programs.text.values import Values
from contractconv.programs.text.words import checked_name, close_to, is_taken
from contractconv.programs.text.writer import check


def read(text: str, name: str | None = None) -> Graph:
    """Read a program.

    Args:
        text: functions in a small subset of Python, each of which may call those before it; they
            are never executed.
        name: which of them is the program; the last one by default.

    Returns:
        The program, whose nodes are labelled by the names in the text.

    Raises:
        ProgramError: it is no program; the message points at the line and the place.
    """
    source = checked(text)
    trees = _functions(_parsed(source), source)
    functions = Functions(source, [tree.name for tree in trees])
    for tree in trees:
        functions.add(_Function(source, tree, functions).graph())
    return _chosen(functions.graphs, trees[-1].name if name is None else name)


def _chosen(graphs: Mapping[str, Graph], name: str) -> Graph:
    if name in graphs:
        return graphs[name]
    raise ProgramError(
        f"there is no function {name!r}: there are {', '.join(graphs)}{close_to(name, graphs)}"
    )


def _parsed(source: Source) -> ast.Module:
    try:
        return ast.parse(source.text)
    except SyntaxError as error:
        line = min(max(error.lineno or 1, 1), len(source.lines))
        start = max((error.offset or 1) - 1, 0)
        said = f"this is not Python: {error.msg.partition(';')[0]}"
        raise source.on_line(line, [(start, start + 1)], said) from None
    except ValueError as error:
        raise source.refused(f"Python cannot read this: {error}") from None
    except (RecursionError, MemoryError):
        raise source.refused("this is nested too deeply: give parts lines of their own") from None


def _functions(tree: ast.Module, source: Source) -> list[ast.FunctionDef]:
    found: list[ast.FunctionDef] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            found.append(statement)
        elif not _is_comment(statement):
            raise source.error(statement, "a program is a function, and nothing stands beside it")
    if not found:
        raise source.refused('there is no program: it starts with def NAME(INPUT: "AXES", ...):')
    names = Counter(function.name for function in found)
    for function in reversed(found):
        if names[function.name] > 1:
            raise source.error(function, f"there is a function {function.name!r} already")
        if function is not found[-1] and is_taken(function.name):
            reason = f"{function.name!r} is a word of the language: call the function otherwise"
            raise source.error(function, reason)
    return found


def _is_comment(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


class _Function:
    """Reads one function, line by line."""

    def __init__(self, source: Source, tree: ast.FunctionDef, functions: Functions) -> None:
        self._source, self._tree, self._functions = source, tree, functions
        self._known: dict[str, Node] = {}
        self._values = Values(source, self._known, functions)

    def graph(self) -> Graph:
        """The program."""
        self._check_form()
        inputs = [self._input(given) for given in self._tree.args.args]
        *body, last = [line for line in self._tree.body if not _is_comment(line)] or [self._tree]
        for statement in body:
            self._assign(statement)
        if not isinstance(last, ast.Return):
            raise self._source.error(last, "a program ends with return, and names")
        outputs = dict(self._outputs(last))
        with self._source.pointing(self._tree):
            graph = Graph.of(outputs, inputs, self._tree.name)
            check(graph)
        return graph

    def _check_form(self) -> None:
        """Refuse everything about a function beside names with annotations."""
        tree, given = self._tree, self._tree.args
        extra: list[ast.AST | None] = [
            *tree.decorator_list, *given.defaults, *given.kw_defaults, *given.posonlyargs,
            *given.kwonlyargs, given.vararg, given.kwarg, tree.returns,
            *getattr(tree, "type_params", ()),
        ]  # fmt: skip
        for part in extra:
            if part is not None:
                hint = 'write def layer(x: "b i", labels: int64["b"]):'
                raise self._source.error(part, "a program has inputs, and no more than that", hint)

    def _input(self, given: ast.arg) -> Input:
        axes, dtype = self._annotation(given)
        self._check_new(given, given.arg)
        names = self._values.axes(axes, "what axes are called")
        node = Input(names, name=given.arg, dtype=dtype, label=given.arg)
        self._known[given.arg] = node
        return node

    def _annotation(self, given: ast.arg) -> tuple[ast.Constant, str | None]:
        """The string of an input's axes, and its dtype."""
        match given.annotation:
            case ast.Constant(value=str()) as axes:
                return axes, None
            case ast.Subscript(value=ast.Name(id=dtype), slice=ast.Constant(value=str()) as axes):
                if dtype in DTYPES:
                    return axes, dtype
                known = f"numbers are {', '.join(DTYPES)}"
                raise self._source.error(given.annotation, f"{dtype!r} is no dtype", known)
        hint = f'write {given.arg}: "b i", or {given.arg}: int64["b i"]'
        raise self._source.error(given, f"the input {given.arg!r} has no axes", hint)

    def _assign(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                self._check_new(target, name)
                node = self._values.node(value)
                self._known[name] = node if node.label is not None else node.called(name)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
                self._unpack(statement, names, self._values.several(value))
            case ast.Return():
                raise self._source.error(statement, "nothing stands behind return")
            case _:
                hint = "a line is NAME = EXPRESSION, the last one return NAME, ..."
                raise self._source.error(statement, "this is no line of a program", hint)

    def _unpack(
        self, statement: ast.Assign, targets: Sequence[ast.expr], nodes: Sequence[Node]
    ) -> None:
        """Give each of the values that a call makes its name."""
        if len(targets) != len(nodes):
            said = f"{len(nodes)} value{'s' * (len(nodes) != 1)} for {len(targets)} names"
            raise self._source.error(statement, said)
        for target, node in zip(targets, nodes, strict=True):
            if not isinstance(target, ast.Name):
                raise self._source.error(target, "a value is given a name, and nothing else")
            self._check_new(target, target.id)
            self._known[target.id] = node if node.label is not None else node.called(target.id)

    def _check_new(self, tree: ast.AST, name: str) -> None:
        with self._source.pointing(tree):
            checked_name(name, "a value")
        if name in self._functions.graphs:
            raise self._source.error(tree, f"{name!r} is a function: a value has another name")
        if name in self._known:
            raise self._source.error(tree, f"{name!r} is there already: every value has its name")

    def _outputs(self, last: ast.Return) -> Iterator[tuple[str, Node]]:
        seen: set[str] = set()
        for part in _returned(last):
            if not isinstance(part, ast.Name):
                hint = "results are called as variables are: write y = ..., then return y"
                raise self._source.error(part, "what is returned has no name", hint)
            if part.id in seen:
                raise self._source.error(part, f"{part.id!r} is returned twice")
            seen.add(part.id)
            yield part.id, self._values.node(part)


def _returned(last: ast.Return) -> Sequence[ast.AST]:
    match last.value:
        case ast.Tuple(elts=[_, *_] as parts):
            return parts
        case None:
            return [last]
    return [last.value]
