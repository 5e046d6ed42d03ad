"""
Edges: what a convolution sees
==============================

A kernel of two columns, -1 and +1, answers to vertical edges; that is the smallest useful convolution. This example
looks at a few of its kin on photographs, then at colour and strides, at the difference between correlation and
convolution, and at what a convolution respects: it commutes with shifts of the image, but not with rotation or
enlargement.
"""

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
import skimage
from scipy import signal

camera = skimage.data.camera()

# %%
# Vertical edge detectors
# -----------------------
# With two columns, an edge answers in one place; with a column of zeros between them, in two, and the slope is taken
# over two pixels instead of one. The height of the kernel is a length of edges: it adds up the contrast of so many
# rows, so that edges at least as long give their contrast times the height, and shorter ones, and noise, less.


def two_columns(height):
    """Return a kernel: brighter on the right is positive, darker is negative."""
    return np.tile(np.array([-1, 1], np.int8), (height, 1))


def three_columns(height):
    """Return the same with a gap."""
    return np.tile(np.array([-1, 0, 1], np.int8), (height, 1))


contrast = 100
for length in range(1, 13):
    bar = np.zeros((24, 9), np.uint8)
    bar[6 : 6 + length, 4:] = contrast
    for height in (1, 3, 5, 9):
        two = ik.correlate(bar, two_columns(height), mode="constant")
        three = ik.correlate(bar, three_columns(height), mode="constant")
        assert two.max() == three.max() == contrast * min(length, height)
        assert np.count_nonzero(two[:, :6].any(axis=0)) == 1  # columns that answer, without the border's
        assert np.count_nonzero(three[:, :6].any(axis=0)) == 2

part = np.s_[150:400, 200:450]
detectors = {
    "two columns, height 1": two_columns(1),
    "three columns, height 3": three_columns(3),
    "three columns, height 15": three_columns(15),
}
figure, grid = plt.subplots(1, 4, figsize=(13, 3.7), layout="constrained")
grid[0].imshow(camera[part], cmap="gray", interpolation="nearest")
grid[0].set_title("photograph")
for axes, (title, kernel) in zip(grid[1:], detectors.items(), strict=True):
    answer = ik.correlate(camera, kernel) / len(kernel)  # grey levels of contrast
    picture = axes.imshow(answer[part], cmap="RdBu_r", vmin=-150, vmax=150, interpolation="nearest")
    axes.set_title(title)
for axes in grid:
    axes.set_axis_off()
bar = figure.colorbar(picture, ax=grid, shrink=0.9, pad=0.01)
bar.set_label("right minus left, mean over the rows,\nin grey levels")

# %%
# Colour and strides
# ------------------
# A colour image has a third axis, and so has its kernel: the products are summed over rows, columns *and* channels,
# into one number. This kernel finds the places where red grows to the right and blue falls. With a stride s only every
# s-th place is computed, and of an image H x W a kernel h x w leaves floor(1 + (H - h) / s) x floor(1 + (W - w) / s)
# numbers.

