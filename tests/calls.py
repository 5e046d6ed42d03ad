"""One call of every public function, on images large enough to be shared out among threads."""

import imkernels as ik
import numpy as np
from imkernels import _core

from tests.cases import random_image

DTYPES = ["u1", "i8", "f4", "f8"]


def every_call(dtype="f4"):
    """Return {name: call}: `call(workers)` gives the tuple of the function's results for images of `dtype`.

    Gradients of convolutions and averages are floats whatever the images are.
    """
    return {**_order_calls(dtype), **_linear_calls(dtype), **_pooling_calls(dtype), **_learned_calls(dtype)}


def _image(dtype):
    return random_image(np.random.default_rng(20), (3, 230, 331), dtype)


def _order_calls(dtype):
    image = _image(dtype)
    part = image[:, :70, :90]
    return {
        "median_filter": lambda workers: (
            ik.median_filter(part, (3, 4), mode="mirror", workers=workers),
            ik.median_filter(image, 7, mode="wrap", workers=workers),
        ),
        "rank_filter": lambda workers: (ik.rank_filter(image, -3, (4, 3), mode="wrap", workers=workers),),
        "percentile_filter": lambda workers: (ik.percentile_filter(image, 30, 5, stride=2, workers=workers),),
        "minimum_filter": lambda workers: (ik.minimum_filter(image, (3, 7), mode="nearest", workers=workers),),
        "maximum_filter": lambda workers: (ik.maximum_filter(image, (40, 4), origin=(1, -2), workers=workers),),
    }


def _linear_calls(dtype):
    image = _image(dtype)
    kind = "f4" if image.dtype.kind == "f" else "i1"
    kernel = random_image(np.random.default_rng(21), (3, 4), kind)
    sums = {"dtype": _sum(dtype)}
    return {
        "box_blur": lambda workers: (ik.box_blur(image, (5, 9), mode="wrap", workers=workers),),
        "correlate": lambda workers: (ik.correlate(image, kernel, dilation=2, workers=workers, **sums),),
        "convolve": lambda workers: (ik.convolve(image, np.tile(kernel, 2), stride=(1, 2), workers=workers, **sums),),
        "correlate_separable": lambda workers: (
            ik.correlate_separable(image, kernel[:, 0], kernel[0], mode="constant", cval=1, workers=workers, **sums),
        ),
        "gaussian_filter": lambda workers: (ik.gaussian_filter(image, (1.5, 0.7), workers=workers),),
    }


def _pooling_calls(dtype):
    image = _image(dtype)
    argmax = ik.max_pool_with_argmax(image, 3, stride=(2, 1), padding=1, workers=1)[1]
    grad = random_image(np.random.default_rng(22), argmax.shape, dtype)
    shares = _gradient(dtype, (3, 115, 110))
    return {
        "max_pool": lambda workers: (ik.max_pool(image, (2, 3), padding=1, workers=workers),),
        "max_pool_with_argmax": lambda workers: ik.max_pool_with_argmax(image, 3, padding=1, stride=1, workers=workers),
        "max_pool_backward": lambda workers: (ik.max_pool_backward(grad, argmax, (230, 331), workers=workers),),
        "max_unpool": lambda workers: (ik.max_unpool(grad, argmax, (230, 331), workers=workers),),
        "avg_pool": lambda workers: (ik.avg_pool(image, (2, 3), ceil_mode=True, padding=1, workers=workers),),
        "avg_pool_backward": lambda workers: (
            ik.avg_pool_backward(shares, (230, 331), 3, stride=(2, 3), padding=(1, 0), workers=workers),
        ),
        "adaptive_max_pool": lambda workers: (ik.adaptive_max_pool(image, (50, None), workers=workers),),
        "adaptive_max_pool_with_argmax": lambda workers: ik.adaptive_max_pool_with_argmax(image, 70, workers=workers),
        "adaptive_avg_pool": lambda workers: (ik.adaptive_avg_pool(image, (115, 110), workers=workers),),
        "adaptive_avg_pool_backward": lambda workers: (
            ik.adaptive_avg_pool_backward(shares, (230, 331), workers=workers),
        ),
    }


