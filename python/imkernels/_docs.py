"""Paragraphs that docstrings share.

A docstring names a paragraph in double braces on a line of its own; `complete` puts it there and fails if there is
no paragraph of that name.
"""

import inspect
import re

FRAGMENTS = {
    "image": """
image : array_like, shape (..., H, W)
    The last two axes are filtered (or those that `axes` names), all leading axes loop. Arrays of any layout are read as
    they are and never written to.
""",
    "window_size": """
size : int or pair of ints
    Height and width of the window.
""",
    "footprint": """
footprint : array_like of bool, optional
    The window's form, in place of `size`: the pixels under true elements take part.
""",
    "nan": """
nan : {"propagate", "omit"}, default "propagate"
    A NaN in the window makes the result NaN, or is left out; a window of NaNs alone gives NaN either way.
""",
    "method": """
method : {"auto", "extremum", "network", "histogram", "sliding", "select"}, default "auto"
    How it is computed; every method gives the same bits. ``"auto"`` takes the one that is fastest for the window, the
    dtype, the width of the result and the machine's instruction set.

    ``"extremum"``
        Two passes of minima or maxima, for the lowest and the highest rank of whole rectangles.
    ``"network"``
        Minima and maxima of many windows at once, for whole rectangles of up to 60 pixels a side: about K**1.65 of
        them per pixel.
    ``"histogram"``
        Counts of the values, for 8 bits: the same time for any whole rectangle of up to 65535 pixels and 512 a side.
    ``"sliding"``
        A set of pixels that moves over the image, for any window of up to about 170 pixels a side: O(K) per pixel.
    ``"select"``
        Selection in every window, by introselect or, where pixels have few bits, by bisection over them: for any
        window, O(K**2) per pixel.
""",
    "method_notes": """
    Networks after Batcher, "Sorting networks and their applications", AFIPS 32 (1968), Adams, "Fast median filters
    using separable sorting networks", ACM Transactions on Graphics 40 (2021) and Sugy, "Hierarchical tiling", arXiv
    2507.19926 (2025). Histograms after Perreault and Hebert, "Median filtering in constant time", IEEE Transactions on
    Image Processing 16 (2007). The sliding set after Suomela, "Median filtering is equivalent to sorting", arXiv
    1406.1717 (2014). Selection after Hoare, "Algorithm 65: Find", CACM 4 (1961) and Musser, "Introspective sorting and
    selection algorithms", Software: Practice and Experience 27 (1997), without branches on the data.
""",
    "correlation_method": """
method : {"auto", "direct", "separable", "fft"}, default "auto"
    How it is computed. Sums of integers are the same by every method, those of floats within the bound below.
    ``"auto"`` takes the one that is fastest for the kernel, the extents, the dtype and the machine's instruction set.

    ``"direct"``
        Tap by tap: K * L multiplications per pixel.
    ``"separable"``
        First along the rows, then along the columns: K + L multiplications, for kernels of rank 1 (see Notes).
    ``"fft"``
        Fourier transforms of tiles, for kernels that reach over at most 1024 pixels: about as long for any of them.
        Not for sums of 64-bit integers. Tiles that hold NaNs, infinities or windows of pixels so small beside the rest
        of the tile that the bound might not hold are summed tap by tap.
""",
    "correlation_notes": """
A kernel has rank 1 if the column and the row that cross at its weight of largest magnitude, the column divided by
that weight, have an outer product within ``3 * eps`` of each weight, as rounded outer products do; if all weights
are whole numbers, only if it is an outer product of whole numbers.

A float result lies within ``K * L * eps * sum(|kernel| * |image|)`` of the exact one (the separable one unless a sum
along a row overflows or underflows). Float images and kernels of whole numbers, with sums below 2**24, come out exact
but by ``"fft"``.

Transforms after Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier series", Mathematics
of Computation 19 (1965), of overlapping tiles after Stockham, "High-speed convolution and correlation", AFIPS 28
(1966).
""",
    "same_dtype": """
dtype : dtype, optional
    The dtype of the result, the image's by default. Values that a narrower one cannot hold are rounded half to even
    and saturated.
""",
    "same_size": """
    ``P = ceil(H / stride)`` for ``padding="same"``, else ``(H + top + bottom - K) // stride + 1``; Q likewise.
""",
    "dilation": """
dilation : int or pair of ints, default 1
    Pixels from one tap of the window to the next.
""",
    "pool_stride": """
stride : int or pair of ints, optional
    Pixels that the window moves from one output to the next; by default its size.
""",
    "pool_padding": """
padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
    Pixels around the image that have no value: an int on every side, ``(rows, columns)`` on both sides of an axis,
    ``((top, bottom), (left, right))`` literally, ``"same"`` as many as give one output per pixel at stride 1.
""",
    "ceil_mode": """
ceil_mode : bool, default False
    Keep a last window that the padded image does not fill, if it starts in the image or in the padding before it.
""",
    "output_size": """
output_size : int, None or pair of those
    ``(P, Q)``; None keeps the image's extent.
""",
    "values_and_argmax": """
out : tuple of two ndarrays, optional
    Where values and positions go; None leaves one to be made. They are returned. They may overlap the image, not
    each other.
""",
    "zero_padding": """
padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
    Zeros around the images: an int on every side, ``(rows, columns)`` on both sides of an axis, ``((top, bottom),
    (left, right))`` literally, ``"same"`` as many as give one output per pixel at stride 1.
""",
    "groups": """
groups : int, default 1
    Groups of channels that do not see each other; C groups of one channel each make a depthwise convolution.
""",
    "channel_axes": """
axes : three ints, optional
    The axes of channels, rows and columns in the arrays of images, ``(-3, -2, -1)`` by default. The result has them in
    the same places.
""",
    "stride": """
stride : int or pair of ints, default 1
    Pixels that the window moves from one output to the next. With ``padding="same"`` the result is that of stride 1 at
    every stride-th pixel.
""",
    "padding": """
padding : {"same", "valid"}, int, pair of ints, or pair of pairs, default "same"
    Pixels that `mode` makes up around the image: ``"same"`` as many as give one output per pixel (at stride 1),
    ``"valid"`` none, an int that many on every side, ``(rows, columns)`` on both sides of an axis, ``((top, bottom),
    (left, right))`` literally. It may exceed the window and the image.
""",
    "mode": """
mode : str or pair of str, default "reflect"
    What stands outside the image, one mode or one for rows and one for columns: ``"reflect"`` (d c b a | a b c d | d c
    b a), ``"mirror"`` (d c b | a b c d | c b a), ``"nearest"`` (a a a | a b c d | d d d), ``"wrap"`` (b c d | a b c d |
    a b c) or ``"constant"`` (`cval`). SciPy's ``"grid-..."`` names are known as well.
cval : scalar, default 0.0
    The value outside the image for mode ``"constant"``; the image's dtype must be able to hold it.
""",
    "origin": """
origin : int or pair of ints, default 0
    Moves the window up or left by that many taps, for ``padding="same"`` alone. The anchor of a window of K taps is tap
    ``K // 2``; an origin lies between ``-(K // 2)`` and ``(K - 1) // 2``.
""",
    "out": """
out : ndarray, optional
    Where the result goes; it is returned. Its shape must be that of the result. It may overlap an input: the result is
    then as if the input had been copied first.
""",
    "axes": """
axes : pair of ints, optional
    The window axes of the image, ``(-2, -1)`` by default, in the order of `size` and every other pair. The
    result has its window axes in the same places. ``axes=(0, 1)`` filters an interleaved (H, W, C) image as it lies in
    memory.
""",
    "casting": """
casting : str, default "same_kind"
    The casts that are allowed from the result to `out`.
workers : int, optional
    The number of threads; -1 for all that the machine grants, None for the default (see `set_workers`). Small calls run
    on one. The result does not depend on it, bit for bit.
""",
    "nan_stays": """
A NaN or an infinity reaches the results whose windows it lies in, and no others.
""",
    "window_errors": """
ValueError
    If a number, a shape, a mode or `out` does not fit; the message names the argument, the rule and the value.
TypeError
    If a dtype has no loop, `casting` forbids the cast to `out`, or an argument is of the wrong kind.
""",
}


def complete(docstring: str | None, name: str, **own: str) -> str:
    """Return the docstring with its paragraphs put in, shared ones and those of the function's own."""
    if docstring is None:
        raise ValueError(f"{name} has no docstring")

    def paragraph(match: re.Match[str]) -> str:
        return (FRAGMENTS | own)[match.group(1)].strip("\n")

    return re.sub(r"^\{\{(\w+)\}\}$", paragraph, inspect.cleandoc(docstring), flags=re.MULTILINE)
