"""The sides of the comparison: imkernels and its rivals, one short adapter per function.

A side is a class whose methods carry the names of the imkernels functions. Such an adapter takes a case and its input
arrays and returns the `Call` to be timed, or None where the library does not offer the case; a function that a library
lacks altogether has no adapter. Inputs are converted and outputs allocated here, outside the timer, so that only the
filter is timed. Where a library has several ways, the adapter takes the fastest that was seen.

Each side is measured in processes of its own and imports its library when it starts, nothing before.
"""
# ruff: noqa: D102  an adapter is described by its name, which is that of the function

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from benchmarks.cases import Case
from benchmarks.reference import Array

# Freed memory stays with the process (glibc), so that a library without an `out` argument does not pay for fresh pages.
REUSED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}

# Large results are mapped and unmapped; without this setting glibc keeps memory of a size that was freed before.
FRESH_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}


@dataclass(frozen=True)
class Call:
    """A call to be timed, without arguments, and the border rule that it applies.

    With any rule but "reflect", our default, only the interior is compared; pooling has one rule and keeps "reflect".
    """

    run: Callable[[], Any]
    border: str = "reflect"


class Side:
    """A library under measurement, imported and told its number of threads when an object is made."""

    name: ClassVar[str]
    module: ClassVar[str]
    install: ClassVar[str] = "pip install '.[bench]'"
    threaded: ClassVar[bool] = False
    mean_error: ClassVar[int] = 1
    """How far another rounding may take its mean of integers from ours, which rounds half to even."""
    rival: ClassVar[bool] = True
    memory: ClassVar[dict[str, str]] = REUSED_MEMORY

    def __init__(self, threads: int) -> None: ...

    @classmethod
    def installed(cls) -> bool:
        """Tell whether the library is there, without importing it."""
        return find_spec(cls.module) is not None

    @staticmethod
    def environment(threads: int) -> dict[str, str]:
        """Return the environment variables that must be set before the process starts."""
        return {}

    @property
    def version(self) -> str:
        """The version of the imported library."""
        return str(sys.modules[self.module].__version__)

    @property
    def isa_level(self) -> str | None:
        """The instruction-set level in use, where the library tells it."""
        return None

    def offers(self, case: Case) -> bool:
        """Tell whether the library has the function of `case`."""
        return hasattr(self, case.function)

    def prepare(self, case: Case, inputs: tuple[Array, ...]) -> Call | None:
        """Return the call that computes `case`, or None where the library does not offer it after all."""
        adapter: Callable[..., Call | None] = getattr(self, case.function)
        return adapter(case, *inputs)

    def as_array(self, result: Any) -> Array:
        """Convert one result from the library's own form."""
        return np.asarray(result)


def _axes(case: Case) -> dict[str, Any]:
    """Return the keyword that SciPy needs for images of more than two axes; a plain image is passed as users do."""
    return {"axes": case.axes} if len(case.shape) > 2 else {}


def _plain(case: Case) -> bool:
    """Tell whether the case is a filter of one grey or colour image, with a result for every pixel."""
    return case.stride == 1 and (len(case.shape) == 2 or case.interleaved)


def _layer(case: Case) -> dict[str, int]:
    """Return the keywords of a convolution over channels, which PyTorch calls the same."""
    return {"stride": case.stride, "padding": case.padding, "groups": case.groups}


def _window(case: Case) -> dict[str, Any]:
    """Return the keywords of a pooling window."""
    return {"size": case.size, "stride": case.stride, "padding": case.padding}


