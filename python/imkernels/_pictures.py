"""Picture files as arrays and back, by Pillow: nothing is lost in silence, and no file is left half-written."""

import contextlib
import math
import os
import re
import secrets
import shutil
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from imkernels._files import CommandError

# Pillow's name of a kind of pixels, and the words for it.
KINDS = {
    "1": "1-bit pixels",
    "L": "grey",
    "LA": "grey with transparency",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
    "CMYK": "CMYK",
    "I;16": "16-bit grey",
    "I": "32-bit integers",
    "F": "32-bit floats",
}


class Format(NamedTuple):
    """A file format: Pillow's name, the kinds of pixels that it holds, and how it is written."""

    name: str
    kinds: tuple[str, ...]
    settings: dict[str, Any] = {}  # noqa: RUF012  # never written to


_JPEG = Format("JPEG", ("L", "RGB", "CMYK"), {"quality": 95, "subsampling": 0})
_TIFF = Format("TIFF", tuple(KINDS))
FORMATS = {
    ".png": Format("PNG", ("1", "L", "LA", "RGB", "RGBA", "I;16")),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Format("WEBP", ("RGB", "RGBA"), {"lossless": True, "exact": True}),
    ".bmp": Format("BMP", ("1", "L", "RGB")),
    ".pbm": Format("PPM", ("1",)),
    ".pgm": Format("PPM", ("L", "I;16")),
    ".ppm": Format("PPM", ("RGB",)),
    ".pfm": Format("PPM", ("F",)),
}


class Picture(NamedTuple):
    """The pixels, (H, W) or (H, W, C), their kind, and what else a viewer needs to show the picture as it is."""

    pixels: NDArray[Any]
    kind: str
    look: dict[str, Any]


# Reading


def read(path: Path) -> Picture:
    """Read a picture file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Picture
        With channels last, upright, a palette's indices as its colours.

    Raises
    ------
    CommandError
        If the file cannot be read, or holds what would be lost.
    """
    with _in_one_line(f"cannot read {path}"), warnings.catch_warnings():
        # They are about metadata, and about pictures of more than 89 Mpx; damaged pixels and twice as many raise.
        warnings.simplefilter("ignore")
        with Image.open(path) as file:
            _refuse_frames(file)
            kind = _stored_kind(file)
            image = _with_colours(ImageOps.exif_transpose(file))
        pixels = np.asarray(image)
        if kind == "I;16":
            pixels = pixels.astype(np.uint16)  # in native byte order, which Pillow's may not be
        return Picture(pixels, kind if kind == "I;16" else _known(image.mode), _look(image))


def _refuse_frames(file: ImageFile.ImageFile) -> None:
    frames = getattr(file, "n_frames", 1)
    if frames > 1:
        raise CommandError(f"it holds {frames} pictures, and this command filters single ones")


def _stored_kind(file: ImageFile.ImageFile) -> str:
    """Return the kind of pixels in a file; refuse one that Pillow would read as fewer bits than there are."""
    stored, held = _stored_bits(file), {"I;16": 16, "I": 32, "F": 32}.get(file.mode[:4], 8)
    if stored > held:
        raise CommandError(
            f"it holds {stored} bits per channel, of which Pillow reads {held}: "
            "read it in Python by another library (tifffile, OpenCV) and call the function on the array"
        )
    if isinstance(file, TiffImageFile):
        _refuse_misread(file, stored)
    # Netpbm files, and PNG by older versions of Pillow, hold 16 bits and come as 32.
    from_16_bits = file.mode == "I" and file.format in ("PPM", "PNG")
    return "I;16" if from_16_bits or file.mode.startswith("I;16") else file.mode


def _refuse_misread(file: TiffImageFile, bits: int) -> None:
    """Refuse a TIFF file whose values Pillow would take for others."""
    unsigned, signed = 1, 2
    sample_format = _tag(file, _SAMPLE_FORMAT, unsigned)
    if file.mode == "I" and bits == 32 and sample_format == unsigned:
        raise CommandError("it holds unsigned 32-bit integers, which Pillow reads as signed ones")
    if file.mode == "L" and sample_format == signed:
        raise CommandError("it holds signed 8-bit integers, which Pillow reads as unsigned ones")
    if file.mode.startswith("I;16") and _tag(file, _PHOTOMETRIC, 1) == 0:
        raise CommandError("its 0 is white, which Pillow overlooks in 16-bit grey")


