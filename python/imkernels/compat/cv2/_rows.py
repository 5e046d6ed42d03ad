"""The ends of rows: OpenCV's vector loops compute as many numbers as they may at once, and others round the rest."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from imkernels._arguments import Array


class Rest(NamedTuple):
    """The numbers at the end of each row that OpenCV computes one by one."""

    values: Array  # (H, n) or (H, n, C)
    chosen: Array  # (n) or (n, C)

    def put_into(self, image: Array) -> None:
        columns = image[:, image.shape[1] - self.values.shape[1] :]
        np.copyto(columns, self.values, where=self.chosen, casting="unsafe")


def rest_of_rows(pixels: Array, width: int, lanes: int, compute: Callable[[Array], Array]) -> Rest | None:
    """Return what `compute` gives for the last (W * C) % lanes numbers of rows, by windows of `width` columns."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    count = pixels.shape[1] * channels % lanes
    if count == 0:
        return None
    columns = -(-count // channels)
    block = pixels[:, max(0, pixels.shape[1] - columns - width) :]
    chosen = np.arange(columns * channels) >= columns * channels - count
    return Rest(compute(block)[:, -columns:], chosen.reshape((columns, *pixels.shape[2:])))