class Ours(Side):
    """imkernels, with `out` given."""

    name = "ours"
    module = "imkernels"
    install = "pip install ."
    threaded = True
    rival = False
    mean_error = 0

    def __init__(self, threads: int) -> None:
        import imkernels

        self.imkernels: Any = imkernels
        self.imkernels.set_workers(threads)

    @staticmethod
    def environment(threads: int) -> dict[str, str]:
        return {"IMKERNELS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "OMP_PROC_BIND": "spread"}

    @property
    def isa_level(self) -> str | None:
        return str(self.imkernels.isa_level())

    def median_filter(self, case: Case, image: Array) -> Call:
        return self._filter(case, self.imkernels.median_filter, image, size=case.size)

    def maximum_filter(self, case: Case, image: Array) -> Call:
        return self._filter(case, self.imkernels.maximum_filter, image, size=case.size)

    def box_blur(self, case: Case, image: Array) -> Call:
        return self._filter(case, self.imkernels.box_blur, image, size=case.size)

    def correlate(self, case: Case, image: Array, kernel: Array) -> Call:
        return self._filter(case, self.imkernels.correlate, image, kernel, dtype=case.dtype)

    def correlate_separable(self, case: Case, image: Array, column: Array, row: Array) -> Call:
        return self._filter(case, self.imkernels.correlate_separable, image, column, row, dtype=case.dtype)

    def _filter(self, case: Case, function: Any, image: Array, *kernel: Array, **keywords: Any) -> Call:
        if case.interleaved:
            keywords["axes"] = case.axes
        if case.stride > 1:
            keywords["stride"] = case.stride
        result = function(image, *kernel, **keywords)
        return Call(partial(function, image, *kernel, **keywords, out=np.empty(result.shape, result.dtype)))

    def max_pool(self, case: Case, image: Array) -> Call:
        out = np.empty_like(self.imkernels.max_pool(image, **_window(case)))
        return Call(partial(self.imkernels.max_pool, image, **_window(case), out=out))

    def max_pool_with_argmax(self, case: Case, image: Array) -> Call:
        out = tuple(map(np.empty_like, self.imkernels.max_pool_with_argmax(image, **_window(case))))
        return Call(partial(self.imkernels.max_pool_with_argmax, image, **_window(case), out=out))

    def max_pool_backward(self, case: Case, grad: Array, argmax: Array) -> Call:
        out = np.empty(case.shape, grad.dtype)
        return Call(partial(self.imkernels.max_pool_backward, grad, argmax, case.shape[-2:], out=out))

    def conv2d(self, case: Case, x: Array, weight: Array) -> Call:
        out = np.empty_like(self.imkernels.conv2d(x, weight, **_layer(case)))
        return Call(partial(self.imkernels.conv2d, x, weight, out=out, **_layer(case)))

    def conv2d_backward_input(self, case: Case, grad: Array, weight: Array) -> Call:
        out = np.empty(case.shape, grad.dtype)
        return Call(partial(self.imkernels.conv2d_backward_input, grad, weight, out.shape, out=out, **_layer(case)))

    def conv2d_backward_weight(self, case: Case, grad: Array, x: Array) -> Call:
        out = np.empty(case.weight_shape, grad.dtype)
        return Call(partial(self.imkernels.conv2d_backward_weight, grad, x, out.shape, out=out, **_layer(case)))

    def avg_pool(self, case: Case, image: Array) -> Call:
        out = np.empty_like(self.imkernels.avg_pool(image, **_window(case)))
        return Call(partial(self.imkernels.avg_pool, image, **_window(case), out=out))

    def avg_pool_backward(self, case: Case, grad: Array) -> Call:
        out = np.empty(case.shape, grad.dtype)
        return Call(partial(self.imkernels.avg_pool_backward, grad, case.shape[-2:], **_window(case), out=out))

    def adaptive_avg_pool(self, case: Case, image: Array) -> Call:
        out = np.empty_like(self.imkernels.adaptive_avg_pool(image, case.size))
        return Call(partial(self.imkernels.adaptive_avg_pool, image, case.size, out=out))

    def adaptive_max_pool_with_argmax(self, case: Case, image: Array) -> Call:
        out = tuple(map(np.empty_like, self.imkernels.adaptive_max_pool_with_argmax(image, case.size)))
        return Call(partial(self.imkernels.adaptive_max_pool_with_argmax, image, case.size, out=out))


class OursFresh(Ours):
    """imkernels without `out`, and with memory fresh from the system for every result, as where results are kept."""

    name = "ours-fresh"
    memory = FRESH_MEMORY

    def offers(self, case: Case) -> bool:
        plain = len(case.shape) == 2 and not case.label
        return plain and case.size in (3, 15) and case.dtype in ("uint8", "float32")

    def prepare(self, case: Case, inputs: tuple[Array, ...]) -> Call | None:
        call: Any = super().prepare(case, inputs)
        keywords = {name: value for name, value in call.run.keywords.items() if name != "out"}
        return Call(partial(call.run.func, *call.run.args, **keywords))


class OpenCV(Side):
    """The cv2 module, with `dst` given."""

    name = "opencv"
    module = "cv2"
    threaded = True

    def __init__(self, threads: int) -> None:
        import cv2

        self.cv2 = cv2
        cv2.setNumThreads(threads)

    def median_filter(self, case: Case, image: Array) -> Call | None:
        if case.dtype not in (("uint8", "uint16", "float32") if case.size <= 5 else ("uint8",)):
            return None
        return self._filter(case, lambda plane, dst: self.cv2.medianBlur(plane, case.size, dst), image, "nearest")

    def maximum_filter(self, case: Case, image: Array) -> Call:
        window = np.ones((case.size, case.size), np.uint8)
        return self._filter(case, partial(self.cv2.dilate, kernel=window, borderType=self.cv2.BORDER_REFLECT), image)

    def box_blur(self, case: Case, image: Array) -> Call:
        window = case.size, case.size
        return self._filter(case, partial(self.cv2.blur, ksize=window, borderType=self.cv2.BORDER_REFLECT), image)

    def correlate(self, case: Case, image: Array, kernel: Array) -> Call:
        keywords = {"ddepth": -1, "kernel": kernel, "borderType": self.cv2.BORDER_REFLECT}
        return self._filter(case, partial(self.cv2.filter2D, **keywords), image)

    def correlate_separable(self, case: Case, image: Array, column: Array, row: Array) -> Call:
        keywords = {"ddepth": -1, "kernelX": row, "kernelY": column, "borderType": self.cv2.BORDER_REFLECT}
        return self._filter(case, partial(self.cv2.sepFilter2D, **keywords), image)

    def _filter(self, case: Case, function: Any, image: Array, border: str = "reflect") -> Call:
        """Return the call for an image; for every image of a batch; or followed by leaving out what a stride skips."""
        out = np.empty(image.shape, image.dtype)
        if not (case.interleaved or image.ndim == 2):
            pairs = list(zip(image, out, strict=True))

            def batch() -> Array:
                for plane, result in pairs:
                    function(plane, dst=result)
                return out

            return Call(batch, border)
        if case.stride > 1:
            return Call(lambda: np.ascontiguousarray(function(image, dst=out)[:: case.stride, :: case.stride]), border)
        return Call(partial(function, image, dst=out), border)


class PyTorch(Side):
    """PyTorch on the CPU, without autograd; its padding is zeros."""

    name = "pytorch"
    module = "torch"
    install = "pip install torch==2.13.0"
    threaded = True

    def __init__(self, threads: int) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)

    @staticmethod
    def environment(threads: int) -> dict[str, str]:
        return {"OMP_NUM_THREADS": str(threads), "OMP_PROC_BIND": "spread"}

    def maximum_filter(self, case: Case, image: Array) -> Call | None:
        return self._pooled(self.torch.nn.functional.max_pool2d, case, image)

    def box_blur(self, case: Case, image: Array) -> Call | None:
        return self._pooled(self.torch.nn.functional.avg_pool2d, case, image)

    def _pooled(self, pool: Callable[..., Any], case: Case, image: Array) -> Call | None:
        if case.dtype != "float32" or not _plain(case):
            return None
        tensor = self.torch.from_numpy(image)[None, None]

        def run() -> Any:  # one pass per axis: a single pass takes K/2 times as long
            rows = pool(tensor, (1, case.size), stride=1, padding=(0, case.size // 2))
            return pool(rows, (case.size, 1), stride=1, padding=(case.size // 2, 0))[0, 0]

        return Call(run, border="constant")

    def correlate(self, case: Case, image: Array, kernel: Array) -> Call | None:
        if case.dtype != "float32":
            return None
        tensor, weight = (self.torch.from_numpy(array)[None, None] for array in (image, kernel))
        run = partial(self.torch.nn.functional.conv2d, tensor, weight, stride=case.stride, padding=case.size // 2)
        return Call(lambda: run()[0, 0], border="constant")

    def max_pool(self, case: Case, image: Array) -> Call:
        pool, tensor = self.torch.nn.functional.max_pool2d, self.torch.from_numpy(image)
        return Call(partial(pool, tensor, case.size, case.stride, case.padding))

    def max_pool_with_argmax(self, case: Case, image: Array) -> Call:
        pool = self.torch.ops.aten.max_pool2d_with_indices
        arguments = self.torch.from_numpy(image), [case.size] * 2, [case.stride] * 2, [case.padding] * 2
        values, indices = map(self.torch.empty_like, pool(*arguments))
        return Call(partial(pool.out, *arguments, out=values, indices=indices))

    def max_pool_backward(self, case: Case, grad: Array, argmax: Array) -> Call:
        pooled, out = self.torch.empty(case.shape), self.torch.empty(case.shape)  # of `pooled` only the shape counts
        window = [case.size] * 2, [case.stride] * 2, [case.padding] * 2, [1, 1], False
        tensors = self.torch.from_numpy(grad), pooled, *window, self.torch.from_numpy(argmax)
        return Call(partial(self.torch.ops.aten.max_pool2d_with_indices_backward.grad_input, *tensors, grad_input=out))

    def conv2d(self, case: Case, x: Array, weight: Array) -> Call:
        tensors = self.torch.from_numpy(x), self.torch.from_numpy(weight)
        return Call(partial(self.torch.nn.functional.conv2d, *tensors, **_layer(case)))

    def conv2d_backward_input(self, case: Case, grad: Array, weight: Array) -> Call:
        images = self.torch.empty(case.shape)  # of which only the shape counts
        return self._convolution_backward(case, grad, images, self.torch.from_numpy(weight), 0)

    def conv2d_backward_weight(self, case: Case, grad: Array, x: Array) -> Call:
        weight = self.torch.empty(case.weight_shape)
        return self._convolution_backward(case, grad, self.torch.from_numpy(x), weight, 1)

    def _convolution_backward(self, case: Case, grad: Array, images: Any, weight: Any, which: int) -> Call:
        wanted = [which == number for number in range(3)]
        layer = [case.stride] * 2, [case.padding] * 2, [1, 1], False, [0, 0], case.groups
        tensors = self.torch.from_numpy(grad), images, weight, None
        run = partial(self.torch.ops.aten.convolution_backward, *tensors, *layer, wanted)
        return Call(lambda: run()[which])

    def avg_pool(self, case: Case, image: Array) -> Call:
        pool = self.torch.ops.aten.avg_pool2d
        arguments = self.torch.from_numpy(image), *self._average(case)
        return Call(partial(pool.out, *arguments, out=self.torch.empty_like(pool(*arguments))))

    def avg_pool_backward(self, case: Case, grad: Array) -> Call:
        image, out = self.torch.empty(case.shape), self.torch.empty(case.shape)  # of `image` only the shape counts
        arguments = self.torch.from_numpy(grad), image, *self._average(case)
        return Call(partial(self.torch.ops.aten.avg_pool2d_backward.grad_input, *arguments, grad_input=out))

    def _average(self, case: Case) -> tuple[Any, ...]:
        return [case.size] * 2, [case.stride] * 2, [case.padding] * 2, False, True, None

    def adaptive_avg_pool(self, case: Case, image: Array) -> Call:
        return Call(partial(self.torch.nn.functional.adaptive_avg_pool2d, self.torch.from_numpy(image), case.size))

    def adaptive_max_pool_with_argmax(self, case: Case, image: Array) -> Call:
        pool, tensor = self.torch.nn.functional.adaptive_max_pool2d, self.torch.from_numpy(image)
        return Call(partial(pool, tensor, case.size, return_indices=True))


class SciPy(Side):
    """scipy.ndimage with `output` given, and scipy.signal for large kernels."""

    name = "scipy"
    module = "scipy"
    mean_error = 2  # truncates after each axis

    def __init__(self, threads: int) -> None:
        from scipy import ndimage, signal

        self.ndimage, self.signal = ndimage, signal

    def median_filter(self, case: Case, image: Array) -> Call | None:
        return self._filter(self.ndimage.median_filter, case, image)

    def maximum_filter(self, case: Case, image: Array) -> Call | None:
        return self._filter(self.ndimage.maximum_filter, case, image)

    def box_blur(self, case: Case, image: Array) -> Call | None:
        return self._filter(self.ndimage.uniform_filter, case, image)

    def _filter(self, function: Any, case: Case, image: Array) -> Call | None:
        if case.stride > 1:
            return None
        out = np.empty(image.shape, image.dtype)
        return Call(partial(function, image, size=case.size, output=out, **_axes(case)))

    def correlate(self, case: Case, image: Array, kernel: Array) -> Call | None:
        if case.dtype != "float32" or case.stride > 1:  # integers are truncated, and negative ones wrap
            return None
        if case.size >= 7:
            return Call(partial(self.signal.fftconvolve, image, kernel[::-1, ::-1], mode="same"), border="constant")
        return Call(partial(self.ndimage.correlate, image, kernel, output=np.empty(image.shape, image.dtype)))


class SimpleITK(Side):
    """SimpleITK filter objects on an image made outside the timer."""

    name = "simpleitk"
    module = "SimpleITK"
    threaded = True

    def __init__(self, threads: int) -> None:
        import SimpleITK

        self.itk: Any = SimpleITK
        self.itk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)

    def as_array(self, result: Any) -> Array:
        return np.asarray(self.itk.GetArrayFromImage(result))

    def median_filter(self, case: Case, image: Array) -> Call | None:
        return self._windowed(self.itk.MedianImageFilter(), case, image)

    def maximum_filter(self, case: Case, image: Array) -> Call | None:
        if case.dtype == "float32":  # some of its results are not the maximum (2.5.7)
            return None
        dilation = self.itk.GrayscaleDilateImageFilter()
        dilation.SetKernelType(self.itk.sitkBox)
        dilation.SetKernelRadius(case.size // 2)
        return Call(partial(dilation.Execute, self.itk.GetImageFromArray(image)), border="constant")

    def box_blur(self, case: Case, image: Array) -> Call | None:
        return self._windowed(self.itk.BoxMeanImageFilter(), case, image)

    def correlate(self, case: Case, image: Array, kernel: Array) -> Call | None:
        if case.dtype != "float32" or case.stride > 1:
            return None
        convolution = self.itk.ConvolutionImageFilter() if case.size < 7 else self.itk.FFTConvolutionImageFilter()
        flipped = np.ascontiguousarray(kernel[::-1, ::-1])
        images = self.itk.GetImageFromArray(image), self.itk.GetImageFromArray(flipped)
        return Call(partial(convolution.Execute, *images), border="nearest")

    def _windowed(self, image_filter: Any, case: Case, image: Array) -> Call | None:
        if case.interleaved or not _plain(case):
            return None
        image_filter.SetRadius(case.size // 2)
        return Call(partial(image_filter.Execute, self.itk.GetImageFromArray(image)), border="nearest")


class Pillow(Side):
    """Pillow's ImageFilter, for 8-bit images; its kernels are integers of up to 5x5, so it has no correlation here."""

    name = "pillow"
    module = "PIL"

    def __init__(self, threads: int) -> None:
        from PIL import Image, ImageFilter

        self.image, self.filters = Image, ImageFilter

    def median_filter(self, case: Case, image: Array) -> Call | None:
        return self._filtered(self.filters.MedianFilter(case.size), case, image)

    def maximum_filter(self, case: Case, image: Array) -> Call | None:
        return self._filtered(self.filters.MaxFilter(case.size), case, image)

    def box_blur(self, case: Case, image: Array) -> Call | None:
        return self._filtered(self.filters.BoxBlur(case.size // 2), case, image)

    def _filtered(self, image_filter: Any, case: Case, image: Array) -> Call | None:
        if case.dtype != "uint8" or not _plain(case):
            return None
        return Call(partial(self.image.fromarray(image).filter, image_filter), border="nearest")


class ScikitImage(Side):
    """The rank filters of scikit-image for 8-bit images, with `out` given; its other median filter is SciPy's."""

    name = "scikit-image"
    module = "skimage"

    def __init__(self, threads: int) -> None:
        from skimage.filters import rank

        self.rank = rank

    def median_filter(self, case: Case, image: Array) -> Call | None:
        return self._ranked(self.rank.median, case, image)

    def maximum_filter(self, case: Case, image: Array) -> Call | None:
        return self._ranked(self.rank.maximum, case, image)

    def box_blur(self, case: Case, image: Array) -> Call | None:
        return self._ranked(self.rank.mean, case, image)

    def _ranked(self, function: Any, case: Case, image: Array) -> Call | None:
        if case.dtype != "uint8" or case.interleaved or not _plain(case):
            return None
        window = np.ones((case.size, case.size), np.uint8)
        return Call(partial(function, image, window, out=np.empty(image.shape, image.dtype)), border="cut off")


SIDES: dict[str, type[Side]] = {
    side.name: side for side in (Ours, OursFresh, OpenCV, PyTorch, SciPy, SimpleITK, Pillow, ScikitImage)
}
