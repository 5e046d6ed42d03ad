"""The command ``demo``: what the kernels do to a photograph, in pictures and in figures."""

import timeit
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import imkernels as ik

SEED = 2026
REPEATS = 20  # a rate is the best of so many calls
POOLED = 4  # rows and columns of the pooling window
FACE = np.s_[16:208, 136:328]  # shown enlarged, where single pixels matter

ORANGE = np.array([1.0, 0.63, 0.0])

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A file, a panel of the contact sheet and a line of the table."""

    name: str
    title: str
    call: str
    pixels: Pixels
    psnr: float | None = None  # dB, against the photograph
    rate: float | None = None  # Mpx/s
    shown: Any = np.s_[:, :]  # the part that the contact sheet shows


def run(directory: Path) -> None:
    """Filter and pool a photograph; write the pictures and print the table.

    Parameters
    ----------
    directory : Path
        Where the PNG files go; made where it is missing.

    Raises
    ------
    OSError
        If the directory cannot be made or written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    photograph = skimage.data.astronaut()
    pictures = []
    for picture in chain(find_edges(photograph), remove_noise(photograph)):
        Image.fromarray(picture.pixels).save(directory / f"{picture.name}.png")
        pictures.append(picture)
    draw_contact_sheet(pictures).savefig(directory / "contact_sheet.png")
    print(table(pictures))
    print(f"\n{len(pictures)} pictures and contact_sheet.png are in {directory}")


def find_edges(photograph: Pixels) -> Iterator[Picture]:
    """Yield the photograph, its edges, their maxima and the gradient that flows back to them."""
    yield Picture("photograph", "Photograph", "skimage.data.astronaut()", photograph)

    grey = skimage.color.rgb2gray(photograph).astype(np.float32)
    across, rate = measure(ik.correlate, grey, SOBEL, pixels=grey.size)
    edges = np.hypot(across, ik.correlate(grey, SOBEL.T))
    yield Picture("edges", "Edges (Sobel)", "correlate(grey, sobel)", stretched(edges), rate=rate)

    (maxima, argmax), rate = measure(ik.max_pool_with_argmax, edges, POOLED, pixels=edges.size)
    call = f"max_pool_with_argmax(edges, {POOLED})"
    yield Picture("max_pool", f"Max pooling, {POOLED} x {POOLED}", call, stretched(maxima), rate=rate)

    # The gradient of sum(maxima**2) / 2 is the maxima themselves: each goes to the pixel that it came from.
    routed, rate = measure(ik.max_pool_backward, maxima, argmax, edges.shape, pixels=edges.size)
    call = "max_pool_backward(gradient, argmax, shape)"
    lit = to_bytes(np.maximum(photograph / 3, ORANGE * stretched(routed)[..., np.newaxis]))
    yield Picture("gradient", "Gradient, routed back", call, lit, rate=rate, shown=FACE)


def remove_noise(photograph: Pixels) -> Iterator[Picture]:
    """Yield the photograph under two kinds of noise, each followed by what three filters make of it."""
    random = np.random.default_rng(SEED)
    spoilt = (
        ("salt_and_pepper", "Salt and pepper, 10 %", salt_and_pepper(photograph, 0.1, random)),
        ("gaussian", "Gaussian noise, sigma 30", gaussian_noise(photograph, 30, random)),
    )
    filters = (
        (ik.median_filter, 3, "3", "Median, 3 x 3"),
        (ik.box_blur, 3, "3", "Box blur, 3 x 3"),
        (ik.correlate, BINOMIAL, "binomial", "Binomial kernel, 5 x 5"),
    )
    for name, title, image in spoilt:
        yield Picture(name, title, "", image, psnr(photograph, image), shown=FACE)
        for function, window, written, effect in filters:
            result, rate = measure(function, image, window, axes=(0, 1), pixels=image.size)
            pixels = to_bytes(result)
            call = f"{function.__name__}(image, {written}, axes=(0, 1))"
            yield Picture(f"{name}_{function.__name__}", effect, call, pixels, psnr(photograph, pixels), rate, FACE)


def salt_and_pepper(image: Pixels, share: float, random: np.random.Generator) -> Pixels:
    """Turn a share of the pixels black or white."""
    height, width = image.shape[:2]
    chance = random.random((height, width, 1))
    return np.where(chance < share / 2, 0, np.where(chance < share, 255, image)).astype(np.uint8)


def gaussian_noise(image: Pixels, sigma: float, random: np.random.Generator) -> Pixels:
    """Add noise of a standard deviation in grey levels to every channel."""
    return to_bytes(image + random.normal(0, sigma, image.shape))


def measure(function: Callable[..., Any], *operands: Any, pixels: int, **keywords: Any) -> tuple[Any, float]:
    """Call a kernel; give its result, and its rate in Mpx/s where it writes into an array that is there."""
    result = function(*operands, **keywords)
    seconds = timeit.repeat(lambda: function(*operands, **keywords, out=result), number=1, repeat=REPEATS)
    return result, pixels / min(seconds) / 1e6


def psnr(photograph: Pixels, image: Pixels) -> float:
    """Peak signal-to-noise ratio in dB."""
    return float(peak_signal_noise_ratio(photograph, image, data_range=255))


def to_bytes(values: NDArray[Any]) -> Pixels:
    """Round to grey levels."""
    levels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


def stretched(values: NDArray[np.float32]) -> Pixels:
    """Spread values from zero up over the grey levels, brighter than in proportion."""
    return to_bytes(255 * np.sqrt(values / values.max()))


def draw_contact_sheet(pictures: Iterable[Picture]) -> Figure:
    """Lay the pictures out in rows of four."""
    figure = Figure(figsize=(18, 15.3), dpi=100, facecolor="white")
    figure.subplots_adjust(left=0.015, right=0.985, bottom=0.012, top=0.92, wspace=0.05, hspace=0.17)
    figure.text(0.015, 0.966, "imkernels", fontsize=26, weight="bold")
    figure.text(0.985, 0.968, machine(), fontsize=13, color="dimgray", ha="right")
    for axes, picture in zip(figure.subplots(3, 4).flat, pictures, strict=True):
        axes.imshow(picture.pixels[picture.shown], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.axis("off")
        axes.text(0, 1.07, picture.title, fontsize=13, weight="bold", transform=axes.transAxes)
        axes.text(0, 1.02, picture.call, fontsize=10.5, family="monospace", color="dimgray", transform=axes.transAxes)
        if picture.psnr is not None:
            axes.text(1, 1.07, f"{picture.psnr:.1f} dB", fontsize=13, ha="right", transform=axes.transAxes)
    return figure


def table(pictures: Iterable[Picture]) -> str:
    """Set the pictures out as lines of text, with the conditions of the measurement."""
    lines = [machine(), "", f"{'picture':<32}{'call':<44}{'PSNR, dB':>8}{'Mpx/s':>9}"]
    for picture in pictures:
        decibels = "" if picture.psnr is None else f"{picture.psnr:.1f}"
        rate = "" if picture.rate is None else f"{picture.rate:.0f}"
        lines.append(f"{picture.title:<32}{picture.call:<44}{decibels:>8}{rate:>9}")
    lines += ["", f"Mpx/s: the best of {REPEATS} calls with out=, each channel of a pixel counted."]
    return "\n".join(lines)


def machine() -> str:
    """Tell the conditions that rates depend on."""
    return f"instruction set: {ik.isa_level()}; threads: {ik.get_workers()}"
