"""
Backpropagation by hand
=======================

A convolution, a ReLU, a max pooling and a squared error: the smallest network that has everything. On an image of 6x6
whole numbers all of its gradients can be followed with pencil and paper. Here they are calculated from the formulas,
with loops, printed as tables, and compared with this package's functions, and with finite differences.
"""

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
from scipy import signal

x = np.array(
    [
        [0, 4, 3, 4, 4, 0],
        [2, 2, 2, 2, 0, 1],
        [3, 3, 1, 3, 0, 4],
        [1, 1, 4, 4, 4, 0],
        [3, 2, 3, 0, 4, 2],
        [1, 1, 0, 2, 4, 1],
    ],
    float,
)
w = np.array([[-1, 0, 1], [-2, 1, 2], [-1, 0, 1]], float)
target = np.array([[2, 1], [5, 8]], float)


def table(title, values):
    """Print a matrix of whole numbers."""
    print(title)
    for row in np.asarray(values):
        print("  ", *(f"{value:4.0f}" for value in row))


# %%
# Forward
# -------
# .. math::
#    h_{i,j} = \sum_{k,l} w_{k,l} \, x_{i+k,\,j+l}, \qquad r = \max(h, 0), \qquad
#    p_{a,b} = \max_{(i,j) \in \text{window}(a,b)} r_{i,j}, \qquad
#    L = \tfrac12 \sum_{a,b} (p_{a,b} - t_{a,b})^2


def forward(x, w):
    """Return what every layer makes of the image."""
    h = ik.conv2d(x[None], w[None, None])[0]
    r = np.maximum(h, 0)
    p, argmax = ik.max_pool_with_argmax(r, 2)
    return h, r, p, argmax


def loss(x, w):
    """Return half of the squared error."""
    return 0.5 * ((forward(x, w)[2] - target) ** 2).sum()


h, r, p, argmax = forward(x, w)
table("h, the image correlated with the filter:", h)
table("r, without the negative ones:", r)
table("p, the maxima of 2x2:", p)
table("where they are in r (row * 4 + column):", argmax)
table("t, what they ought to be:", target)
print("L =", loss(x, w))

# %%
# Backward through the pooling
# ----------------------------
# The derivative of L for p is p - t. A maximum does not notice small changes of the other values, so all of it goes to
# the pixel that *was* the maximum, and the others get nothing. The ReLU lets through what was positive. In the window
# on the upper right nothing was: four zeros, of which the first counts as the maximum, and there the way ends.

grad_p = p - target
grad_r = np.zeros_like(r)
for a in range(2):
    for b in range(2):
        window = [(i, j) for i in (2 * a, 2 * a + 1) for j in (2 * b, 2 * b + 1)]
        grad_r[max(window, key=lambda place: r[place])] += grad_p[a, b]
grad_h = np.where(h > 0, grad_r, 0)

table("dL/dp:", grad_p)
table("dL/dr, each at the pixel that was the maximum:", grad_r)
table("dL/dh, where it was positive:", grad_h)
assert (ik.max_pool_backward(grad_p, argmax, r.shape) == grad_r).all()

# %%
# The gradient of the filter
# --------------------------
# The weight w[k, l] has touched every pixel x[i + k, j + l] on its way to h[i, j], so
#
# .. math:: \frac{\partial L}{\partial w_{k,l}} = \sum_{i,j} \frac{\partial L}{\partial h_{i,j}} \, x_{i+k,\,j+l}
#
# which is a correlation again: of the image with the gradient.

grad_w = np.zeros_like(w)
for k in range(3):
    for m in range(3):
        for i in range(4):
            for j in range(4):
                grad_w[k, m] += grad_h[i, j] * x[i + k, j + m]

table("dL/dw:", grad_w)
assert (ik.conv2d_backward_weight(grad_h[None], x[None], (1, 1, 3, 3))[0, 0] == grad_w).all()
assert (signal.correlate2d(x, grad_h, mode="valid") == grad_w).all()

# %%
# The gradient of the image
# -------------------------
# The pixel x[m, n] has gone to h[m - k, n - l] with the weight w[k, l], wherever that exists:
#
# .. math:: \frac{\partial L}{\partial x_{m,n}} = \sum_{k,l} w_{k,l} \, \frac{\partial L}{\partial h_{m-k,\,n-l}}
#
# Now it is a convolution in the proper sense, with the minus signs, over everything where the two meet ("full").

grad_x = np.zeros_like(x)
for i in range(4):
    for j in range(4):
        grad_x[i : i + 3, j : j + 3] += w * grad_h[i, j]

table("dL/dx:", grad_x)
assert (ik.conv2d_backward_input(grad_h[None], w[None, None], (1, 6, 6))[0] == grad_x).all()
assert (signal.convolve2d(grad_h, w, mode="full") == grad_x).all()

# %%
# Finite differences
# ------------------
# The loss is made of pieces of parabolas, and for those the central difference is not an approximation: as long as no
# maximum changes its place and nothing passes zero, it differs from the derivative by rounding alone, about
# eps * L / step.

STEP = 2.0**-10
tolerance = 100 * np.finfo(float).eps * loss(x, w) / STEP


def slopes(loss_of, values):
    """Change one element at a time, up and down."""
    result = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        there = np.zeros_like(values)
        there[place] = STEP
        result[place] = (loss_of(values + there) - loss_of(values - there)) / (2 * STEP)
    return result


assert abs(slopes(lambda weights: loss(x, weights), w) - grad_w).max() < tolerance
at_maxima = slopes(lambda image: loss(image, w), x)
assert abs(at_maxima - grad_x).max() < tolerance

# %%
# The figure
# ----------
# Forward above, backward below, in the same places. The frames are the maxima: the only way back.


def draw(axes, values, title, framed=()):
    """Show a matrix as coloured cells with their numbers."""
    limit = np.abs(values).max()
    axes.imshow(values, cmap="RdBu_r", vmin=-1.6 * limit, vmax=1.6 * limit, interpolation="nearest")
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=10)
    for i, j in framed:
        axes.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2.5))
    axes.set_title(title, fontsize=11)
    axes.set(xticks=[], yticks=[])


maxima = list(zip(*np.unravel_index(argmax.ravel(), r.shape), strict=True))
panels = (
    (("x: image", x, ()), ("w: filter", w, ()), ("h = x correlated with w", h, ())),
    (("dL/dx", grad_x, ()), ("dL/dw", grad_w, ()), ("dL/dh", grad_h, maxima)),
)
ends = (
    (("r = max(h, 0)", r, maxima), ("p = maxima", p, ())),
    (("dL/dr", grad_r, maxima), ("dL/dp = p - t", grad_p, ())),
)
figure, grid = plt.subplots(2, 5, figsize=(11.5, 6.6), width_ratios=[6, 3, 4, 4, 2], layout="constrained")
for row, before, after in zip(grid, panels, ends, strict=True):
    for axes, panel in zip(row, before + after, strict=True):
        draw(axes, panel[1], panel[0], panel[2])
grid[0, 0].set_ylabel("forward", fontsize=13)
grid[1, 0].set_ylabel("backward", fontsize=13)

plt.show()
