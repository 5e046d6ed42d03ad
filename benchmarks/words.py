"""Cases, families and numbers in words: the same in tables, plots and README."""

from __future__ import annotations

from typing import Any

from benchmarks.cases import Case

FAMILIES = {
    "Median": ("median_filter",),
    "Maximum": ("maximum_filter",),
    "Box blur": ("box_blur",),
    "Correlation": ("correlate", "correlate_separable"),
    "Max pooling": ("max_pool", "max_pool_with_argmax", "max_pool_backward", "adaptive_max_pool_with_argmax"),
    "Average pooling": ("avg_pool", "avg_pool_backward", "adaptive_avg_pool"),
    "Convolution of networks": ("conv2d", "conv2d_backward_input", "conv2d_backward_weight"),
}

FUNCTIONS = {
    "median_filter": "median",
    "maximum_filter": "maximum",
    "box_blur": "box blur",
    "correlate": "correlation",
    "correlate_separable": "separable correlation",
    "max_pool": "max pooling",
    "max_pool_with_argmax": "max pooling with argmax",
    "max_pool_backward": "gradient of max pooling",
    "avg_pool": "average pooling",
    "avg_pool_backward": "gradient of average pooling",
    "adaptive_avg_pool": "adaptive average pooling to",
    "adaptive_max_pool_with_argmax": "adaptive max pooling with argmax to",
    "conv2d": "conv2d",
    "conv2d_backward_input": "conv2d, gradient of the input",
    "conv2d_backward_weight": "conv2d, gradient of the weights",
}

SIDES = {
    "ours": "imkernels",
    "ours-fresh": "imkernels without out=",
    "opencv": "OpenCV",
    "pytorch": "PyTorch",
    "scipy": "SciPy",
    "simpleitk": "SimpleITK",
    "pillow": "Pillow",
    "scikit-image": "scikit-image",
}


def case(of: Case) -> str:
    """Return for instance 'median 3x3, uint8, colour'."""
    window = f"{of.size}x{of.size}" + (f" by {of.stride}" if of.stride > 1 else "")
    if of.outputs:
        maps = f"{of.shape[1]} to {of.outputs} channels" if of.groups == 1 else f"{of.outputs} channels depthwise"
        images = f"{of.shape[0]} of {of.shape[2]}x{of.shape[3]}"
        return f"{FUNCTIONS[of.function]} {window}, {maps}, {images}"
    name = "Gaussian" if of.symmetric else FUNCTIONS[of.function]
    detail = of.label.removeprefix("s2p1").removeprefix("s2p0").removeprefix("s1p1").removeprefix("s2")
    detail = detail.replace("-gaussian", "").replace("-small", "-32x32").strip("-")
    return ", ".join(filter(None, (f"{name} {window}", of.dtype, detail)))


def time(seconds: float | None) -> str:
    """Return a time with its unit."""
    if not seconds:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def threads(count: int) -> str:
    """Return '1 thread' or, for instance, '2 threads'."""
    return "1 thread" if count == 1 else f"{count} threads"


def number(value: float) -> str:
    """Return a rate with three digits that count, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rate(entry: dict[str, Any], seconds: float) -> tuple[float, str]:
    """Return the speed of a case of a document and its unit: useful GFLOP/s of networks' layers, else Mpx/s."""
    if entry["outputs"]:
        return 2 * entry["multiply_adds"] / seconds / 1e9, "GFLOP/s"
    return entry["pixels"] / seconds / 1e6, "Mpx/s"
