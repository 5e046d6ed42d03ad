"""The ufunc-like object that every public function is, and its table of loops."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from imkernels import _docs
from imkernels._dtypes import Dtypes, Family, words

P = ParamSpec("P")
R = TypeVar("R")


class KernelFunction(Generic[P, R]):
    """A callable with the attributes of a NumPy generalised ufunc. It is ufunc-like, and no `numpy.ufunc`.

    Attributes
    ----------
    nin, nout, nargs : int
        Numbers of array operands.
    ntypes : int
        The number of loops.
    signature : str
        Core dimensions of the operands: ``"(h,w)->(p,q)"``.
    """

    identity = None

    def __init__(self, function: Callable[P, R], signature: str, dtypes: Family) -> None:
        self._function = function
        self._dtypes = dtypes
        self.__name__ = function.__name__
        self.__qualname__ = function.__name__
        self.__module__ = "imkernels"
        self.__doc__ = _docs.complete(function.__doc__, function.__name__, dtypes=words(dtypes))
        self.__wrapped__ = function
        self.__signature__ = inspect.signature(function)
        inputs, outputs = signature.split("->")
        self.signature = signature
        self.ntypes = len(dtypes.types)
        self.nin = inputs.count("(")
        self.nout = outputs.count("(")
        self.nargs = self.nin + self.nout

    @property
    def types(self) -> list[str]:
        """The loops, inputs and outputs by NumPy's dtype characters: ``"ff->f"``."""
        return list(self._dtypes.types)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        """Name the function."""
        return f"<imkernels function {self.__name__!r}>"

    def __reduce__(self) -> str:
        """Pickle by name."""
        return self.__name__

    def resolve_dtypes(self, dtypes: tuple[DTypeLike, ...], *, casting: Any = "same_kind") -> Dtypes:
        """Return the dtypes of a loop: the first in `types` that all inputs reach by safe casts.

        Parameters
        ----------
        dtypes : tuple
            One dtype per operand, outputs included; None for an output leaves it to the loop.
        casting : str
            The casts allowed from the loop's outputs to the outputs given.

        Returns
        -------
        tuple of numpy.dtype

        Raises
        ------
        TypeError
            If the number of dtypes is not `nargs`, an input has none, no loop takes the inputs, or an output cannot be
            cast to.
        """
        if not isinstance(dtypes, tuple) or len(dtypes) != self.nargs:
            raise TypeError(f"dtypes must be a tuple of {self.nargs}, one per operand, got {dtypes!r}")
        if any(dtype is None for dtype in dtypes[: self.nin]):
            raise TypeError(f"dtypes must give a dtype for each of the {self.nin} inputs, got {dtypes!r}")
        np.can_cast(np.int8, np.int8, casting)  # raises for a rule that there is not
        loop = self.loop(tuple(np.dtype(dtype) for dtype in dtypes[: self.nin]))
        for wanted, found in zip(dtypes[self.nin :], loop[self.nin :], strict=True):
            if wanted is not None and not np.can_cast(found, wanted, casting):
                raise TypeError(
                    f"{self.__name__}: dtypes asks for a result of {np.dtype(wanted)}; "
                    f"casting {found} to it needs more than casting={casting!r}"
                )
        return loop

    def loop(self, inputs: Dtypes) -> Dtypes:
        """Return the dtypes of the first loop that inputs of these dtypes reach by safe casts."""
        operands = inputs if self._dtypes.operands is None else self._dtypes.operands(inputs)
        found = first_loop(self._dtypes.types, operands)
        if found is None:
            names = ", ".join(str(dtype) for dtype in inputs)
            raise TypeError(f"{self.__name__}: no loop takes {names}; the loops are {', '.join(self.types)}")
        return tuple(np.dtype(character) for character in found.replace("->", ""))


@lru_cache(maxsize=1024)
def first_loop(types: tuple[str, ...], inputs: Dtypes) -> str | None:
    """Return the first of the loops `types` whose inputs the dtypes `inputs` reach by safe casts."""
    for loop in types:
        operands = loop.split("->")[0]
        if all(np.can_cast(dtype, character, "safe") for dtype, character in zip(inputs, operands, strict=True)):
            return loop
    return None


def kernel_function(signature: str, dtypes: Family) -> Callable[[Callable[P, R]], KernelFunction[P, R]]:
    """Make a `KernelFunction` of the function below."""

    def decorate(function: Callable[P, R]) -> KernelFunction[P, R]:
        return KernelFunction(function, signature, dtypes)

    return decorate
