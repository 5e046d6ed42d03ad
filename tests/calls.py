"""One call of every public function, on images large enough to be shared out among threads."""

import imkernels as ik
import numpy as np
from imkernels import _core

from tests.cases import random_image

DTYPES = ["u1", "i8", "f4", "f8"]


def every_call(dtype="f4"):
    """Return {name: call}: `call(workers)` gives the tuple of the function's results for images of `dtype`."""
    rng = np.random.default_rng(20)
    image = random_image(rng, (3, 230, 331), dtype)
    part = image[:, :70, :90]
    kernel = random_image(rng, (3, 4), "f4" if image.dtype.kind == "f" else "i1")
    argmax = ik.max_pool_with_argmax(image, 3, stride=(2, 1), padding=1, workers=1)[1]
    grad = random_image(rng, argmax.shape, dtype)
    return {
        "median_filter": lambda workers: (ik.median_filter(part, (3, 4), mode="mirror", workers=workers),),
        "box_blur": lambda workers: (ik.box_blur(image, (5, 9), mode="wrap", workers=workers),),
        "correlate": lambda workers: (ik.correlate(image, kernel, dilation=2, dtype=_sum(dtype), workers=workers),),
        "max_pool_with_argmax": lambda workers: ik.max_pool_with_argmax(image, 3, padding=1, stride=1, workers=workers),
        "max_pool_backward": lambda workers: (ik.max_pool_backward(grad, argmax, (230, 331), workers=workers),),
    }


def _sum(dtype):
    return None if np.dtype(dtype).kind == "f" else np.int64


def public_functions():
    """Return the names of the public functions on arrays."""
    return [name for name in ik.__all__ if hasattr(getattr(ik, name), "signature")]


def results(workers, dtype="f4"):
    """Return {name: results} of every call."""
    return {name: call(workers) for name, call in every_call(dtype).items()}


def same_bits(one, other):
    """Whether two tuples of arrays are equal, bit for bit."""
    return len(one) == len(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(one, other, strict=True)
    )


def different(one, other):
    """Return the names of the calls whose results differ."""
    return [name for name in one if not same_bits(one[name], other[name])]


def forked_and_results(workers):
    """Return whether this process counts as forked, and the results of every call."""
    return _core.forked(), results(workers)
