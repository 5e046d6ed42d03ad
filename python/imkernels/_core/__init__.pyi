from types import ModuleType
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

# The instruction-set level in use, the compiler, and the date (yyyymm) of its OpenMP, 0 without.
level: str
compiler: str
openmp: int
# What IMKERNELS_ISA asked for when the package was imported.
forced_level: str | None

def available_levels() -> list[str]: ...
def load_level(level: str) -> ModuleType: ...
def forked() -> bool: ...

@final
class Window:
    def __init__(
        self,
        size: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        before: tuple[int, int],
        mode: tuple[str, str],
    ) -> None: ...

@final
class OrderedTerms:
    def __init__(self, taps: NDArray[np.int64], weights: NDArray[np.float64], subtracts: bool) -> None: ...

def output_extent(extent: int, before: int, after: int, reach: int, stride: int) -> int: ...
def covers(size: int, stride: int, dilation: int, before: int, extent: int, outputs: int) -> bool: ...
def order_filter(
    image: Array,
    out: Array,
    window: Window,
    footprint: NDArray[np.bool_] | None,
    rank: int | None,
    percentile: float,
    omit_nan: bool,
    fill: Array,
    workers: int,
) -> None: ...
def has_median_network(window: Window, item_size: int) -> bool: ...
def median_network(image: Array, out: Array, window: Window, omit_nan: bool, fill: Array, workers: int) -> None: ...
def has_histogram(window: Window) -> bool: ...
def histogram_filter(
    image: Array, out: Array, window: Window, rank: int | None, percentile: float, fill: Array, workers: int
) -> None: ...
def has_sliding(window: Window) -> bool: ...
def sliding_filter(
    image: Array,
    out: Array,
    window: Window,
    footprint: NDArray[np.bool_] | None,
    rank: int | None,
    percentile: float,
    omit_nan: bool,
    fill: Array,
    workers: int,
) -> None: ...
def has_rank_network(window: Window) -> bool: ...
def rank_network(
    image: Array,
    out: Array,
    window: Window,
    rank: int | None,
    percentile: float,
    omit_nan: bool,
    fill: Array,
    workers: int,
) -> None: ...
def extremum_filter(
    image: Array, out: Array, window: Window, maximum: bool, omit_nan: bool, fill: Array, workers: int
) -> None: ...
def box_blur(
    image: Array,
    out: Array,
    window: Window,
    normalize: bool,
    fill: Array,
    workers: int,
    delta: int = 0,
    toward_zero: bool = False,
    factor: Array | None = None,
    by_axis: bool = False,
) -> None: ...
def correlate(
    image: Array,
    kernel: Array,
    out: Array,
    window: Window,
    fill: Array,
    workers: int,
    delta: Array | None = None,
    toward_zero: bool = False,
) -> None: ...
def has_fft(window: Window) -> bool: ...
def fft_is_faster(window: Window, rows: int, columns: int, item_size: int) -> bool: ...
def correlate_fft(
    image: Array,
    kernel: Array,
    out: Array,
    window: Window,
    fill: Array,
    workers: int,
    delta: Array | None = None,
    toward_zero: bool = False,
) -> None: ...
def separable_is_faster(window: Window, results: float) -> bool: ...
def correlate_separable(
    image: Array,
    column: Array,
    row: Array,
    out: Array,
    window: Window,
    fill: Array,
    workers: int,
    delta: Array | None = None,
    toward_zero: bool = False,
) -> None: ...
def ordered_sums(
    image: Array, out: Array, window: Window, terms: OrderedTerms, across: OrderedTerms, fill: Array, workers: int
) -> None: ...
def conv2d(
    x: Array, weight: Array, bias: Array | None, out: Array, window: Window, groups: int, workers: int
) -> None: ...
def conv2d_backward_weight(grad: Array, x: Array, out: Array, window: Window, groups: int, workers: int) -> None: ...
def max_pool(image: Array, values: Array, argmax: Array | None, window: Window, workers: int) -> None: ...
def max_pool_backward(grad: Array, argmax: Array, out: Array, workers: int) -> None: ...
def max_unpool(values: Array, argmax: Array, out: Array, workers: int) -> None: ...
def adaptive_max_pool(image: Array, values: Array, argmax: Array | None, workers: int) -> None: ...
def avg_pool(
    image: Array,
    out: Array,
    window: Window | None,
    after: tuple[int, int],
    count_padding: bool,
    divisor: int,
    workers: int,
) -> None: ...
def avg_pool_backward(
    grad: Array,
    out: Array,
    window: Window | None,
    after: tuple[int, int],
    count_padding: bool,
    divisor: int,
    workers: int,
) -> None: ...
def convert(source: Array, out: Array, workers: int) -> None: ...
