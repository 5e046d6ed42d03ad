"""What hypothesis draws from: images, and the keywords that place windows on them."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from . import cases

# No time limits (the machine may be busy), and no database in the checkout.
few = settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(few, max_examples=5000)

sides = st.integers(1, 12)


def numbers(dtype):
    """Return a strategy for elements: any value of the dtype, or few that tie."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        # Sums of the largest numbers are infinite for good reason: stay below.
        some = float(np.float16(1e4))
        anything = st.floats(-some, some, width=8 * dtype.itemsize)
    else:
        anything = npst.from_dtype(dtype)
    return st.one_of(anything, st.sampled_from([0, 1] if dtype.kind == "b" else [0, 1, 2]))


@st.composite
def images(draw, dtypes, elements=numbers):
    dtype = draw(st.sampled_from([np.dtype(dtype) for dtype in dtypes]))
    shape = (draw(sides), draw(sides))
    if draw(st.booleans()):
        return draw(npst.arrays(dtype, shape, elements=elements(dtype)))
    return cases.seeded_image(shape, dtype, draw(st.integers(0, 2**32)))


def ints_or_pairs(least, most):
    return st.one_of(st.integers(least, most), st.tuples(st.integers(least, most), st.integers(least, most)))


modes = st.sampled_from([*cases.MODES, *cases.ALIASES])


@st.composite
def geometries(draw, shape, size, dilation=(1, 1)):
    """Draw stride, padding, mode and origin for an image and a window that fit together."""
    keywords = {"stride": draw(ints_or_pairs(1, 15)), "mode": draw(st.one_of(modes, st.tuples(modes, modes)))}
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    kind = draw(st.sampled_from(["same", "origin", "valid", "pads"]))
    if kind == "origin":
        keywords["origin"] = tuple(draw(st.integers(-(k // 2), (k - 1) // 2)) for k in size)
    elif kind == "valid" and all(pixels >= taps for pixels, taps in zip(shape, reach, strict=True)):
        keywords["padding"] = "valid"
    elif kind == "pads":
        # At least what makes room for one window.
        missing = [max(0, taps - pixels) for pixels, taps in zip(shape, reach, strict=True)]
        before = [draw(st.integers(0, 20)) for _ in missing]
        keywords["padding"] = tuple(
            (b, draw(st.integers(max(0, m - b), m + 20))) for b, m in zip(before, missing, strict=True)
        )
    return keywords
