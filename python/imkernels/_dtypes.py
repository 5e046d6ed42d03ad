"""The dtype table: which dtypes each family of functions takes and what it gives for them.

The ufunc-like objects take their `types` and `resolve_dtypes` from it, errors name its loops, docstrings and
``docs/dtypes.md`` print its words.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Dtype: TypeAlias = np.dtype[Any]
Dtypes: TypeAlias = tuple[Dtype, ...]

# The element types of the package, by NumPy's characters and in NumPy's order of safe casts.
BOOL = "?"
SIGNED = "bhil" if np.dtype("l").itemsize == 8 else "bhiq"
UNSIGNED = SIGNED.upper()
INTEGERS = "".join(pair for both in zip(SIGNED, UNSIGNED, strict=True) for pair in both)
FLOATS = "efd"
NUMBERS = INTEGERS + FLOATS
ALL = BOOL + NUMBERS
INTP = np.dtype(np.intp).char
INT32 = np.dtype(np.int32).char
INT64 = SIGNED[-1]


@dataclass(frozen=True)
class Family:
    """Functions that share their dtypes.

    Attributes
    ----------
    types : tuple of str
        The loops: inputs and outputs by NumPy's dtype characters.
    words : tuple of pairs of str
        What docstrings say: inputs and the result for them.
    operands : callable, optional
        Looks at the dtypes of the inputs before a loop is sought: it raises for those that a safe cast would reach but
        that mean something else, and returns those by which the loop is chosen.
    """

    types: tuple[str, ...]
    words: tuple[tuple[str, str], ...]
    operands: Callable[[Dtypes], Dtypes] | None = None

    def __post_init__(self) -> None:
        """Check that every loop says what goes in and what comes out."""
        if not all("->" in loop for loop in self.types):
            raise ValueError(f"loops need an arrow, got {self.types}")


def _loops(pattern: str, kinds: str) -> tuple[str, ...]:
    return tuple(pattern.replace("x", kind) for kind in kinds)


# What the families refuse


def refuse_bool(name: str, dtype: Dtype) -> None:
    """Raise for truth values, which have neither sums nor means."""
    if dtype.kind == "b":
        raise TypeError(f"{name} must hold numbers, got dtype bool; say {name}.astype(numpy.uint8) or a float dtype")


def _numbers(inputs: Dtypes) -> Dtypes:
    refuse_bool("image", inputs[0])
    return inputs


def _integer_sums(*names: str) -> Callable[[Dtypes], Dtypes]:
    """Refuse what a safe cast would turn into other sums: bool into 8-bit integers, uint64 into floats."""

    def operands(inputs: Dtypes) -> Dtypes:
        if all(dtype.kind in "bui" for dtype in inputs):
            for name, dtype in zip(names, inputs, strict=True):
                refuse_bool(name, dtype)
                if dtype.kind == "u" and dtype.itemsize == 8:
                    raise TypeError(f"{name} must fit int64, got dtype uint64; say {name}.astype(numpy.int64)")
        return inputs

    return operands


def _float_gradient(inputs: Dtypes) -> Dtypes:
    if inputs[0].kind != "f":
        raise TypeError(f"grad must hold floats, got dtype {inputs[0]}; say grad.astype(numpy.float32)")
    return inputs


def _positions(name: str, numbers: bool) -> Callable[[Dtypes], Dtypes]:
    """Take indices of any width."""

    def operands(inputs: Dtypes) -> Dtypes:
        values, argmax = inputs
        if numbers:
            refuse_bool(name, values)
        if argmax.kind not in "iu":
            raise TypeError(f"argmax must hold integers, got dtype {argmax}")
        return values, np.dtype(INTP)

    return operands


# The table

_ANY = "bool, integers, floats"
_SAME = ((_ANY, "the image's dtype, bit for bit"),)
_MEANS = (
    ("integers", "the image's dtype, the exact mean rounded half to even (unrounded with a float `dtype`)"),
    ("floats", "the image's dtype"),
    ("bool", "TypeError"),
)
_SUMS = (
    ("a float anywhere", "`numpy.result_type` of the inputs; float16 computes in float32 and rounds once"),
    ("8-bit integers alone", "int32; ValueError where a sum can pass 2**31, which names dtype=numpy.int64"),
    ("other integers", "int64, exact modulo 2**64"),
    ("bool or uint64 with integers", "TypeError"),
)
_POSITIONS = "; positions are integers of any width"
_SUM_LOOPS = tuple(f"{image}{kernel}->{INT32}" for image in "bB" for kernel in "bB") + _loops("xx->x", INT64 + FLOATS)

ORDER = Family(_loops("x->x", ALL), _SAME)
MAXIMUM_WITH_POSITION = Family(_loops(f"x->x{INTP}", ALL), ((_ANY, "the image's dtype, bit for bit; and intp"),))
UNPOOL = Family(
    _loops(f"x{INTP}->x", ALL), ((_ANY + _POSITIONS, "the values' dtype, bit for bit"),), _positions("values", False)
)
MAXIMUM_BACKWARD = Family(
    _loops(f"x{INTP}->x", NUMBERS),
    ((f"integers, floats{_POSITIONS}", "the gradient's dtype; float16 adds up in float32, integers wrap around"),),
    _positions("grad", True),
)
MEAN = Family(_loops("x->x", NUMBERS), _MEANS, _numbers)
MEAN_BACKWARD = Family(_loops("x->x", FLOATS), (("floats", "the gradient's dtype"),), _float_gradient)
SUM = Family(_SUM_LOOPS, _SUMS, _integer_sums("image", "kernel"))
SEPARABLE_SUM = Family(
    tuple(f"{image}{column}{row}->{INT32}" for image in "bB" for column in "bB" for row in "bB")
    + _loops("xxx->x", INT64 + FLOATS),
    _SUMS,
    _integer_sums("image", "column", "row"),
)
GAUSSIAN = Family(
    _loops("x->x", "fd"),
    (("bool, integers and floats of at most 16 bits, float32", "float32"), ("wider integers, float64", "float64")),
)
CONVOLUTION = Family(_SUM_LOOPS, _SUMS, _integer_sums("x", "weight"))
CONVOLUTION_BACKWARD = Family(
    tuple(f"{grad}{other}->{grad}" for grad in FLOATS for other in FLOATS),
    (("a float gradient; anything beside it", "the gradient's dtype; computed in `numpy.result_type` of the inputs"),),
    _float_gradient,
)


def words(family: Family) -> str:
    """Return a paragraph of a docstring on the dtypes of a family."""
    rows = [(f"``{inputs}``" if inputs == "bool" else inputs, result) for inputs, result in family.words]
    return "\n".join(f"- {inputs}: {result}." for inputs, result in rows)
