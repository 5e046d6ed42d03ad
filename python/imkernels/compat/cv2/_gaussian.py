"""Gaussians, in fixed point where OpenCV computes so."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from imkernels._arguments import Array, Ending, Result
from imkernels.compat.cv2._arguments import (
    BORDER_DEFAULT,
    BORDER_WRAP,
    FLOAT32,
    FLOAT64,
    Place,
    image_of,
    pair_of,
    place_of,
    real_of,
    refusing,
    target_for,
)
from imkernels.compat.cv2._weighted_sums import separated


@refusing
def GaussianBlur(  # noqa: N802
    src: Any,
    ksize: Sequence[int],
    sigmaX: float,
    dst: Any = None,
    sigmaY: float = 0.0,
    borderType: int = BORDER_DEFAULT,
    hint: int = 0,
) -> Array:
    """Blur an image by a Gaussian, as ``cv2.GaussianBlur`` does.

    Parameters
    ----------
    {{src}}
    ksize : pair of ints
        Columns and rows of the window, odd; 0 takes the number from the standard deviation.
    sigmaX : float
        The standard deviation along the rows, in pixels; 0 takes it from `ksize`.
    {{dst}}
    sigmaY : float, default 0.0
        The standard deviation down the columns; 0 is that of the rows.
    borderType : int, default 4
        What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT, BORDER_REFLECT_101 or
        BORDER_WRAP.
    hint : int, default 0
        Of no effect, as in OpenCV's build for x86-64.

    Returns
    -------
    ndarray, shape of `src`
        The blurred image in the dtype of `src`, an axis of one channel left out.

    Raises
    ------
    {{refusal}}

    Notes
    -----
    Bit for bit OpenCV's of uint8 and uint16, which computes in fixed point: weights of 8 or 16 bits, whose errors are
    handed on from the ends to the middle, and sums rounded half up. Other dtypes are those of `sepFilter2D`.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> cv2.GaussianBlur(np.array([[0, 0, 200, 0, 0, 0]], dtype=np.uint8), (3, 1), 0)
    array([[  0,  50, 100,  50,   0,   0]], dtype=uint8)
    """
    pixels, axes = image_of(src)
    width, height = pair_of(ksize, "ksize")
    across = real_of(sigmaX, "sigmaX")
    down = 0.0 if sigmaY is None else real_of(sigmaY, "sigmaY")
    result = pixels.dtype.newbyteorder("=")
    row = _gaussian(width, across, result.char)
    column = _gaussian(height, down if down > 0 else across, result.char)
    target = target_for(dst, pixels.shape, result)
    place = Place("wrap", 0, axes) if borderType == BORDER_WRAP else place_of(1, 1, None, borderType, axes)
    # Sums in fixed point are exact.
    ending = Ending(0.5, toward_zero=True) if result.char in _FRACTION_BITS else Ending()
    wanted = Result(target.out, result, "same_kind", None, ending)
    return target.handed_over(separated(pixels, (column, row), place, wanted))


_FRACTION_BITS = {"B": 8, "H": 16}  # of weights in fixed point

# Weights where sigma is not given.
_BINOMIAL = {
    1: (1.0,),
    3: (0.25, 0.5, 0.25),
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
    9: tuple(number / 256 for number in (4, 13, 30, 51, 60, 51, 30, 13, 4)),
}


@functools.lru_cache(maxsize=1024)
def _gaussian(taps: int, sigma: float, pixels: str) -> Array:
    """Return a Gaussian's weights for pixels of a dtype, in that which sums are computed in."""
    reach = 3 if pixels == "B" else 4
    if taps <= 0 and 0 < sigma < 2**20:
        taps = round(2 * reach * sigma + 1) | 1
    if taps < 1 or taps % 2 == 0:
        raise ValueError(f"ksize must be odd, or 0 where sigma is positive, got {taps} and {sigma}")
    if sigma <= 0 and taps in _BINOMIAL:
        weights = np.array(_BINOMIAL[taps])
    else:
        deviation = sigma if sigma > 0 else 0.3 * ((taps - 1) / 2 - 1) + 0.8
        weights = np.exp(-0.5 * ((np.arange(taps) - (taps - 1) / 2) / deviation) ** 2)
        weights /= weights.sum()
    if pixels not in _FRACTION_BITS:
        return weights.astype(FLOAT64 if np.dtype(pixels).itemsize == 8 else FLOAT32)
    return _in_fixed_point(weights, _FRACTION_BITS[pixels]).astype(FLOAT32 if pixels == "B" else FLOAT64)


def _in_fixed_point(weights: Array, bits: int) -> Array:
    """Return weights rounded to fractions of so many bits, that still add up to 1."""
    taps = weights.size
    whole, error = np.zeros(taps), 0.0
    for tap in range(taps // 2):
        exact = weights[tap] * 2**bits + error
        whole[tap] = whole[-1 - tap] = np.rint(exact)
        error = exact - whole[tap]
    whole[taps // 2] = 2**bits - whole.sum()
    whole /= 2**bits
    return whole
