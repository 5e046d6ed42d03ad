"""The compiled functions of one instruction-set level, called as the Python layer calls them."""

import numpy as np


class Layer:
    """Wraps a module that `imkernels._core.load_level` returned; results are made here, `padding="same"` throughout."""

    def __init__(self, module):
        self.module = module
        self.workers = 1

    def median_filter(self, image, size, *, stride=(1, 1), mode="reflect", cval=0, footprint=None, omit_nan=False):
        out = self.result(image.shape, stride, image.dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.order_filter(image, out, window, footprint, None, 50.0, omit_nan, fill(cval, image), self.workers)
        return out

    def box_blur(self, image, size, *, stride=(1, 1), mode="reflect", cval=0, normalize=True, dtype=None):
        out = self.result(image.shape, stride, image.dtype if dtype is None else dtype)
        window = self.window(size, stride=stride, mode=mode)
        self.module.box_blur(image, out, window, normalize, fill(cval, image), self.workers)
        return out

    def correlate(self, image, kernel, *, stride=(1, 1), dilation=(1, 1), mode="reflect", cval=0, dtype=None):
        """Correlate in the kernel's type: int32, int64, float32 or float64."""
        out = self.result(image.shape, stride, kernel.dtype if dtype is None else dtype)
        bank = np.broadcast_to(kernel, image.shape[:-2] + kernel.shape[-2:])
        window = self.window(kernel.shape[-2:], stride=stride, dilation=dilation, mode=mode)
        self.module.correlate(image, bank, out, window, fill(cval, kernel), self.workers)
        return out

    def max_pool_with_argmax(self, image, size, *, stride=(1, 1), dilation=(1, 1)):
        values = self.result(image.shape, stride, image.dtype)
        argmax = self.result(image.shape, stride, np.intp)
        window = self.window(size, stride=stride, dilation=dilation, mode="constant")
        self.module.max_pool(image, values, argmax, window, self.workers)
        return values, argmax

    def max_pool_backward(self, grad, argmax, shape):
        out = np.empty(grad.shape[:-2] + shape, grad.dtype)
        self.module.max_pool_backward(grad, argmax, out, self.workers)
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
