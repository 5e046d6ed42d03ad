"""The compiled functions of one instruction-set level, called as the Python layer calls them."""

import numpy as np


class Layer:
    """Wraps a module that `imkernels._core.load_level` returned; results are made here, `padding="same"` throughout."""

    def __init__(self, module):
        self.module = module
        self.workers = 1

    def median_filter(self, image, size, **options):
        return self.order_filter(image, size, None, 50.0, **options)

    def order_filter(
        self,
        image,
        size,
        rank,
        percentile=0.0,
        *,
        stride=(1, 1),
        mode="reflect",
        cval=0,
        footprint=None,
        omit_nan=False,
    ):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        rule = (footprint, rank, percentile, omit_nan, fill(cval, image), self.workers)
        self.module.order_filter(image, out, window, *rule)
        return out

    def extremum_filter(self, image, size, maximum, *, stride=(1, 1), mode="reflect", cval=0, omit_nan=False):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.extremum_filter(image, out, window, maximum, omit_nan, fill(cval, image), self.workers)
        return out

    def median_network(self, image, size, *, stride=(1, 1), mode="reflect", cval=0, omit_nan=False):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.median_network(image, out, window, omit_nan, fill(cval, image), self.workers)
        return out

    def rank_network(self, image, size, rank, percentile=0.0, *, stride=(1, 1), mode="reflect", cval=0, omit_nan=False):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.rank_network(image, out, window, rank, percentile, omit_nan, fill(cval, image), self.workers)
        return out

    def sliding_filter(self, image, size, rank, percentile=0.0, *, stride=(1, 1), mode="reflect", omit_nan=False):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        rule = (None, rank, percentile, omit_nan, fill(0, image), self.workers)
        self.module.sliding_filter(image, out, window, *rule)
        return out

    def histogram_filter(self, image, size, rank, percentile=0.0, *, stride=(1, 1), mode="reflect"):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.histogram_filter(image, out, window, rank, percentile, fill(0, image), self.workers)
        return out

    def box_blur(self, image, size, *, stride=(1, 1), mode="reflect", cval=0, normalize=True, dtype=None, **ending):
        out = self.result(image.shape, stride, image.dtype if dtype is None else dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.box_blur(image, out, window, normalize, fill(cval, image), self.workers, **ending)
        return out

    def correlate(self, image, kernel, *, stride=(1, 1), dilation=(1, 1), mode="reflect", cval=0, dtype=None, **ending):
        """Correlate in the kernel's type: int32, int64, float32 or float64."""
        window = self.window(kernel.shape[-2:], stride=stride, dilation=dilation, mode=mode)
        return self.correlated(self.module.correlate, image, (kernel,), window, stride, cval, dtype, ending)

    def correlate_fft(self, image, kernel, *, stride=(1, 1), mode="reflect", cval=0, dtype=None, **ending):
        window = self.window(kernel.shape[-2:], stride=stride, mode=mode)
        return self.correlated(self.module.correlate_fft, image, (kernel,), window, stride, cval, dtype, ending)

    def correlate_separable(self, image, column, row, *, stride=(1, 1), mode="reflect", cval=0, dtype=None, **ending):
        window = self.window((column.size, row.size), stride=stride, mode=mode)
        factors = column[:, None], row[None]
        return self.correlated(self.module.correlate_separable, image, factors, window, stride, cval, dtype, ending)

    def correlated(self, method, image, factors, window, stride, cval, dtype, ending):
        working = factors[0].dtype
        out = self.result(image.shape, stride, working if dtype is None else dtype)
        banks = [np.broadcast_to(factor, image.shape[:-2] + factor.shape[-2:]) for factor in factors]
        if "delta" in ending:
            ending["delta"] = np.full((1, 1), ending["delta"], working)
        method(image, *banks, out, window, fill(cval, factors[0]), self.workers, **ending)
        return out

    def ordered_sums(self, image, size, terms, sign=1, across=(), *, mode="reflect", cval=0, dtype=None):
        """Add up terms (tap, partner or -1, weight), in float64."""
        out = self.result(image.shape, (1, 1), image.dtype if dtype is None else dtype)
        window = self.window(size, mode=mode)
        lists = [self.ordered_terms(terms, sign), self.ordered_terms(across, 1)]
        self.module.ordered_sums(image, out, window, *lists, np.full((1, 1), float(cval)), self.workers)
        return out

    def ordered_terms(self, terms, sign):
        taps = np.array([term[:2] for term in terms], np.int64).reshape(-1, 2)
        return self.module.OrderedTerms(taps, np.array([term[2] for term in terms], float), sign < 0)

    def max_pool_with_argmax(self, image, size, *, stride=(1, 1), dilation=(1, 1)):
        values = self.result(image.shape, stride, image.dtype)
        argmax = self.result(image.shape, stride, np.intp)
        window = self.window(size, stride=stride, dilation=dilation, mode="constant")
        self.module.max_pool(image, values, argmax, window, self.workers)
        return values, argmax

    def max_pool(self, image, size, *, stride=(1, 1), dilation=(1, 1)):
        values = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, dilation=dilation, mode="constant")
        self.module.max_pool(image, values, None, window, self.workers)
        return values

    def max_pool_backward(self, grad, argmax, shape):
        out = np.empty(grad.shape[:-2] + shape, grad.dtype)
        self.module.max_pool_backward(grad, argmax, out, self.workers)
        return out

    def max_unpool(self, values, argmax, shape):
        out = np.empty(values.shape[:-2] + shape, values.dtype)
        self.module.max_unpool(values, argmax, out, self.workers)
        return out

    def adaptive_max_pool(self, image, extents):
        values, argmax = (np.empty(image.shape[:-2] + extents, dtype) for dtype in (image.dtype, np.intp))
        self.module.adaptive_max_pool(image, values, argmax, self.workers)
        return values, argmax

    def avg_pool(self, image, size, *, stride=(1, 1), count_padding=True, divisor=0):
        """Average; what "same" pads behind the image counts with the rest of the padding."""
        out = self.result(image.shape, stride, image.dtype)
        self.module.avg_pool(image, out, *self.averages(size, stride, count_padding, divisor))
        return out

    def avg_pool_backward(self, grad, shape, size, *, stride=(1, 1), count_padding=True, divisor=0):
        out = np.empty(grad.shape[:-2] + shape, grad.dtype)
        self.module.avg_pool_backward(grad, out, *self.averages(size, stride, count_padding, divisor))
        return out

    def adaptive_avg_pool(self, image, extents):
        out = np.empty(image.shape[:-2] + extents, image.dtype)
        self.module.avg_pool(image, out, None, (0, 0), False, 0, self.workers)
        return out

    def averages(self, size, stride, count_padding, divisor):
        """Return the arguments behind the arrays."""
        window = self.window(size, stride=stride, mode="constant")
        after = tuple((k - 1) // 2 for k in size)
        return window, after, count_padding, divisor, self.workers

    def conv2d(self, x, weight, *, bias=None, groups=1, stride=(1, 1), dilation=(1, 1), dtype=None):
        """Convolve in the weights' type: int32, int64, float32 or float64."""
        shape = (*x.shape[:-3], weight.shape[0], *x.shape[-2:])
        out = self.result(shape, stride, weight.dtype if dtype is None else dtype)
        window = self.window(weight.shape[-2:], stride=stride, dilation=dilation, mode="constant")
        self.module.conv2d(x, weight, bias, out, window, groups, self.workers)
        return out

    def conv2d_backward_weight(self, grad, x, shape, *, groups=1, stride=(1, 1), dilation=(1, 1)):
        out = np.empty(shape, grad.dtype)
        window = self.window(shape[-2:], stride=stride, dilation=dilation, mode="constant")
        self.module.conv2d_backward_weight(grad, x, out, window, groups, self.workers)
        return out

    def convert(self, source, dtype):
        out = np.empty(source.shape, dtype)
        self.module.convert(source, out, self.workers)
        return out

    def window(self, size, *, stride=(1, 1), dilation=(1, 1), mode="reflect"):
        """Return a window with its anchor at tap size // 2."""
        before = tuple(d * (k // 2) for k, d in zip(size, dilation, strict=True))
        return self.module.Window(tuple(size), stride, dilation, before, (mode, mode))

    def result(self, shape, stride, dtype):
        height, width = ((extent - 1) // step + 1 for extent, step in zip(shape[-2:], stride, strict=True))
        return np.empty((*shape[:-2], height, width), dtype)


def fill(cval, like):
    """Return the element that stands outside of an image."""
    return np.full((1, 1), cval, like.dtype.newbyteorder("="))
