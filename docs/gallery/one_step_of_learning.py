"""
One step of learning
====================

The smallest convolutional network: one channel, one filter w, and of everything that the filter answers only the
maximum is kept (global max pooling). It begins with a filter that does nothing, a single 1 in the middle, sees one
picture x with a label y, and makes one gradient step. What has it learned? A picture: the filter is now its old self
and a copy of the place that gave the answer.
"""

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
import skimage

# %%
# The calculation
# ---------------
# The network convolves and takes the maximum, and the loss is half of the squared error:
#
# .. math::
#    g(x) = \max_{m,n} \sum_{k,l} w_{k,l} \, x_{m-k,\,n-l}, \qquad L = \tfrac12 (y - g(x))^2 .
#
# With w = delta (1 at the origin and 0 elsewhere) the convolution gives back x, so that g(x) is the brightest pixel, at
# m*, n*. The gradient comes back through that place alone, where the weight w[m, n] has met the pixel x[m* - m, n* -
# n]:
#
# .. math:: \frac{\partial L}{\partial w_{m,n}} = -(y - g(x)) \, x_{m^*-m,\,n^*-n} .
#
# One step of size 1 against the gradient leads to
#
# .. math:: w_{m,n} = \delta_{m,n} + (y - g(x)) \, x_{m^*-m,\,n^*-n} .
#
# The layers of networks are correlations, so ``conv2d`` gets the filter turned round, and its gradient is turned back.

RADIUS = 20
SIDE = 2 * RADIUS + 1
delta = np.zeros((SIDE, SIDE))
delta[RADIUS, RADIUS] = 1


def answer(x, w):
    """Return what the network answers (the largest result of the convolution), where it is, and all results."""
    convolved = ik.conv2d(x[None], w[None, None, ::-1, ::-1], padding="same")[0]
    maximum, argmax = ik.adaptive_max_pool_with_argmax(convolved, 1)
    return maximum[0, 0], argmax, convolved


def gradient(x, w, y):
    """Return the derivative of the loss for the filter."""
    g, argmax, convolved = answer(x, w)
    through_maximum = ik.max_pool_backward(np.array([[g - y]]), argmax, convolved.shape)
    turned = ik.conv2d_backward_weight(through_maximum[None], x[None], (1, 1, SIDE, SIDE), padding="same")
    return turned[0, 0, ::-1, ::-1]


# %%
# One step on photographs
# -----------------------
# Grey levels are divided by 256 and labels are 0 or 1, so that all numbers of the formula are fractions of a power of
# two, and nothing is rounded: formula and network have to agree in the last bit. With the label 1 the step is a small
# one (the answer was nearly 1 already) and *adds* the picture; with the label 0 it takes it away.

photographs = {
    "Camera man": skimage.data.camera(),
    "Hubble deep field": skimage.data.hubble_deep_field()[180:692, 120:632, 2],
    "Coffee": skimage.data.coffee()[:, 100:500, 1],
}


def around(x, row, column):
    """Return the pixels x[row - m, column - n]: the surroundings of a place, turned round, with zeros outside."""
    padded = np.pad(x, RADIUS)
    return padded[row : row + SIDE, column : column + SIDE][::-1, ::-1]


learned = {}
for name, photograph in photographs.items():
    x = photograph / 256
    g, argmax, _ = answer(x, delta)
    row, column = divmod(int(argmax[0, 0]), x.shape[1])
    assert g == x.max() == x[row, column]
    for y in (0, 1):
        w = delta - gradient(x, delta, y)
        assert (w == delta + (y - g) * around(x, row, column)).all()
        learned[name, y] = w
    learned[name] = x, g, (row, column)

# %%
# Turned round once more, as it lies on the image, the filter is the surroundings of the brightest place, dark or
# bright, with the old 1 in the middle.

figure, grid = plt.subplots(3, 4, figsize=(13, 8.6), layout="constrained")
for row, name in zip(grid, photographs, strict=True):
    x, g, place = learned[name]
    row[0].imshow(x, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    corner = place[1] - RADIUS - 0.5, place[0] - RADIUS - 0.5
    row[0].add_patch(plt.Rectangle(corner, SIDE, SIDE, fill=False, edgecolor="orange", linewidth=2))
    row[0].set_title(f"{name}: g = {g:.3f}", fontsize=10)
    titles = ("the surroundings", "change of the filter, y = 0", "change of the filter, y = 1")
    pictures = (around(x, *place), learned[name, 0] - delta, learned[name, 1] - delta)
    for axes, title, picture in zip(row[1:], titles, pictures, strict=True):
        limit = np.abs(picture).max()
        low, cmap = (0, "gray") if axes is row[1] else (-limit, "RdBu_r")
        shown = axes.imshow(picture[::-1, ::-1], cmap=cmap, vmin=low, vmax=limit, interpolation="nearest")
        axes.set_title(title, fontsize=10)
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.04)
    for axes in row:
        axes.set(xticks=[], yticks=[])

# %%
# How long a step?
# ----------------
# At the place that gave the answer, a step of size s changes the result by s (y - g) E, where E is the sum of the
# squares of the surroundings. So the error is multiplied by 1 - s E: for s = 1 / E the answer at that place is exactly
# y, and the step of size 1 was far too long. (The maximum may move to another place on the way; the next step learns
# from there.)

x, g, place = learned["Hubble deep field"]
energy = (around(x, *place) ** 2).sum()
downhill = -gradient(x, delta, 0)
steps = np.linspace(0, 3, 31) / energy
index = place[0] * x.shape[1] + place[1]
at_place, at_maximum = [], []
for step in steps:
    maximum, _, convolved = answer(x, delta + step * downhill)
    at_place.append(convolved.flat[index])
    at_maximum.append(maximum)
# A sum of 1681 products is rounded at most 1681 times, and their magnitudes add up to at most 1 + s E.
rounding = SIDE**2 * np.finfo(float).eps * (1 + steps * energy)
assert (np.abs(at_place - g * (1 - steps * energy)) <= rounding).all()

figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
axes.plot(
    steps * energy, 0.5 * np.array(at_place) ** 2, color="tab:blue", label="loss at the place that gave the answer"
)
axes.plot(
    steps * energy, 0.5 * np.array(at_maximum) ** 2, color="tab:red", label="loss of the network (the new maximum)"
)
axes.axvline(1, color="gray", linestyle=":")
axes.set(xlabel="size of the step, in units of 1 / E", ylabel="loss", ylim=(0, 1), xlim=(0, 3))
axes.set_title("Hubble deep field, y = 0")
axes.legend()

plt.show()
