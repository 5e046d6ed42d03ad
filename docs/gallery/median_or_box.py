"""
Median or box?
==============

Two ways to clean a noisy photograph: the box blur replaces every pixel by the mean of a window around it, the median
filter by the middle one of the window's sorted values. Which is better depends on the noise. Salt and pepper (pixels
that are lost, black or white) calls for the median; Gaussian noise (every pixel a little off) for the mean, once the
noise is strong enough to be worse than the blur. And edges survive the one and not the other.
"""

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
import skimage

photograph = skimage.data.camera()
rng = np.random.default_rng(7)


def salt_and_pepper(image, p):
    """Turn a share p of the pixels black or white."""
    chance = rng.random(image.shape)
    return np.where(chance < p / 2, 0, np.where(chance < p, 255, image)).astype(np.uint8)


def gaussian(image, p):
    """Add noise with a standard deviation of p times the range of grey levels."""
    return (image + rng.normal(0, 255 * p, image.shape)).astype(np.float32)


def psnr(image):
    """Peak signal-to-noise ratio in dB: the higher, the nearer to the photograph."""
    error = np.mean((image.astype(float) - photograph) ** 2)
    return 10 * np.log10(255**2 / error)


# %%
# Side by side
# ------------
# The median of 3x3 pixels removes salt and pepper almost without a trace; the box smears every grain over nine pixels.
# With Gaussian noise the two look alike, and the box is a little nearer to the truth.

filters = {
    "Median 3x3": (ik.median_filter, 3),
    "Box 3x3": (ik.box_blur, 3),
    "Median 5x5": (ik.median_filter, 5),
    "Box 5x5": (ik.box_blur, 5),
}
noisy = {"Salt and pepper, p = 0.1": salt_and_pepper(photograph, 0.1), "Gaussian, p = 0.1": gaussian(photograph, 0.1)}
face = np.s_[60:190, 180:310]