def _learned_calls(dtype):
    x = _image(dtype)[None].repeat(2, 0)
    kind = "f4" if x.dtype.kind == "f" else "i1"
    weight = random_image(np.random.default_rng(23), (5, 3, 3, 2), kind)
    way = {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}
    shape = ik.conv2d(x.astype("f4"), weight.astype("f4"), workers=1, **way).shape
    grad = _gradient(dtype, shape)
    sums = {"dtype": _sum(dtype)}
    return {
        "conv2d": lambda workers: (ik.conv2d(x, weight, workers=workers, **way, **sums),),
        "conv2d_backward_input": lambda workers: (
            ik.conv2d_backward_input(grad, weight.astype("f4"), x.shape, workers=workers, **way),
        ),
        "conv2d_backward_weight": lambda workers: (
            ik.conv2d_backward_weight(grad, x, weight.shape, workers=workers, **way),
        ),
        "conv_transpose2d": lambda workers: (
            ik.conv_transpose2d(x[:1], weight[:3], stride=2, output_padding=1, workers=workers, **sums),
        ),
    }


def small_calls():
    """Return {name: arguments by name} of a call of every public function on a few pixels."""

    def ones(*shape):
        return np.ones(shape, np.float32)

    image, nowhere = {"image": ones(6, 7)}, np.zeros((3, 3), int)
    window = {**image, "size": 3}
    kernel = {**image, "kernel": ones(3, 3)}
    layer = {"x": ones(2, 6, 7), "weight": ones(2, 2, 3, 3)}
    return {
        "median_filter": window,
        "rank_filter": {**window, "rank": 0},
        "percentile_filter": {**window, "percentile": 50},
        "minimum_filter": window,
        "maximum_filter": window,
        "box_blur": window,
        "correlate": kernel,
        "convolve": kernel,
        "correlate_separable": {**image, "column": ones(3), "row": ones(3)},
        "gaussian_filter": {**image, "sigma": 0.5},
        "max_pool": window,
        "max_pool_with_argmax": window,
        "max_pool_backward": {"grad": ones(3, 3), "argmax": nowhere, "shape": (6, 7)},
        "max_unpool": {"values": ones(3, 3), "argmax": nowhere, "shape": (6, 7)},
        "avg_pool": window,
        "avg_pool_backward": {"grad": ones(2, 2), "shape": (6, 6), "size": 3},
        "adaptive_max_pool": {**image, "output_size": 2},
        "adaptive_max_pool_with_argmax": {**image, "output_size": 2},
        "adaptive_avg_pool": {**image, "output_size": 2},
        "adaptive_avg_pool_backward": {"grad": ones(2, 2), "shape": (6, 7)},
        "conv2d": {**layer, "bias": ones(2)},
        "conv2d_backward_input": {"grad": ones(2, 4, 5), "weight": layer["weight"], "input_shape": (2, 6, 7)},
        "conv2d_backward_weight": {"grad": ones(2, 4, 5), "x": layer["x"], "weight_shape": (2, 2, 3, 3)},
        "conv_transpose2d": {**layer, "bias": ones(2)},
    }


def _gradient(dtype, shape):
    kind = dtype if np.dtype(dtype).kind == "f" else "f4"
    return random_image(np.random.default_rng(24), shape, kind)


def _sum(dtype):
    return None if np.dtype(dtype).kind == "f" else np.int64


def public_functions():
    """Return the names of the public functions on arrays."""
    return [name for name in ik.__all__ if hasattr(getattr(ik, name), "signature")]


def results(workers, dtype="f4"):
    """Return {name: results} of every call."""
    return {name: call(workers) for name, call in every_call(dtype).items()}


def same_bits(one, other):
    """Whether two tuples of arrays are equal, bit for bit."""
    return len(one) == len(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.data.cast("B") == b.data.cast("B")  # without a copy
        for a, b in zip(one, other, strict=True)
    )


def different(one, other):
    """Return the names of the calls whose results differ."""
    return [name for name in one if not same_bits(one[name], other[name])]


def forked_and_results(workers):
    """Return whether this process counts as forked, and the results of every call."""
    return _core.forked(), results(workers)
