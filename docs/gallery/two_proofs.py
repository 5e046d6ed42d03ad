r"""
Gradients and an interpolation, proved in code
==============================================

Three statements from lectures on neural networks: the gradient of the norm of a product, the gradients of a classifier
with one hidden layer, and a layer of ReLUs that goes through given points. Each is derived in a few lines and checked
by central differences, which know nothing of the derivation.
"""

from collections.abc import Callable

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

rng = np.random.default_rng(0)
STEP = 1e-5


def central_differences(
    function: Callable[[NDArray[np.float64]], float], at: NDArray[np.float64], step: float = STEP
) -> NDArray[np.float64]:
    """Return the gradient of a function of an array: (f(x + step) - f(x - step)) / (2 step) for every element."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[index] = step
        gradient[index] = (function(at + moved) - function(at - moved)) / (2 * step)
    return gradient


def check(name: str, formula: NDArray[np.float64], numeric: NDArray[np.float64]) -> None:
    """Assert that a formula agrees with central differences."""
    # They are off by step**2 / 6 times the third derivative, some 2e-11, and by the rounding of the terms of f over the
    # step, eps / step = 2e-11 times their size, which is at most some tens here.
    error = np.abs(formula - numeric).max()
    print(f"{name}: {formula.shape}, largest difference {error:.1e}")
    assert error < 1e-8


# %%
# The norm of a product
# ---------------------
# Let :math:`f(X) = \|AX\|_F = \sqrt{\langle AX, AX \rangle}`. A small change of X changes it by
#
# .. math:: df = \frac{\langle AX, A\,dX \rangle}{\|AX\|_F} = \frac{\langle A^T A X, dX \rangle}{\|AX\|_F},
#
# so the gradient, which has the shape of X, is :math:`A^T A X / \|AX\|_F`. The same is often printed as
# :math:`X^T A^T A / \|AX\|_F`: that is its transpose, the derivative in the layout of a Jacobian, where df is the trace
# of the derivative times dX. With X of shape (3, 5) only one of the two can be subtracted from X.

A, X = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))


def norm_of_product(X: NDArray[np.float64]) -> float:
    """Return the Frobenius norm of A X."""
    return float(np.linalg.norm(A @ X))


gradient = A.T @ A @ X / norm_of_product(X)
printed = X.T @ A.T @ A / norm_of_product(X)
assert gradient.shape == X.shape
assert printed.shape == X.shape[::-1]
np.testing.assert_allclose(printed, gradient.T, rtol=1e-13)  # three products of up to 5 terms
check("norm of A X", gradient, central_differences(norm_of_product, X))

# %%
# A convolution is linear in its image, so it has a matrix A, too, if one that nobody writes down: ``conv2d`` is A, and
# ``conv2d_backward_input`` is its transpose.

image = rng.normal(size=(1, 6, 7))
weight = rng.normal(size=(2, 1, 3, 3))


def norm_of_convolution(image: NDArray[np.float64]) -> float:
    """Return the norm of a convolved image."""
    return float(np.linalg.norm(ik.conv2d(image, weight, padding=1)))


product = ik.conv2d(image, weight, padding=1)
gradient = ik.conv2d_backward_input(product, weight, image.shape, padding=1) / np.linalg.norm(product)
check("norm of a convolved image", gradient, central_differences(norm_of_convolution, image))

# %%
# A classifier with one hidden layer
# ----------------------------------
# For an input x of d numbers, with :math:`z_1 = W_1^T x + b_1`, :math:`h = \mathrm{relu}(z_1)`,
# :math:`z_2 = w_2^T h + b_2` and the answer :math:`g = 1 / (1 + e^{-z_2})`, the loss is the binary cross entropy
# :math:`L = -y \log g - (1 - y) \log(1 - g)`. Since :math:`g' = g (1 - g)`,
#
# .. math:: \frac{\partial L}{\partial z_2} = -\frac{y}{g} g(1 - g) + \frac{1 - y}{1 - g} g(1 - g) = g - y,
#
# and the chain rule takes that back through :math:`w_2`, the ReLU, whose derivative is 1 where :math:`z_1 > 0` and else
# 0, and :math:`W_1`:
#
# .. math:: \frac{\partial L}{\partial W_1} = (g - y)\, x\, \bigl(w_2 \odot \mathrm{relu}'(z_1)\bigr)^T,
#
# of shape (d, h) as :math:`W_1` is. Read with :math:`\mathrm{relu}'(z_1)` as a diagonal matrix, this is
# :math:`(g - y)\, x\, w_2^T \mathrm{relu}'(z_1)`; where weights have a row per unit it is the transpose.

x, y = rng.normal(size=4), 1.0
parameters = {
    "W1": rng.normal(size=(4, 6)),
    "b1": rng.normal(size=6),
    "w2": rng.normal(size=6),
    "b2": rng.normal(size=1),
}


def loss(W1: NDArray[np.float64], b1: NDArray[np.float64], w2: NDArray[np.float64], b2: NDArray[np.float64]) -> float:
    """Return the cross entropy of the label y of x."""
    g = 1 / (1 + np.exp(-(np.maximum(W1.T @ x + b1, 0) @ w2 + b2)))
    return float((-y * np.log(g) - (1 - y) * np.log(1 - g))[0])


z1 = parameters["W1"].T @ x + parameters["b1"]
g = 1 / (1 + np.exp(-(np.maximum(z1, 0) @ parameters["w2"] + parameters["b2"])))
hidden = (g - y) * parameters["w2"] * (z1 > 0)
gradients = {"W1": np.outer(x, hidden), "b1": hidden, "w2": (g - y) * np.maximum(z1, 0), "b2": g - y}
np.testing.assert_allclose(
    gradients["W1"], (g - y) * x[:, None] @ parameters["w2"][None] @ np.diag(np.where(z1 > 0, 1.0, 0.0)), rtol=1e-14
)
assert np.abs(z1).min() > 100 * STEP  # so no difference reaches over the kink of a ReLU
assert 0 < (z1 > 0).sum() < z1.size  # and both sides of it are seen
for name, formula in gradients.items():
    check(name, formula, central_differences(lambda value, n=name: loss(**(parameters | {n: value})), parameters[name]))

# %%
# n points, n - 1 ReLUs
# ---------------------
# Sort the points by x, and let unit i begin at point i:
#
# .. math:: f(x) = c + \sum_{i=1}^{n-1} a_i\,\mathrm{relu}(x - x_i).
#
# To the left of :math:`x_2` only the first unit is awake, so :math:`c = y_1` and :math:`a_1` is the slope from the
# first point to the second; each unit after it turns the line to the slope that leads to the next point,
#
# .. math:: a_i = s_i - s_{i-1}, \qquad s_i = \frac{y_{i+1} - y_i}{x_{i+1} - x_i}.
#
# In other words: the matrix of the units at the points, with a column of ones for c, is lower triangular with
# :math:`x_{i+1} - x_i > 0` on its diagonal, so there is one solution and no other.

points_x = np.array([0.0, 1, 3, 4, 6, 7, 9, 10, 12])
points_y = np.array([1.0, 4, 2, 5, 5, 0, 2, 6, 3])


def layer(x: NDArray[np.float64], c: float, a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return f at some places, one ReLU for all but the last point."""
    return c + np.maximum(x[:, None] - points_x[:-1], 0) @ a


