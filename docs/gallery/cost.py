"""
Cost: what a window takes
=========================

A window of K x K pixels on an image of H x W, moved S pixels at a time: done as the definition says, that is
K² H W / S² pixels to look at, for a convolution to multiply them, for a median to select the middle one. This example
measures whether the time goes like that, and how much of it the cleverer methods save that give the same results.
"""

import os
import timeit

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
import skimage

SHORT = "IMKERNELS_GALLERY_SHORT" in os.environ  # as the tests run it
BASE_SIZE, BASE_K = (128, 7) if SHORT else (512, 15)
SIZES = (32, 64, 128) if SHORT else (64, 128, 256, 512, 1024)
KS = (3, 5, 7) if SHORT else (3, 5, 7, 9, 11, 15, 21, 31)
STRIDES = (1, 2, 3) if SHORT else (1, 2, 3, 4, 6, 8)
REPEATS = 1 if SHORT else 5
METHODS = {
    "Convolution": ("direct", "separable", "fft"),
    "Median": ("select", "sliding", "network", "histogram"),
}

rng = np.random.default_rng(3)


def bytes_of(size):
    """Return a photograph of so many rows and columns."""
    return np.tile(skimage.data.camera(), (-(-size // 512),) * 2)[:size, :size]


def floats_of(size):
    """Return the same as a camera with more than 256 grey levels would have taken it."""
    return bytes_of(size) + rng.normal(0, 1, (size, size))


def filtered(method, image, K, stride):
    """Convolve, or take medians, on one thread."""
    if method not in METHODS["Convolution"]:
        return ik.median_filter(image, K, stride=stride, method=method, workers=1)
    bell = np.exp(-(np.linspace(-2, 2, K) ** 2))  # a column times a row, so that every method can use it
    return ik.correlate(image, np.outer(bell, bell), stride=stride, method=method, workers=1)


# %%
# How many pixels
# ---------------
# The count can be measured without a clock. Of an image of ones a kernel of ones answers with the number of its
# products, and the answers add up to all of them: K² for each of ceil(H / S) x ceil(W / S) places.

for size in (24, 100):
    for K in (3, 8, 15):
        for stride in (1, 2, 3, 7):
            ones = np.ones((size, size), np.int8)
            products = ik.correlate(ones, np.ones((K, K), np.int8), stride=stride).sum()
            assert products == K**2 * (-(-size // stride)) ** 2

# %%
# The same results
# ----------------
# What is fast must also be right. All methods of the median give the same bits. The sums of a convolution are floats,
# so that the order of adding them shows in the last digits: each may be off by K² / 2 times the spacing of floats,
# relative to the sum of all magnitudes, and two of them by twice as much.

for K in KS[::2]:
    for stride in (1, 3):
        image = bytes_of(128)
        definition, *others = (filtered(method, image, K, stride) for method in METHODS["Median"])
        assert all((other == definition).all() for other in others)
        definition, *others = (filtered(method, image, K, stride) for method in METHODS["Convolution"])
        bound = K**2 * np.finfo(float).eps * definition  # nothing is negative: the sum is that of the magnitudes
        assert all((abs(other - definition) <= bound).all() for other in others)

# %%
# The time
# --------
# The best of a few calls, for float64 (for the histogram, which counts grey levels, bytes). To the times of the methods
# that do what the definition says ("direct", and "select", which is introselect), :math:`c K^a (H W)^b / S^d` is fitted
# by least squares of logarithms; the dashed line has the exponents of the theory: a = 2, b = 1, d = 2.

sweeps = {
    "K": [(BASE_SIZE, K, 1) for K in KS],
    "S": [(BASE_SIZE, BASE_K, stride) for stride in STRIDES],
    "H": [(size, BASE_K, 1) for size in SIZES],
}


def milliseconds(method, size, K, stride):
    """Measure a method."""
    image = bytes_of(size) if method == "histogram" else floats_of(size)
    return 1e3 * min(timeit.repeat(lambda: filtered(method, image, K, stride), number=1, repeat=REPEATS))


cases = sorted({case for sweep in sweeps.values() for case in sweep})
times = {
    method: {case: milliseconds(method, *case) for case in cases} for methods in METHODS.values() for method in methods
}


def fit(method):
    """Return the exponents of K, H W and S, and the milliseconds per pixel looked at."""
    size, K, stride = np.array(cases, float).T
    logarithms = np.log(list(times[method].values()))
    columns = np.column_stack([np.log(K), 2 * np.log(size), -np.log(stride), np.ones(len(K))])
    exponents = np.linalg.lstsq(columns, logarithms)[0][:3]
    return exponents, np.exp(np.mean(logarithms - 2 * np.log(K * size / stride)))


# %%
# The law is one for large windows: in the smallest, and with the largest strides, what is done once for a result or for
# the image (to bring it in, to write results) takes as long as the pixels of the window, so that the fitted exponents
# are a little less than 2. The other methods share work between neighbouring windows. The histogram's time does not
# depend on K at all, those of the separable convolution and of the sliding set hardly. And a stride, which leaves fewer
# neighbours to share with, saves them less.

labels = {"K": "side K of the window", "S": "stride S", "H": "side of the image, H = W"}
figure, grid = plt.subplots(2, 3, figsize=(13, 8.4), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
for row, (kind, methods) in zip(grid, METHODS.items(), strict=True):
    exponents, rate = fit(methods[0])
    for axes, (name, sweep) in zip(row, sweeps.items(), strict=True):
        places = [dict(zip("HKS", case, strict=True))[name] for case in sweep]
        for method in methods:
            width = 2.5 if method == methods[0] else 1.2
            measured = [times[method][case] for case in sweep]
            axes.loglog(places, measured, "o-", markersize=4, linewidth=width, label=method)
        law = [rate * (size * K / stride) ** 2 for size, K, stride in sweep]
        axes.loglog(places, law, "k--", linewidth=1, label=f"{1e6 * rate:.2g} ns $K^2HW/S^2$")
        axes.set_xticks(places, [str(place) for place in places])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.set_xlabel(labels[name])
    row[0].set_ylabel("time, ms")
    a, b, d = exponents
    row[1].set_title(f'{kind}: time of "{methods[0]}" ~ $K^{{{a:.2f}}} (HW)^{{{b:.2f}}} / S^{{{d:.2f}}}$', pad=10)
    row[2].legend(fontsize=9, loc="upper left")
    print(f"{kind}, {methods[0]}: K^{a:.2f} (H W)^{b:.2f} / S^{d:.2f}, {1e6 * rate:.3f} ns for a pixel of a window")

plt.show()
