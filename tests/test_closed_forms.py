"""Pixels that are 1 with probability p, independently: what means and medians of them are is known in closed form."""

from functools import cache
from math import comb, sqrt

import imkernels as ik
import numpy as np
import pytest

SIDE = 2400
WINDOWS = (SIDE // 3) ** 2  # 3 by 3 windows that share no pixel
SIGMAS = 4.5

probabilities = pytest.mark.parametrize("p", [0.03, 0.2, 0.5, 0.7, 0.95])


@cache
def image(p):
    return np.random.default_rng(int(1000 * p)).random((SIDE, SIDE), np.float32) < p


def binomial(k, p):
    return comb(9, k) * p**k * (1 - p) ** (9 - k)


def assert_share(share, probability):
    """Hold a share of the windows to its probability, unless that is too small for a bell curve."""
    if WINDOWS * probability < 30:
        return
    sigma = sqrt(probability * (1 - probability) / WINDOWS)
    assert abs(share - probability) <= SIGMAS * sigma, f"{share} is {abs(share - probability) / sigma} sigma away"


@probabilities
@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "i4", "f4", "f8"])
def test_medians(p, dtype):
    medians = ik.median_filter(image(p).astype(dtype), 3, stride=3, padding="valid")
    assert medians.size == WINDOWS
    assert_share(np.mean(medians == 1), sum(binomial(k, p) for k in range(5, 10)))


@probabilities
@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "f8"])
def test_means(p, dtype):
    means = ik.box_blur(image(p).astype(dtype), 3, stride=3, padding="valid", dtype=float)
    assert means.size == WINDOWS
    sigma = sqrt(p * (1 - p) / 9)  # of one mean
    assert abs(means.mean() - p) <= SIGMAS * sigma / sqrt(WINDOWS)
    # The variance of the sample variance, from the fourth moment of the binomial distribution.
    fourth = sum(binomial(k, p) * (k / 9 - p) ** 4 for k in range(10))
    assert abs(means.var() - sigma**2) <= SIGMAS * sqrt((fourth - sigma**4) / WINDOWS)


@probabilities
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_sums(p, dtype):
    sums = ik.box_blur(image(p).astype(dtype), 3, stride=3, padding="valid", normalize=False)
    for k in range(10):
        assert_share(np.mean(sums == k), binomial(k, p))


@probabilities
def test_rounded_means(p):
    # An integer mean of zeros and ones is 1 from five ones on, as the median is.
    means = ik.box_blur(image(p).astype(np.uint8), 3, stride=3, padding="valid")
    assert_share(np.mean(means == 1), sum(binomial(k, p) for k in range(5, 10)))


@pytest.mark.parametrize("p", [0.4, 0.5, 0.6])
@pytest.mark.parametrize("dtypes", [("u1", "u1"), ("f4", "f4")])
def test_correlations(p, dtypes):
    # With the weights 1, 2, 4, ..., 256 every pattern of a window has a number of its own.
    pixels, weights = dtypes
    kernel = 2 ** np.arange(9).reshape(3, 3)
    kernel = kernel.astype(np.int16 if weights == "u1" else weights)
    numbers = ik.correlate(image(p).astype(pixels), kernel, stride=3, padding="valid")
    shares = np.bincount(numbers.ravel().astype(int), minlength=512) / WINDOWS
    for number, share in enumerate(shares):
        ones = number.bit_count()
        assert_share(share, p**ones * (1 - p) ** (9 - ones))
