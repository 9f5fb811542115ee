"""What comes back to each argument of a map, as expressions in maps."""

from __future__ import annotations

from contractconv.maps.expression import Expression


def derivatives(name: str) -> tuple[Expression, ...]:
    """For each argument of a map what comes back to it, if ``g`` comes back to its result.

    Args:
        name: of a map.

    Returns:
        An expression in ``a, b, c`` (the arguments), ``y`` (the result) and ``g``, which is linear
        in ``g``; ``0`` where nothing comes back.
    """
    raise NotImplementedError(name)
