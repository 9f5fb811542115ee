"""Angles so large that a quarter turn in few parts does not reduce them: one after the other.

After M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter
18, 1983: of the product of an angle's digits with those of 2/pi only some count, for those before
make whole turns, and those behind are too small. Both are integers here, of so many bits that
nothing is rounded before the end.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from contractconv.engines.llvm.kernels.emitter import I8, I32, I64
from contractconv.engines.llvm.kernels.kernel_values import Int, Vector
from contractconv.engines.llvm.maps.vector_kinds import Floats

# The first bits of 2/pi behind the point.
_BITS = 1280
_DIGITS = int(
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e0"
    "06492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4"
    "9c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d"
    "7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6babf0cfbc209af4361d",
    16,
)
# Bits of 2/pi that are multiplied, and zeros before the point, for angles that are not so large.
_WINDOW, _BEFORE = 256, 64
_WIDE, _DOUBLE = ir.IntType(_WINDOW), ir.DoubleType()
_MANTISSA, _BIAS = 52, 1023
_QUARTER = 1.5707963267948966


def reduced(f: Floats, angles: Vector) -> list[Vector]:
    """What angles exceed the nearest multiples of a quarter turn by, and which multiples.

    Args:
        f: the kind of numbers.
        angles: of at least one; of others no rests come out.

    Returns:
        The rests, and bits whose last two are those of the multiples.
    """
    builder = f.e.builder

    def one(n: Int, carried: list[Vector]) -> list[Vector]:
        place = builder.trunc(n.value, I32)
        parts = _of_one(f, builder.extract_element(angles.value, place))
        return [
            Vector(f.e, builder.insert_element(vector.value, part, place))
            for vector, part in zip(carried, parts, strict=True)
        ]

    return f.e.loop(0, f.e.number.lanes, [angles, f.bits(angles)], one)


def _of_one(f: Floats, angle: Any) -> tuple[Any, Any]:
    """The rest of one angle, and the bits of its multiple."""
    builder, wide = f.e.builder, f.mantissa == _MANTISSA
    bits = builder.bitcast(angle if wide else builder.fpext(angle, _DOUBLE), I64)
    turned = _turned(f, Int(f.e, bits))
    rest = _as_double(builder, builder.shl(turned, _WIDE(2)))
    half = builder.add(turned, _WIDE(1 << (_WINDOW - 3)))
    quarters = builder.trunc(builder.lshr(half, _WIDE(_WINDOW - 2)), I64 if wide else I32)
    return rest if wide else builder.fptrunc(rest, f.element), quarters


def _turned(f: Floats, bits: Int) -> Any:
    """Quarter turns as an integer: four of them, the first two bits, are none."""
    builder = f.e.builder
    exponent = Int(f.e, builder.lshr(bits.value, I64(_MANTISSA)))
    exponent = f.e.chosen(exponent < _BIAS, f.e.whole(_BIAS), exponent)
    digits = builder.or_(builder.and_(bits.value, I64((1 << _MANTISSA) - 1)), I64(1 << _MANTISSA))
    # Behind the point, the first bit of 2/pi that does not only make whole turns.
    first = exponent - (_BIAS + _MANTISSA + 2)
    whole_bytes = Int(f.e, builder.and_(first.value, I64(-8)))
    place = (f.e.whole(_BITS - _WINDOW) - whole_bytes) // 8
    table = f.e.table(I8, list(_DIGITS.to_bytes((_BITS + _BEFORE) // 8, "little")))
    pointer = builder.inttoptr((table + place).value, _WIDE.as_pointer())
    product = builder.mul(builder.zext(digits, _WIDE), builder.load(pointer, align=1))
    return builder.shl(product, builder.zext((first - whole_bytes).value, _WIDE))


def _as_double(builder: Any, turns: Any) -> Any:
    """A share of a quarter turn, with a sign, in radians."""
    high = builder.trunc(builder.ashr(turns, _WIDE(_WINDOW - 64)), I64)
    low = builder.trunc(builder.lshr(turns, _WIDE(_WINDOW - 128)), I64)
    behind = builder.fmul(builder.uitofp(low, _DOUBLE), _DOUBLE(2.0**-64))
    share = builder.fadd(builder.sitofp(high, _DOUBLE), behind)
    return builder.fmul(share, _DOUBLE(2.0**-64 * _QUARTER))
