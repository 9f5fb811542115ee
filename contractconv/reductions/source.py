"""How reductions, and their local derivatives, are written as source code."""

from __future__ import annotations

from collections.abc import Callable

from contractconv.reductions.record import Writer

Axes = tuple[int, ...]


def extreme(name: str) -> Callable[[Writer, str, Axes], str]:
    """The extreme along some axes."""
    return lambda writer, array, axes: str(writer.extreme(name, array, axes))


def product(writer: Writer, array: str, axes: Axes) -> str:
    """The product along some axes."""
    return str(writer.dialect.product(array, axes))


def logsumexp(writer: Writer, array: str, axes: Axes) -> str:
    """The logarithm of the sum of exponentials along some axes."""
    along = writer.dialect.axes(axes)
    spelled = {
        "numpy": f"np.logaddexp.reduce({array}, {along})",
        "torch": f"{array}.logsumexp({along})",
        "jax": f"jax.nn.logsumexp({array}, {along})",
    }
    return spelled[writer.dialect.library]


def selected(name: str) -> Callable[[Writer, str, str], None]:
    """One at the first extreme of the points that count, zero elsewhere; NaN is extreme."""

    def source(writer: Writer, values: str, variable: str) -> None:
        best = writer.lines.new("best", writer.extreme(name, values, writer.last, keep=True))
        hits = writer.counted(f"({values} == {best}) | ({values} != {values})")
        flat = writer.flat(writer.lines.new("hits", hits))
        first = f"{flat} & ({flat}.cumsum(-1) == 1)"
        writer.spread(variable, writer.dialect.truths(first, writer.like))

    return source


def others(writer: Writer, values: str, variable: str) -> None:
    """The product of all other points; zero where a point does not land."""
    flat, dialect = writer.flat(values), writer.dialect
    pairs = dialect.call("where", writer.diagonal(flat), "1", f"{flat}[..., None, :]")
    writer.spread(variable, pairs, dialect.product("", (-1,)) + dialect.cast(writer.like))
    writer.landed(variable)


def softmax(writer: Writer, values: str, variable: str) -> None:
    """Exponentials over their sum, shifted such that the greatest is one."""
    lines, call = writer.lines, writer.dialect.call
    top = lines.new("top", writer.extreme("max", values, writer.last, keep=True))
    lines.assign(top, call("where", call("isfinite", top), top, "0"))
    lines.assign(variable, call("exp", f"{values} - {top}"))
    total = lines.new("total", writer.dialect.total(variable, writer.last, keep=True))
    lines.assign(variable, f"{variable} / {call('where', f'{total} == 0', '1', total)}")
