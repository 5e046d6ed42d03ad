"""The commands that filter picture files: what there is, how options are read, and one call from file to file."""

import argparse
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import imkernels
from imkernels._ufunc import KernelFunction

# Every command and its other names, the function's name first.
COMMANDS = {
    "median": ("median_filter",),
    "rank": ("rank_filter",),
    "percentile": ("percentile_filter",),
    "minimum": ("minimum_filter",),
    "maximum": ("maximum_filter",),
    "box": ("box_blur", "blur"),
    "gaussian": ("gaussian_filter",),
    "max_pool": ("max_pool",),
    "avg_pool": ("avg_pool",),
}

PICTURES = """\
Pictures are 1-bit, grey of 8, 16 or 32 bits, float, RGB or CMYK, with transparency or without, and stay what they
are; results are rounded to them. Every channel is filtered by itself, transparency too. Colours of a palette become
RGB. A picture is turned upright as its EXIF orientation says; its colour profile and resolution are kept, other
metadata is not. JPEG is written at quality 95, WebP without loss. INPUT and OUTPUT may be the same file: it is replaced
when everything else is done."""


class CommandError(Exception):
    """What a command says in one line before it gives up."""


# The options


def _pair(number: Callable[[str], Any], example: str) -> Callable[[str], Any]:
    """Return a function that reads a number, or two with an x between them."""

    def read(words: str) -> Any:
        try:
            numbers = tuple(number(word) for word in words.lower().split("x"))
        except ValueError:
            numbers = ()
        if not 1 <= len(numbers) <= 2:
            raise argparse.ArgumentTypeError(f"must be a number or two, such as {example}, got {words!r}")
        return numbers[0] if len(numbers) == 1 else numbers

    return read


_extents = _pair(int, "5 or 3x7")


def _padding(words: str) -> Any:
    return words if words.isalpha() else _extents(words)


def _number(words: str) -> float:
    """Read a number as an int where it is one: an int holds every pixel value."""
    try:
        return int(words)
    except ValueError:
        return float(words)


class Option(NamedTuple):
    """How an argument of the functions is written on the command line."""

    read: Callable[[str], Any]
    metavar: str | None
    help: str


# A command has those of these options that its function has as arguments. Defaults are the function's.
OPTIONS = {
    "rank": Option(int, "N", "which of the window's sorted values: 0 is the smallest, -1 the largest"),
    "percentile": Option(_number, "P", "which of the window's sorted values, between 0 and 100"),
    "size": Option(_extents, "N|HxW", "height and width of the window: 5, or 3x7 for 3 rows and 7 columns"),
    "sigma": Option(_pair(float, "1.5 or 1x2.5"), "S|SxS", "standard deviation in pixels: one, or rows' x columns'"),
    "truncate": Option(_number, "T", "where the Gaussian is cut off, in standard deviations"),
    "stride": Option(_extents, "N|HxW", "pixels from one window to the next"),
    "padding": Option(_padding, "P", "pixels around the picture: same, valid (none), a number, or rows x columns"),
    "mode": Option(str, "M", "what stands outside the picture: reflect, mirror, nearest, wrap or constant (--cval)"),
    "cval": Option(_number, "V", "value outside the picture with --mode constant"),
    "nan": Option(str, None, "a NaN in the window gives NaN, or is left out"),
    "workers": Option(int, "N", "number of threads, -1 for all (default: as `info` says)"),
}


def function_of(command: str) -> KernelFunction[..., Any]:
    """Return the function behind a command."""
    function: KernelFunction[..., Any] = getattr(imkernels, COMMANDS[command][0])
    return function


def summary(command: str) -> str:
    """Return what a command does: the first line of its function's docstring."""
    return (function_of(command).__doc__ or "").partition("\n")[0]


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Give a command's parser the files and the options that its function takes."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="the picture file to read")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the picture file to write")
    parameters = inspect.signature(function_of(command)).parameters
    for name in OPTIONS:
        if name in parameters:
            _add_option(parser, parameters[name])


def _add_option(parser: argparse.ArgumentParser, parameter: inspect.Parameter) -> None:
    read, metavar, words = OPTIONS[parameter.name]
    # A footprint, which could stand in for the size, is nothing for a command line.
    required = parameter.default is parameter.empty or parameter.name == "size"
    if not required and parameter.default is not None:
        words += f" (default: {parameter.default})"
    elif parameter.name == "stride":
        words += " (default: the window's size)"
    is_choice = get_origin(parameter.annotation) is Literal
    parser.add_argument(
        f"--{parameter.name}",
        type=read,
        metavar=metavar,
        required=required,
        choices=get_args(parameter.annotation) if is_choice else None,
        default=argparse.SUPPRESS,  # what is not given is left to the function
        help=words,
    )


# The call


def run(command: str, options: argparse.Namespace) -> None:
    """Read a picture, filter it and write the result.

    Parameters
    ----------
    command : str
        One of `COMMANDS`.
    options : argparse.Namespace
        What the parser of `add_arguments` found.

    Raises
    ------
    CommandError
        If a file cannot be read or written, or the function does not take the picture or the options.
    ModuleNotFoundError
        If Pillow is not installed.
    """
    from imkernels import _pictures

    target = _pictures.Target(options.output)
    picture = _pictures.read(options.input)
    target.check_holds(picture)
    keywords = {name: value for name, value in vars(options).items() if name in OPTIONS}
    target.write(picture._replace(pixels=filtered(function_of(command), picture.pixels, keywords)))


def filtered(function: KernelFunction[..., Any], pixels: Any, keywords: Mapping[str, Any]) -> Any:
    """Return pixels (H, W) or (H, W, C), filtered and of the same dtype."""
    if pixels.dtype == bool and "?->?" not in function.types:
        raise CommandError(
            f"{function.__name__} cannot take a 1-bit picture, of which it would make greys: make it grey first"
        )
    try:
        return function(pixels, axes=(0, 1), dtype=pixels.dtype, **keywords)
    except (TypeError, ValueError) as error:
        raise CommandError(str(error)) from None
    except MemoryError:
        raise CommandError("there is not enough memory") from None
