"""What the fields of the page say: texts, read without running anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contractconv.api.contraction import Contraction
from contractconv.errors import ContractionError, ReductionError, ShapeError, SpecError
from contractconv.notation.problem import Shape
from contractconv.notation.spec import Term

# A string of the notation is a line, not a book: what is longer only keeps a reader waiting.
LONGEST = 1_000
_MOST_DIGITS = 12
_TEXTS = ("spec", "parameters", "names", "output_shape", "values")
_SIZE = re.compile(r"[x×*,;\s()\[\]]+")


class FieldError(ContractionError):
    """What is wrong with a field.

    Attributes:
        field: which one: ``"spec"``, ``"reduce"``, ``"parameters"``, ``"names"``, ``"shapes"``,
            ``"output_shape"`` or ``"values"``.
        spans: where in its text, if that is known.
    """

    def __init__(self, field: str, message: str, spans: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(message)
        self.field, self.spans = field, tuple(spans)

    def as_dict(self) -> dict[str, Any]:
        """As the page is told."""
        return {"field": self.field, "message": str(self), "spans": [list(s) for s in self.spans]}


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of the page, as they were typed.

    Attributes:
        spec: the string.
        reduce: how contributions combine.
        parameters: names in the string that are numbers.
        names: of operands; equal ones are one array.
        shapes: a text for each array; those of others may be left from another string.
        output_shape: that of the result, where the rules should not choose it.
        values: extents and parameters: ``"k=2 l=2"``.
    """

    spec: str
    reduce: str = "sum"
    parameters: str = ""
    names: str = ""
    shapes: tuple[str, ...] = ()
    output_shape: str = ""
    values: str = ""

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Asked:
        """Take the fields out of a request.

        Raises:
            FieldError: a field is no text, or too long.
        """
        texts = {name: _text(request, name) for name in _TEXTS}
        shapes = request.get("shapes", ())
        if not isinstance(shapes, list | tuple):
            raise FieldError("shapes", "shapes are a list of texts")
        sizes = tuple(_limited("shapes", shape) for shape in shapes)
        return cls(**texts, reduce=_text(request, "reduce") or "sum", shapes=sizes)

    def contraction(self) -> Contraction:
        """Read the string.

        Raises:
            FieldError: it is not in the notation, or the reduction is unknown.
        """
        if not self.spec.strip():
            raise FieldError("spec", "type a string, as b (i+k) c, k c o -> b i o")
        try:
            found = self._contraction(None)
        except SpecError as error:
            raise FieldError("spec", str(error), error.spans) from None
        except ReductionError as error:
            raise FieldError("reduce", str(error)) from None
        except ContractionError as error:
            raise FieldError("parameters", str(error)) from None
        try:
            return self._contraction(self.names) if self.names.strip() else found
        except ContractionError as error:
            raise FieldError("names", str(error)) from None

    def _contraction(self, names: str | None) -> Contraction:
        return Contraction(self.spec, self.reduce, self.parameters, names)  # type: ignore[arg-type]

    def without_sizes(self) -> Asked:
        """The same without shapes and numbers."""
        return replace(self, shapes=(), output_shape="", values="")

    def sizes(self, terms: Sequence[Term]) -> tuple[Shape, ...]:
        """The shapes of operands with these terms; none as long as one is missing.

        Raises:
            FieldError: a text that is no shape.
        """
        given = [text.strip() for text in self.shapes[: len(terms)]]
        given += [""] * (len(terms) - len(given))
        shapes = tuple(_shape("shapes", text) for text in given)
        missing = any(term and not text for term, text in zip(terms, given, strict=True))
        return () if missing else shapes

    def result_shape(self) -> Shape | None:
        """The shape of the result, if the field says one.

        Raises:
            FieldError: a text that is no shape.
        """
        text = self.output_shape.strip()
        return _shape("output_shape", text) if text else None

    def numbers(self) -> dict[str, int]:
        """Extents and parameters by name.

        Raises:
            FieldError: a text that is not ``name=number``.
        """
        found: dict[str, int] = {}
        for text in re.sub(r"\s*=\s*", "=", self.values).replace(",", " ").split():
            name, _, number = text.partition("=")
            if not name or _integer(number) is None:
                raise FieldError("values", f"{text!r} gives no number: write k=3")
            if name in found:
                raise FieldError("values", f"{name} is given twice")
            found[name] = int(number)
        return found


def _text(request: Mapping[str, Any], field: str) -> str:
    return _limited(field, request.get(field, ""))


def _limited(field: str, text: Any) -> str:
    if not isinstance(text, str):
        raise FieldError(field, f"{field} is a text")
    if len(text) > LONGEST:
        raise FieldError(field, f"more than {LONGEST:,} characters are too many for this page")
    return text


def _shape(field: str, text: str) -> Shape:
    """A shape as people write it: ``8x28x28x3``, ``8, 28``, ``(5,)``; ``()`` is a scalar's."""
    sizes = [_integer(size) for size in _SIZE.split(text.strip()) if size]
    if None in sizes:
        raise FieldError(field, f"{text!r} is not a shape: write sizes as in 8x28x28x3")
    return tuple(size for size in sizes if size is not None)


def _integer(text: str) -> int | None:
    sign = text[:1] in ("-", "+")
    fits = text[sign:].isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS
    return int(text) if fits else None


def of_shapes(error: ContractionError) -> FieldError:
    """The error of shapes and numbers that do not fit a string."""
    return FieldError("shapes" if isinstance(error, ShapeError) else "values", str(error))