slopes = np.diff(points_y) / np.diff(points_x)
c, a = points_y[0], np.diff(slopes, prepend=0)
assert a.size == points_x.size - 1
# Slopes are multiples of 1/2 here, so nothing is rounded and "exactly" can be taken at its word.
np.testing.assert_array_equal(layer(points_x, c, a), points_y)

units = np.column_stack([np.ones_like(points_x), np.maximum(points_x[:, None] - points_x[:-1], 0)])
np.testing.assert_array_equal(np.triu(units, 1), 0)
np.testing.assert_array_equal(np.diag(units)[1:], np.diff(points_x))

# Central differences of f in the middle between points are the slopes, for f is straight there.
middles = (points_x[1:] + points_x[:-1]) / 2
numeric = (layer(middles + STEP, c, a) - layer(middles - STEP, c, a)) / (2 * STEP)
check("slopes", slopes, numeric)

# The sum of squared errors is zero, so it has no slope in any weight: gradient descent would stay here.


def squared_error(weights: NDArray[np.float64]) -> float:
    """Return the error of a layer whose first weight is c."""
    return float(((layer(points_x, weights[0], weights[1:]) - points_y) ** 2).sum())


numeric = central_differences(squared_error, np.array([c, *a]))
check("squared error", np.zeros(points_x.size), numeric)

# %%
# How far apart formula and differences are depends on the step: at large steps the error is that of the method, and
# falls with the square of the step; at small ones it is that of rounding, and grows as the step shrinks. The best step
# is near the cube root of the machine epsilon, :math:`6 \cdot 10^{-6}`.

steps = np.logspace(-11, 0, 34)
gradient = A.T @ A @ X / norm_of_product(X)
errors = np.array([np.abs(central_differences(norm_of_product, X, step) - gradient).max() for step in steps])
large = (steps > 1e-3) & (steps < 1e-1)
order = np.polyfit(np.log(steps[large]), np.log(errors[large]), 1)[0]
print(f"the error falls as step ** {order:.3f}")
assert abs(order - 2) < 0.05  # the next term of the series is step**2 = 1 % of the first at the last of these
assert 1e-7 < steps[errors.argmin()] < 1e-3

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.loglog(steps, errors, "o-", markersize=3.5, label="measured")
left.loglog(steps[19:], 0.1 * steps[19:] ** 2, "k--", label="∝ step²")
left.loglog(steps[:19], 1e-15 / steps[:19], "k:", label="∝ 1 / step")
left.set(xlabel="step", ylabel="largest error", title="Central differences of ‖AX‖ against AᵀAX / ‖AX‖")
left.legend()
fine = np.linspace(-0.8, 12.8, 500)
for start, slope in zip(points_x, a, strict=False):
    right.plot(fine, slope * np.maximum(fine - start, 0), color="tab:blue", linewidth=0.9, alpha=0.6)
right.plot([], [], color="tab:blue", linewidth=0.9, label="the 8 units, each times its weight")
right.plot(fine, layer(fine, c, a), color="tab:red", linewidth=2, label="their sum and c")
right.plot(points_x, points_y, "ko", label="9 points")
right.set(ylim=(-9, 9), xlabel="x", ylabel="y", title="n - 1 ReLUs through n points")
right.legend(loc="lower left", fontsize="small")
plt.show()
