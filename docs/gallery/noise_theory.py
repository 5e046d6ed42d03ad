"""
Noise theory: what is left of random dots
=========================================

A black image on which every pixel is turned white with probability p, whatever its neighbours do: that is Bernoulli
noise, and a filter that removes it should give back black. What a 3x3 box blur and a 3x3 median leave of it can be
calculated. The windows are taken 3 pixels apart here (``stride=3``), so that no two have a pixel in common and every
result is an independent experiment.
"""

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from scipy.special import comb

rng = np.random.default_rng(2024)

# %%
# The theory
# ----------
# The mean is linear: the expectation of the mean of nine pixels is the mean of their nine expectations. So the **box**
# leaves p on average. (Not p/9, as is sometimes printed: each single dot becomes 1/9, but there are nine that may be
# dots.)
#
# The **median** of nine black or white pixels is white where five or more of them are: with probability
#
# .. math:: q(p) = \sum_{k=5}^{9} \binom{9}{k} p^k (1-p)^{9-k}


def left_by_median(p, pixels=9):
    """Probability that more than half of the pixels of a window are dots."""
    return sum(comb(pixels, k, exact=True) * p**k * (1 - p) ** (pixels - k) for k in range(pixels // 2 + 1, pixels + 1))


# %%
# A window of nine pixels has only 512 patterns. All of them, filtered, weighted by their probabilities and added up
# give both formulas without any sampling: equal but for rounding.

patterns = (np.arange(512)[:, None] >> np.arange(9) & 1).astype(np.uint8).reshape(512, 3, 3)
boxes = ik.box_blur(patterns, 3, padding="valid", dtype=np.float64)[:, 0, 0]
medians = ik.median_filter(patterns, 3, padding="valid")[:, 0, 0]
dots = patterns.sum(axis=(1, 2))

for p in np.linspace(0, 1, 21):
    weights = p**dots * (1 - p) ** (9 - dots)
    assert abs(weights @ boxes - p) < 1e-14
    assert abs(weights @ medians - left_by_median(p)) < 1e-14

# %%
# The median makes things better where q(p) < p. Both are polynomials, so the places where they meet are the roots of
# one polynomial, and in [0, 1] there are three: 0, 1/2 and 1. Below one half the median removes dots; above, where
# there are more dots than background, it takes the dots for the picture.

p = np.polynomial.Polynomial([0, 1])
roots = (left_by_median(p) - p).roots()
meetings = np.sort(roots.real[(abs(roots.imag) < 1e-6) & (abs(roots.real - 0.5) < 0.6)])
assert np.allclose(meetings, [0, 0.5, 1], atol=1e-6)  # roots of degree 9 lose about half of the 16 digits
below = np.linspace(0, 0.5, 1001)[1:-1]
assert (left_by_median(below) < below).all()

# %%
# The measurement
# ---------------
# The number of white medians is binomial, and so is the number of dots that the boxes have averaged; both have exact
# confidence intervals. The band that holds a measurement with a probability of 99.9 % for *all* of its points together
# is a little wider than that for one.

SIDE = 1800
probabilities = np.linspace(0, 1, 21)
windows = (SIDE // 3) ** 2
box_means, median_means = [], []
for p in probabilities:
    noise = (rng.random((SIDE, SIDE)) < p).astype(np.uint8)
    box_means.append(ik.box_blur(noise, 3, stride=3, padding="valid", dtype=np.float64).mean())
    median_means.append(ik.median_filter(noise, 3, stride=3, padding="valid").mean())
box_means, median_means = np.array(box_means), np.array(median_means)

confidence = 1 - 0.001 / (2 * len(probabilities))


def band(chance, draws):
    """Interval that holds the share of successes in so many draws."""
    return np.array(stats.binom.interval(confidence, draws, chance)) / draws


theory = left_by_median(probabilities)
box_band, median_band = band(probabilities, 9 * windows), band(theory, windows)
rounding = 1e-12  # of a mean of doubles
assert (box_band[0] - rounding <= box_means).all()
assert (box_means <= box_band[1] + rounding).all()
assert (median_band[0] <= median_means).all()
assert (median_means <= median_band[1]).all()

# p/9 is far outside of the band wherever there are dots.
assert (probabilities[1:] / 9 < box_band[0, 1:]).all()

# %%
# The figure
# ----------
# On the left, what the formulas mean: of 20 % dots the box keeps everything, only paler; the median keeps 2 %.

assert round(left_by_median(0.2), 3) == 0.020

fine = np.linspace(0, 1, 301)
figure, grid = plt.subplot_mosaic(
    [["noise", "means", "means"], ["box", "means", "means"], ["median", "box error", "median error"]],
    figsize=(11, 9),
    width_ratios=[1, 1.3, 1.3],
    layout="constrained",
)
sample = (rng.random((96, 96)) < 0.2).astype(np.uint8)
pictures = {
    "noise": (sample, "Dots, p = 0.2"),
    "box": (ik.box_blur(sample, 3, stride=3, padding="valid", dtype=np.float64), "Box 3x3, stride 3"),
    "median": (ik.median_filter(sample, 3, stride=3, padding="valid"), "Median 3x3, stride 3"),
}
for name, (picture, title) in pictures.items():
    grid[name].imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    grid[name].set_title(f"{title}: mean {picture.mean():.3f}", fontsize=10)
    grid[name].set_axis_off()

means = grid["means"]
means.plot(fine, fine, color="tab:blue", label="box, theory: p")
means.plot(fine, left_by_median(fine), color="tab:red", label="median, theory: q(p)")
means.plot(fine, fine / 9, color="gray", linestyle=":", label="p/9, a misprint")
for pixels, alpha in ((25, 0.5), (49, 0.3)):
    side = int(pixels**0.5)
    curve = left_by_median(fine, pixels)
    means.plot(fine, curve, color="tab:red", alpha=alpha, linewidth=1, label=f"median {side}x{side}, theory")
means.plot(probabilities, box_means, "o", color="tab:blue", markersize=5, label="box, measured")
means.plot(probabilities, median_means, "s", color="tab:red", markersize=5, label="median, measured")
means.axvspan(0, 0.5, color="tab:green", alpha=0.08)
means.text(0.25, 0.97, "q < p: the median helps", ha="center", va="top", color="darkgreen")
means.set(xlabel="probability p of a dot", ylabel="mean of the filtered image", xlim=(0, 1), ylim=(0, 1))
means.legend(loc="lower right", bbox_to_anchor=(1, 0.14), fontsize=9)

errors = (
    ("box error", box_means, probabilities, box_band, "tab:blue", "Box: measured minus p"),
    ("median error", median_means, theory, median_band, "tab:red", "Median: measured minus q(p)"),
)
for name, measured, expected, limits, colour, title in errors:
    axes = grid[name]
    low, high = 1e3 * (limits - expected)
    axes.fill_between(probabilities, low, high, color=colour, alpha=0.2, label="99.9 % band, all points together")
    axes.plot(probabilities, 1e3 * (measured - expected), "o", color=colour, markersize=4)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_title(title, fontsize=10)
    axes.set(xlabel="p", ylabel="difference x 1000", ylim=(1.5 * low.min(), 1.9 * high.max()))
    axes.legend(fontsize=8, loc="upper center")

# %%
# Larger windows make the step at one half steeper: the law of large numbers decides a vote of 49 more surely than one
# of 9.

assert (left_by_median(below, 25) < left_by_median(below)).all()
assert (left_by_median(below, 49) < left_by_median(below, 25)).all()

plt.show()