coffee = skimage.data.coffee()
channels = np.moveaxis(coffee, 2, 0)
kernel = np.stack([three_columns(5), 0 * three_columns(5), -three_columns(5)])
answers = {}
for stride in (1, 2, 4, 7):
    answer = ik.conv2d(channels, kernel[None], stride=stride)
    height, width = channels.shape[1:]
    assert answer.shape == (1, 1 + (height - 5) // stride, 1 + (width - 3) // stride)
    by_channel = [ik.correlate(c, k, stride=stride, padding="valid") for c, k in zip(channels, kernel, strict=True)]
    assert (answer[0] == sum(by_channel)).all()
    answers[stride] = answer[0]
    assert (answer[0] == answers[1][::stride, ::stride]).all()

figure, grid = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
grid[0].imshow(coffee, interpolation="nearest")
grid[0].set_title(f"photograph: {channels.shape[1]} x {channels.shape[2]}, 3 channels")
for axes, stride in zip(grid[1:], (1, 7), strict=True):
    shown = axes.imshow(answers[stride] / 5, cmap="PuOr_r", vmin=-150, vmax=150, interpolation="nearest")
    axes.set_title(f"red minus blue edges, stride {stride}: {answers[stride].shape[0]} x {answers[stride].shape[1]}")
for axes in grid:
    axes.set_axis_off()
bar = figure.colorbar(shown, ax=grid, pad=0.01)
bar.set_label("mean over the rows,\nin grey levels")

# %%
# Correlation and convolution
# ---------------------------
# A correlation lays the kernel on the image as it is; a convolution turns it round first, by 180 degrees. A single
# white pixel shows it: the convolution answers with the kernel, the correlation with the kernel turned round. For an
# edge detector that is a change of sign. Only the convolution is commutative and associative, which is what makes it
# the one for calculations; neural networks learn their kernels anyway, and so their "convolution" (``conv2d``) is a
# correlation.

asymmetric = np.arange(1, 10).reshape(3, 3)
dot = np.zeros((5, 5), int)
dot[2, 2] = 1
assert (ik.convolve(dot, asymmetric)[1:4, 1:4] == asymmetric).all()
assert (ik.correlate(dot, asymmetric)[1:4, 1:4] == asymmetric[::-1, ::-1]).all()
assert (ik.convolve(camera, three_columns(3)) == -ik.correlate(camera, three_columns(3))).all()

grey = camera.astype(int)
full = signal.convolve2d(grey, asymmetric, mode="valid")
assert (ik.convolve(grey, asymmetric, padding="valid") == full).all()
assert (ik.correlate(grey, asymmetric, padding="valid") == signal.correlate2d(grey, asymmetric, mode="valid")).all()
twice = ik.convolve(ik.convolve(grey, asymmetric, mode="wrap"), three_columns(3), mode="wrap")
other_order = ik.convolve(ik.convolve(grey, three_columns(3), mode="wrap"), asymmetric, mode="wrap")
at_once = ik.convolve(grey, signal.convolve2d(asymmetric, three_columns(3)), mode="wrap")
assert (twice == other_order).all()
assert (twice == at_once).all()

# %%
# What it respects
# ----------------
# Shift the image, and the answer shifts with it: that is called equivariance, and it is exact (here on a photograph
# without borders, ``mode="wrap"``). Turn or enlarge the image, and the answer is another one: vertical edges become
# horizontal, and steep ones soft. Turning the *kernel* with the image brings the rotation back. With a stride, only
# shifts by multiples of the stride are left.


small = ik.avg_pool(camera, 2)


def detect(image, **where):
    """Find vertical edges of an image without borders."""
    return ik.correlate(image, three_columns(3), mode="wrap", **where)


def shifted(image):
    """Move by 37 rows and 90 columns, which come in again on the other side."""
    return np.roll(image, (37, 90), axis=(-2, -1))


def enlarged(image):
    """Twice as large: every pixel becomes four."""
    return image.repeat(2, axis=0).repeat(2, axis=1)


changes = {"shifted": shifted, "turned by 90 degrees": np.rot90, "enlarged": enlarged}
differences = {}
for name, change in changes.items():
    before, after = detect(change(small)), change(detect(small))
    differences[name] = np.abs(before - after).sum() / np.abs(after).sum()
assert differences["shifted"] == 0
assert differences["turned by 90 degrees"] > 0.5
assert differences["enlarged"] > 0.5
with_turned_kernel = ik.correlate(np.rot90(small), np.rot90(three_columns(3)), mode="wrap")
assert (with_turned_kernel == np.rot90(detect(small))).all()
assert (detect(np.roll(small, 8, axis=1), stride=4) == np.roll(detect(small, stride=4), 2, axis=1)).all()
assert (detect(np.roll(small, 1, axis=1), stride=4) != np.roll(detect(small, stride=4), 0, axis=1)).any()

figure, grid = plt.subplots(3, 4, figsize=(11, 8.9), layout="constrained")
for row, (name, change) in zip(grid, changes.items(), strict=True):
    image, before, after = change(small), detect(change(small)), change(detect(small))
    shown = {"the image": image, "changed, then filtered": before, "filtered, then changed": after}
    for axes, (title, picture) in zip(row, (shown | {"difference": before - after}).items(), strict=True):
        style = {"cmap": "gray"} if title == "the image" else {"cmap": "RdBu_r", "vmin": -250, "vmax": 250}
        axes.imshow(picture, interpolation="nearest", **style)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"difference: {differences[name]:.0%}" if title == "difference" else title, fontsize=10)
    row[0].set_ylabel(name, fontsize=11)

plt.show()