figure, grid = plt.subplots(2, 5, figsize=(13, 6.1), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
for row, (noise, image) in zip(grid, noisy.items(), strict=True):
    pictures = {noise: image} | {title: function(image, size) for title, (function, size) in filters.items()}
    for axes, (title, picture) in zip(row, pictures.items(), strict=True):
        axes.imshow(picture[face], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(f"{title}\n{psnr(picture):.1f} dB", fontsize=11)
        axes.set_axis_off()

# %%
# Over the noise level
# --------------------
# For salt and pepper the median is ahead of the box of its size at every level. Once a window has more grains of one
# colour than it has other pixels, the median is lost as well, and the larger window holds out longer: from about p =
# 0.2 on, 5x5 is better than 3x3. For Gaussian noise the small median wins while the noise is weak, because it keeps the
# edges, and the box as soon as there is more noise to average than there are edges to blur. (Below p = 0.03 the noise
# does less harm than any of the filters.)

levels = np.linspace(0, 0.5, 26)
curves = {}
for noise in (salt_and_pepper, gaussian):
    images = [noise(photograph, p) for p in levels]
    curves[noise] = {name: [psnr(f(image, size)) for image in images] for name, (f, size) in filters.items()}
    curves[noise]["No filter"] = [np.nan] + [psnr(image) for image in images[1:]]  # without noise it is infinite

figure, grid = plt.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
titles = ("Salt and pepper: the median wins", "Gaussian: the box wins in the end")
labels = ("share p of pixels that are lost", "standard deviation p, as a share of the range")
styles = {
    "Median 3x3": {"color": "tab:red"},
    "Median 5x5": {"color": "tab:red", "linestyle": "--"},
    "Box 3x3": {"color": "tab:blue"},
    "Box 5x5": {"color": "tab:blue", "linestyle": "--"},
    "No filter": {"color": "black", "linestyle": ":"},
}
for axes, noise, title, label in zip(grid, curves, titles, labels, strict=True):
    for name, style in styles.items():
        axes.plot(levels, curves[noise][name], **style, label=name)
    best = np.max([curves[noise][name] for name in filters], axis=0)
    axes.plot(levels, best, color="gold", linewidth=9, alpha=0.6, zorder=0, label="the best filter")
    axes.set(title=title, xlabel=label, ylim=(5, 35))
    axes.grid(alpha=0.3)
grid[0].set_ylabel("PSNR, dB")
grid[1].legend(loc="upper right")

seen = {noise: {name: np.array(values) for name, values in of.items()} for noise, of in curves.items()}
for size in ("3x3", "5x5"):
    assert (seen[salt_and_pepper][f"Median {size}"] > seen[salt_and_pepper][f"Box {size}"]).all()
    ahead = seen[gaussian][f"Median {size}"] > seen[gaussian][f"Box {size}"]
    assert ahead[0]
    assert not ahead[levels >= 0.2].any()
    assert np.count_nonzero(np.diff(ahead)) == 1  # they change places once
assert (
    seen[gaussian]["No filter"][1] > [values[1] for name, values in seen[gaussian].items() if name in filters]
).all()
larger_is_better = seen[salt_and_pepper]["Median 5x5"] > seen[salt_and_pepper]["Median 3x3"]
assert not larger_is_better[levels < 0.15].any()
assert larger_is_better[levels > 0.25].all()

# %%
# Two of these errors can be calculated. A pixel of value x that becomes black or white has an error of x² or
# (255 - x)², so that the mean squared error of the unfiltered image is p/2 times the mean of the sum of both.
# And a box over K x K pixels leaves of Gaussian noise one K²-th of the variance, besides the blur that it does
# to any image. What is measured may be off by chance: four standard deviations are allowed, which is one false alarm
# in 16,000.

clean = photograph.astype(float)
losses = (clean**2 + (255 - clean) ** 2) / 2
for p in (0.1, 0.5):
    errors = (salt_and_pepper(photograph, p) - clean) ** 2
    variance = p * np.mean(clean**4 + (255 - clean) ** 4) / 2 - p**2 * np.mean(losses**2)
    assert abs(errors.mean() - p * losses.mean()) < 4 * (variance / errors.size) ** 0.5

sigma = 255 * 0.1
for size in (3, 5):
    inside = np.s_[size // 2 : -(size // 2), size // 2 : -(size // 2)]
    blur = ik.box_blur(clean, size, padding="valid") - clean[inside]
    errors = (ik.box_blur(clean + rng.normal(0, sigma, clean.shape), size, padding="valid") - clean[inside]) ** 2
    # Means that overlap are not independent: there are as many as there are windows side by side, or more.
    of_noise = sigma**2 / size**2 * (2 * size**2 / errors.size) ** 0.5
    of_both = 2 * sigma * (np.mean(blur**2) / errors.size) ** 0.5
    assert abs(errors.mean() - np.mean(blur**2) - sigma**2 / size**2) < 4 * (of_noise + of_both)

# %%
# Edges
# -----
# Across an ideal edge the 5x5 box makes a ramp of five steps; the median leaves it exactly as it is, as on either side
# the majority of the window's pixels is on that side. The same rule of the majority costs the median fine lines (a line
# of one pixel is 3 of 9 in a 3x3 window, 5 of 25 in one of 5x5) and rounds corners off.

step = np.zeros((9, 12), np.uint8)
step[:, 6:] = 200
assert (ik.median_filter(step, 5) == step).all()
assert ik.box_blur(step, 5)[4].tolist() == [0, 0, 0, 0, 40, 80, 120, 160, 200, 200, 200, 200]
line = np.zeros((9, 12), np.uint8)
line[:, 6] = 200
assert (ik.median_filter(line, 3) == 0).all()

row, columns = 155, slice(51, 81)
around = np.s_[row - 15 : row + 15, columns]
pictures = {
    "Photograph": photograph,
    "Median 5x5": ik.median_filter(photograph, 5),
    "Box 5x5": ik.box_blur(photograph, 5),
}
figure, grid = plt.subplot_mosaic(
    [[*pictures, "profile"]], figsize=(13, 3.6), width_ratios=[1, 1, 1, 1.7], layout="constrained"
)
places = np.arange(columns.start, columns.stop)
for (title, picture), colour in zip(pictures.items(), ("black", "tab:red", "tab:blue"), strict=True):
    grid[title].imshow(picture[around], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    grid[title].axhline(15, color="orange", linewidth=1)
    grid[title].set_title(title)
    grid[title].set_axis_off()
    grid["profile"].step(places, picture[row, columns], color=colour, where="mid", label=title)
grid["profile"].set(title="Along the orange line", xlabel="column", ylabel="grey level")
grid["profile"].legend()

plt.show()
