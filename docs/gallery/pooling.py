"""
Pooling: what tolerance is made of
==================================

Max pooling keeps the largest value of every window and forgets where in the window it was. That is a loss, and a
purpose: small shifts and rotations of the picture change less. Adaptive pooling cuts images of any size into the same
number of windows. And behind a bank of Gabor filters and a ReLU, pooling completes the three stages of a layer, which
is what a convolutional network is made of.
"""

from itertools import pairwise

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
import skimage
from skimage.transform import rotate

rng = np.random.default_rng(5)

# %%
# Tolerance to shifts: the theory
# -------------------------------
# A white dot anywhere in a window of K x K pixels gives the same maximum. Shifted by d pixels along the rows, it is
# still in its window in K - d of K places, so over all places of the dot a share of (1 - dy / K)(1 - dx / K) of the
# maxima does not notice. Here is one window for each of the K x K places:

for K in (2, 4, 8):
    places = np.arange(K * K)
    dots = np.zeros((K * K, 3 * K, 3 * K), np.uint8)  # a window with its neighbours
    dots[places, K + places // K, K + places % K] = 1
    pooled = ik.max_pool(dots, K)
    for dy in range(K + 1):
        for dx in range(K + 1):
            moved = ik.max_pool(np.roll(dots, (dy, dx), axis=(1, 2)), K)
            stayed = (moved == pooled).all(axis=(1, 2)).sum()
            assert stayed == (K - dy) * (K - dx)

# %%
# Tolerance to shifts and rotations: photographs
# ----------------------------------------------
# How similar is a picture of edges to that of the shifted or rotated photograph? Pixel by pixel the likeness (the
# correlation coefficient) is gone after a few pixels. The larger the windows, the longer it lasts. A shift by a
# multiple of the window's size only moves the results.

photograph = skimage.data.camera() / 255
sizes = (1, 2, 4, 8, 16)


def edges(image):
    """Slope of the grey levels, without the frame of the picture."""
    smooth = ik.gaussian_filter(image, 1)
    down, across = np.array([[-1], [0], [1]]), np.array([[-1, 0, 1]])
    return np.hypot(ik.correlate(smooth, down), ik.correlate(smooth, across))[128:384, 128:384]


def likeness(one, other, size):
    """Give the correlation of what pooling makes of two pictures."""
    return np.corrcoef(ik.max_pool(one, size).ravel(), ik.max_pool(other, size).ravel())[0, 1]


shifts, angles = np.arange(0, 17), np.arange(0, 16)
start = edges(photograph)
shifted = [edges(np.roll(photograph, shift, axis=1)) for shift in shifts]
rotated = [edges(rotate(photograph, angle, mode="reflect")) for angle in angles]
over_shifts = {size: np.array([likeness(start, image, size) for image in shifted]) for size in sizes}
over_angles = {size: np.array([likeness(start, image, size) for image in rotated]) for size in sizes}

for size in (2, 4, 8, 16):
    before, after = ik.max_pool(photograph, size), ik.max_pool(np.roll(photograph, 2 * size, axis=1), size)
    assert (after == np.roll(before, 2, axis=1)).all()
for smaller, larger in pairwise(sizes):
    assert over_shifts[larger][1] > over_shifts[smaller][1]
    assert over_angles[larger][3] > over_angles[smaller][3]

figure, grid = plt.subplot_mosaic(
    [["photograph", "1", "4", "16"], ["shifts", "shifts", "angles", "angles"]],
    figsize=(12, 7.2),
    height_ratios=[1, 1.2],
    layout="constrained",
)
grid["photograph"].imshow(photograph[128:384, 128:384], cmap="gray", interpolation="nearest")
grid["photograph"].set_title("photograph")
for size in (1, 4, 16):
    grid[str(size)].imshow(ik.max_pool(start, size) ** 0.5, cmap="magma", interpolation="nearest")
    grid[str(size)].set_title("edges" if size == 1 else f"maxima of {size}x{size}")
for name in ("photograph", "1", "4", "16"):
    grid[name].set_axis_off()
colours = plt.colormaps["viridis"](np.linspace(0, 0.88, len(sizes)))
for size, colour in zip(sizes, colours, strict=True):
    label = "no pooling" if size == 1 else f"max pooling {size}x{size}"
    grid["shifts"].plot(shifts, over_shifts[size], ".-", color=colour, label=label)
    grid["angles"].plot(angles, over_angles[size], ".-", color=colour, label=label)
grid["shifts"].set(xlabel="shift, pixels", ylabel="correlation with the original", ylim=(0, 1.03))
grid["angles"].set(xlabel="rotation, degrees", ylim=(0, 1.03))
for name in ("shifts", "angles"):
    grid[name].grid(alpha=0.3)
grid["shifts"].legend()

# %%
# Adaptive pooling: from any size to one shape
# --------------------------------------------
# For an output of p rows, the i-th window reaches from row floor(i H / p) to ceil((i + 1) H / p). So every image gives
# as many numbers, and what comes behind, a classifier for example, need not know how large it was. Where p divides H it
# is ordinary pooling.

P = 24
photographs = {
    "camera": skimage.data.camera(),
    "coffee": skimage.data.coffee(),
    "hubble_deep_field": skimage.data.hubble_deep_field(),
    "retina": skimage.data.retina(),
}
figure, grid = plt.subplots(3, 4, figsize=(11, 8.2), layout="constrained")
for column, (name, image) in zip(grid.T, photographs.items(), strict=True):
    average = ik.adaptive_avg_pool(image, P, axes=(0, 1))
    maximum = ik.adaptive_max_pool(image, P, axes=(0, 1))
    assert average.shape[:2] == maximum.shape[:2] == (P, P)
    H, W = image.shape[:2]
    for i, j in rng.integers(P, size=(20, 2)):
        window = image[i * H // P : -(-(i + 1) * H // P), j * W // P : -(-(j + 1) * W // P)]
        assert (maximum[i, j] == window.max(axis=(0, 1))).all()
        assert (average[i, j] == np.rint(window.mean(axis=(0, 1)))).all()
    titles = (f"{name}, {H} x {W}", f"averages, {P} x {P}", f"maxima, {P} x {P}")
    for axes, title, picture in zip(column, titles, (image, average, maximum), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
assert (ik.adaptive_max_pool(photographs["camera"], 32) == ik.max_pool(photographs["camera"], 16)).all()

# %%
# Three stages: filters, ReLU, pooling
# ------------------------------------
# A Gabor filter is a wave in a soft window; it answers to stripes that run across the direction of the wave. Eight of
# them, a ReLU (only one sign of the answer counts) and max pooling are a layer like those that networks learn.

ANGLES = np.arange(8) * np.pi / 8
POOL = 8
rows, columns = np.mgrid[-10:11, -10:11]


def gabor(angle, wavelength=10, width=3.5):
    """Return a wave in this direction, in a Gaussian window, that adds up to zero."""
    along = columns * np.cos(angle) + rows * np.sin(angle)
    window = np.exp(-(columns**2 + rows**2) / (2 * width**2))
    wave = np.cos(2 * np.pi * along / wavelength)
    return window * (wave - (window * wave).sum() / window.sum())


filters = np.stack([gabor(angle) for angle in ANGLES])


def layer(image):
    """Return the eight answers, what the ReLU lets through, and its maxima."""
    answers = ik.conv2d(image[None], filters[:, None], padding="same")
    positive = np.maximum(answers, 0)
    return answers, positive, ik.max_pool(positive, POOL)


# %%
# Each filter wins on the stripes that it is made for. On a flat picture all of them are silent. And a picture turned by
# 90 degrees gives the same eight pictures, turned and four places on.

down, across = np.mgrid[:64, :64]
for number, angle in enumerate(ANGLES):
    stripes = np.cos(2 * np.pi * (across * np.cos(angle) + down * np.sin(angle)) / 10)
    assert layer(stripes)[2][:, 2:-2, 2:-2].mean(axis=(1, 2)).argmax() == number
inside = np.s_[:, 10:-10, 10:-10]  # the border of a flat picture is an edge: outside there are zeros
rounding = filters[0].size * np.finfo(float).eps * np.abs(filters).sum(axis=(1, 2)).max()
assert np.abs(layer(np.ones((64, 64)))[0][inside]).max() < rounding

green = skimage.data.retina()[1:-2, 1:-2, 1] / 255.0
eye = -ik.avg_pool(green, 2)  # the vessels are dark, and the surroundings 0, as outside
answers, positive, pooled = layer(eye)
turned = layer(np.rot90(eye))[2]
assert np.abs(np.roll(np.rot90(pooled, axes=(1, 2)), 4, axis=0) - turned).max() < 2 * rounding

part, part_of_maxima = np.s_[160:544, 56:440], np.s_[20:68, 7:55]
hues = plt.colormaps["hsv"](np.arange(8) / 8)[:, :3]


def coloured(channels):
    """Give the colour of the filter that answers most, as bright as it answers."""
    strength = channels.max(axis=0)
    brightness = np.clip(strength / np.quantile(strength, 0.97), 0, 1) ** 0.7
    return hues[channels.argmax(axis=0)] * brightness[..., None]


figure = plt.figure(figsize=(13, 6.6), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1, 3])
for axes, kernel, hue, angle in zip(above.subplots(1, 8), filters, hues, ANGLES, strict=True):
    axes.imshow(kernel, cmap="gray", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{np.degrees(angle):.1f}\N{DEGREE SIGN}", fontsize=10)
    for spine in axes.spines.values():
        spine.set(color=hue, linewidth=4)
stages = {
    "retina, green, inverted": eye[part],
    "1 and 2: the filters and the ReLU": coloured(positive[(..., *part)]),
    f"3: max pooling {POOL} x {POOL}": coloured(pooled[(..., *part_of_maxima)]),
}
for axes, (title, picture) in zip(below.subplots(1, 3), stages.items(), strict=True):
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    axes.set_title(f"{title}: {picture.shape[0]} x {picture.shape[1]}", fontsize=11)
    axes.set_axis_off()

plt.show()
