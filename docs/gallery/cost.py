"""
Cost: what a window takes
=========================

A window of K x K pixels on an image of H x W, moved S pixels at a time: done as the definition says, that is
K² H W / S² pixels to look at, for a convolution to multiply them, for a median to select the middle
one. This example measures whether the time goes like that, and how much of it the cleverer methods save that give the
same results.
"""

import os
import timeit

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
import skimage

SHORT = "IMKERNELS_GALLERY_SHORT" in os.environ  # as the tests run it
BASE_SIZE, BASE_K = (128, 7) if SHORT else (1024, 15)
SIZES = (32, 64, 128) if SHORT else (64, 128, 256, 512, 1024, 2048)
KS = (3, 5, 7) if SHORT else (3, 5, 7, 9, 11, 15, 21, 31)
STRIDES = (1, 2, 3) if SHORT else (1, 2, 3, 4, 6, 8)
REPEATS = 1 if SHORT else 3

camera = skimage.data.camera()


def image_of(size):
    """Return a photograph of so many rows and columns."""
    return np.tile(camera, (-(-size // 512),) * 2)[:size, :size]


def kernel_of(K):
    """Return weights that are a column times a row, so that every method can use them."""
    bell = np.exp(-(np.linspace(-2, 2, K) ** 2)).astype(np.float32)
    return np.outer(bell, bell)


def convolution(method):
    """Return a convolution of a photograph by one method."""

    def run(size, K, stride):
        image, kernel = image_of(size).astype(np.float32), kernel_of(K)
        return lambda: ik.correlate(image, kernel, stride=stride, method=method, workers=1)

    return run


def median(method):
    """Return a median of a photograph by one method."""

    def run(size, K, stride):
        image = image_of(size)
        return lambda: ik.median_filter(image, K, stride=stride, method=method, workers=1)

    return run


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
# so that the order of adding them shows in the last digits: each may be off by K² times half of the distance
# of two floats, relative to the sum of all magnitudes, and two of them by twice as much.

methods = {
    "Convolution": {name: convolution(name) for name in ("direct", "separable", "fft")},
    "Median": {name: median(name) for name in ("select", "sliding", "histogram", "network")},
}
for K in KS[::2]:
    for stride in (1, 3):
        definition, *others = (run(128, K, stride)() for run in methods["Median"].values())
        assert all((other == definition).all() for other in others)
        definition, *others = (run(128, K, stride)() for run in methods["Convolution"].values())
        bound = K**2 * np.finfo(np.float32).eps * definition  # nothing is negative: the sum is that of the magnitudes
        assert all((abs(other - definition) <= bound).all() for other in others)

# %%
# The time
# --------
# On one thread, the best of a few calls. To the times of the methods that do what the definition says ("direct", and
# "select", which is introselect for large windows), one law is fitted, c K\ :sup:`a` (H W)\ :sup:`b` / S\ :sup:`d`, by
# least squares of logarithms, and drawn with the exponents of the theory, a = 2, b = 1, d = 2.

sweeps = {
    "K": [(BASE_SIZE, K, 1) for K in KS],
    "S": [(BASE_SIZE, BASE_K, stride) for stride in STRIDES],
    "H": [(size, BASE_K, 1) for size in SIZES],
}


def seconds(call):
    """Measure a call, its best time."""
    return min(timeit.repeat(call, number=1, repeat=REPEATS))


times = {
    (kind, name, case): seconds(run(*case))
    for kind, runs in methods.items()
    for name, run in runs.items()
    for case in sorted(set().union(*sweeps.values()))
}


def fit(kind, name):
    """Return the exponents of K, H W and S, and the seconds per pixel looked at."""
    cases = np.array([case for k, n, case in times if (k, n) == (kind, name)], float)
    measured = np.array([time for (k, n, _), time in times.items() if (k, n) == (kind, name)])
    size, K, stride = cases.T
    logarithms = np.column_stack([np.log(K), 2 * np.log(size), -np.log(stride), np.ones(len(K))])
    exponents = np.linalg.lstsq(logarithms, np.log(measured))[0][:3]
    return exponents, np.exp(np.mean(np.log(measured / (K**2 * size**2 / stride**2))))


# %%
# A stride saves work as S² says, and the image counts in proportion, by every method. The large windows are
# where the methods part: the histogram's time does not depend on K at all, the separable convolution's grows with K,
# and that of the Fourier transform hardly. (On a small image the fixed cost of a call shows.)

labels = {"K": "side K of the window", "S": "stride S", "H": "side of the image, H = W"}
figure, grid = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
for row, (kind, runs) in zip(grid, methods.items(), strict=True):
    for axes, (sweep, cases) in zip(row, sweeps.items(), strict=True):
        places = [dict(zip("HKS", case, strict=True))[sweep] for case in cases]
        for number, name in enumerate(runs):
            measured = [1e3 * times[kind, name, case] for case in cases]
            width = 2.5 if number == 0 else 1.2
            axes.loglog(places, measured, "o-", color=f"C{number}", markersize=4, linewidth=width, label=name)
        first = next(iter(runs))
        exponents, rate = fit(kind, first)
        law = [1e3 * rate * (size * K / stride) ** 2 for size, K, stride in cases]
        axes.loglog(places, law, "k--", linewidth=1, label=f"{1e9 * rate:.2g} ns $K^2HW/S^2$")
        axes.set_xticks(places, [str(place) for place in places])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.set_xlabel(labels[sweep])
    row[0].set_ylabel("time, ms")
    row[0].legend(fontsize=9)
    a, b, d = exponents
    row[1].set_title(f"{kind}. Fitted to {first}: time ~ $K^{{{a:.2f}}} (HW)^{{{b:.2f}}} / S^{{{d:.2f}}}$")
    print(f"{kind}, {first}: K^{a:.2f} (H W)^{b:.2f} / S^{d:.2f}, {1e9 * rate:.3f} ns for each pixel of a window")

plt.show()