def _stored_bits(file: ImageFile.ImageFile) -> int:
    """Return the bits of a channel as the file says, 0 where it is of no concern."""
    if isinstance(file, TiffImageFile):
        return _tag(file, _BITS_PER_SAMPLE, 1)
    if file.format == "JPEG2000":
        return _jpeg2000_bits(file)
    if not file.tile:
        return 0
    arguments = file.tile[0][3]
    rawmode, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
    if file.format == "PPM" and len(rest) == 1:
        return int(rest[0]).bit_length()  # the largest value
    # "RGB;16B"; but "BGR;16" is a pixel of 16 bits.
    found = re.fullmatch(r"(?!BGR)\w+;(16|32|64)[BLNFS]+", str(rawmode))
    return int(found[1]) if found else 0


_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339


def _tag(file: TiffImageFile, number: int, default: int) -> int:
    """Return a tag's value, the greatest where there are several."""
    value = file.tag_v2.get(number, default)
    return int(max(value) if isinstance(value, tuple) else value)


def _jpeg2000_bits(file: ImageFile.ImageFile) -> int:
    with open(file.filename, "rb") as stream:
        head = stream.read(2**20)
    start = head.find(b"\xff\x4f\xff\x51")  # the codestream, which opens with its image's and channels' sizes
    return (head[start + 42] & 0x7F) + 1 if 0 <= start < len(head) - 42 else 0


def _with_colours(image: Image.Image) -> Image.Image:
    """Turn indices into a palette into colours, and a transparent colour into transparency."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if "transparency" not in image.info or image.mode in ("LA", "RGBA"):
        return image
    if image.mode not in ("1", "L", "RGB"):
        raise CommandError(
            f"one of its values is transparent, which {KINDS.get(image.mode[:4], image.mode)} cannot keep"
        )
    return image.convert("RGBA" if image.mode == "RGB" else "LA")


def _known(mode: str) -> str:
    if mode not in KINDS:
        raise CommandError(f"its pixels are {mode}, and this command knows {', '.join(KINDS.values())}")
    return mode


def _look(image: Image.Image) -> dict[str, Any]:
    look = {}
    if image.info.get("icc_profile"):
        look["icc_profile"] = image.info["icc_profile"]
    density = tuple(float(number) for number in image.info.get("dpi", ()))
    if len(density) == 2 and all(math.isfinite(number) and number > 0 for number in density):
        look["dpi"] = density
    return look


# Writing


class Target:
    """A file to be written, checked before anything is computed.

    Parameters
    ----------
    path : Path
        The file. One that is there is replaced; a symbolic link stays one.

    Raises
    ------
    CommandError
        If the file's suffix names no format, or there is something in its way.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _in_one_line(f"cannot write {path}"):
            self._format = _format(path)
            self._place = Path(os.path.realpath(path))
            _check_place(self._place)

    def check_holds(self, picture: Picture) -> None:
        """Refuse a picture of a kind that the format does not hold."""
        if picture.kind not in self._format.kinds:
            able = (suffix for suffix, format in FORMATS.items() if picture.kind in format.kinds)
            raise CommandError(
                f"cannot write {self._path}: {self._path.suffix} files cannot hold {KINDS[picture.kind]}; "
                f"these can: {', '.join(able)}"
            )

    def write(self, picture: Picture) -> None:
        """Write a picture, all of it or nothing."""
        with _in_one_line(f"cannot write {self._path}"), _replacement(self._place) as stream:
            _image(picture).save(stream, self._format.name, **self._format.settings, **picture.look)


def _format(path: Path) -> Format:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise CommandError(f"its suffix must be one of {', '.join(FORMATS)}, got {path.suffix!r}")
    return FORMATS[suffix]


def _check_place(place: Path) -> None:
    """Raise if a normal write to a file would fail: one that is renamed into its place might not."""
    try:
        there = place.stat()
    except FileNotFoundError:
        place.parent.stat()
        return
    if not stat.S_ISREG(there.st_mode):
        raise CommandError("a folder or a device is there, and no file")
    if not os.access(place, os.W_OK):
        raise CommandError("it is there and may not be written to")


def _image(picture: Picture) -> Image.Image:
    height, width = picture.pixels.shape[:2]
    layout = {"1": "1;8", "I;16": "I;16N"}.get(picture.kind, picture.kind)
    return Image.frombytes(picture.kind, (width, height), picture.pixels.tobytes(), "raw", layout)


@contextlib.contextmanager
def _replacement(place: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its place once everything is written; if that fails nothing has changed."""
    temporary = place.with_name(f".imkernels-{secrets.token_hex(8)}")
    # os.open, unlike tempfile, gives a file the mode that the umask and the folder ask for.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with open(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
        if place.exists():
            shutil.copymode(place, temporary)
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# What goes wrong


@contextlib.contextmanager
def _in_one_line(task: str) -> Iterator[None]:
    """Turn whatever goes wrong with a file into a `CommandError`: damaged ones raise nearly anything."""
    try:
        yield
    except CommandError as error:
        raise CommandError(f"{task}: {error}") from None
    except Exception as error:
        raise CommandError(f"{task}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture that Pillow knows"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
