"""``python -m imkernels median in.png out.png``: pictures through files equal the functions on arrays."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import imkernels as ik
import numpy as np
import pytest
from imkernels.__main__ import main

from tests.conftest import peer

pytestmark = pytest.mark.wrapper

PROGRAM = "python -m imkernels"
RANDOM = np.random.default_rng(5)


def noise(dtype, *shape):
    """Return random values of all bits."""
    if dtype == "f4":
        return RANDOM.normal(0, 1e4, shape).astype("f4")
    if dtype == "?":
        return RANDOM.random(shape) < 0.5
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max, shape, dtype, endpoint=True)


KINDS = {  # Pillow's modes
    "1": noise("?", 17, 23),
    "L": noise("u1", 17, 23),
    "LA": noise("u1", 17, 23, 2),
    "RGB": noise("u1", 17, 23, 3),
    "RGBA": noise("u1", 17, 23, 4),
    "CMYK": noise("u1", 17, 23, 4),
    "I;16": noise("u2", 17, 23),
    "I": noise("i4", 17, 23),
    "F": noise("f4", 17, 23),
}
HELD = {
    "png": ("1", "L", "LA", "RGB", "RGBA", "I;16"),
    "tif": tuple(KINDS),
    "bmp": ("1", "L", "RGB"),
    "webp": ("RGB", "RGBA"),
    "pbm": ("1",),
    "pgm": ("L", "I;16"),
    "ppm": ("RGB",),
    "pfm": ("F",),
    "jpg": ("L", "RGB", "CMYK"),
}
LOSSLESS = [(suffix, kind) for suffix, kinds in HELD.items() for kind in kinds if suffix != "jpg"]
GREY, COLOUR = KINDS["L"], KINDS["RGB"]


@pytest.fixture
def pillow():
    return peer("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch, pillow):
    """Return an empty folder, which is the current one too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name, pixels, kind=None, **settings):
    image = picture(pixels, kind)
    image.save(name, **settings)
    return Path(name)


def picture(pixels, kind=None):
    from PIL import Image

    if kind is None:
        return Image.fromarray(pixels)
    layout = {"1": "1;8", "I;16": "I;16N"}.get(kind, kind)
    return Image.frombytes(kind, pixels.shape[1::-1], pixels.tobytes(), "raw", layout)


def load(name):
    """Return the kind of a picture and its pixels."""
    from PIL import Image

    with Image.open(name) as image:
        return image.mode, np.asarray(image)


def refused(capsys, *words, status=1):
    """Return what the command says in one line as it refuses."""
    with pytest.raises(SystemExit) as exit:
        main(list(map(str, words)))
    printed = capsys.readouterr()
    assert printed.out == ""
    if isinstance(exit.value.code, str):  # Python prints it, and ends with status 1
        assert status == 1
        assert "\n" not in exit.value.code
        return exit.value.code.removeprefix(f"{PROGRAM} {words[0]}: ")
    assert exit.value.code == status
    return printed.err


# The functions


@pytest.mark.parametrize(
    ("command", "options", "function", "arguments"),
    [
        ("median", "--size 5", "median_filter", {"size": 5}),
        ("median_filter", "--size 3x7", "median_filter", {"size": (3, 7)}),
        (
            "median",
            "--size 3 --stride 2x3 --padding valid",
            "median_filter",
            dict(size=3, stride=(2, 3), padding="valid"),
        ),
        ("median", "--size 4 --padding 2", "median_filter", {"size": 4, "padding": 2}),
        ("median", "--size 3 --padding 2x0 --workers 2", "median_filter", {"size": 3, "padding": (2, 0)}),
        ("median", "--size 5 --mode constant --cval 255", "median_filter", dict(size=5, mode="constant", cval=255)),
        ("rank", "--rank -2 --size 3 --mode wrap", "rank_filter", {"rank": -2, "size": 3, "mode": "wrap"}),
        ("rank_filter", "--rank 4 --size 3", "rank_filter", {"rank": 4, "size": 3}),
        ("percentile", "--percentile 33.3 --size 5", "percentile_filter", {"percentile": 33.3, "size": 5}),
        ("percentile_filter", "--percentile -20 --size 5", "percentile_filter", {"percentile": -20, "size": 5}),
        ("minimum", "--size 3", "minimum_filter", {"size": 3}),
        ("minimum_filter", "--size 1x9 --mode nearest", "minimum_filter", {"size": (1, 9), "mode": "nearest"}),
        ("maximum", "--size 3 --nan omit", "maximum_filter", {"size": 3}),
        ("maximum_filter", "--size 2", "maximum_filter", {"size": 2}),
        ("box", "--size 5 --mode mirror", "box_blur", {"size": 5, "mode": "mirror"}),
        ("box_blur", "--size 5 --stride 2", "box_blur", {"size": 5, "stride": 2}),
        ("blur", "--size 5", "box_blur", {"size": 5}),
        ("gaussian", "--sigma 1.5", "gaussian_filter", {"sigma": 1.5, "dtype": np.uint8}),
        (
            "gaussian_filter",
            "--sigma 0x2.5 --truncate 2",
            "gaussian_filter",
            dict(sigma=(0, 2.5), truncate=2, dtype="u1"),
        ),
        ("max_pool", "--size 2", "max_pool", {"size": 2}),
        ("max_pool", "--size 3 --stride 2 --padding 1", "max_pool", {"size": 3, "stride": 2, "padding": 1}),
        ("avg_pool", "--size 2x3 --padding same --stride 1", "avg_pool", dict(size=(2, 3), padding="same", stride=1)),
    ],
)
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_command_is_its_function(folder, command, options, function, arguments, pixels):
    save("in.png", pixels)
    main([command, "in.png", "out.png", *options.split()])
    np.testing.assert_array_equal(load("out.png")[1], getattr(ik, function)(pixels, axes=(0, 1), **arguments))


@pytest.mark.parametrize(("suffix", "kind"), LOSSLESS)
def test_every_kind_of_pixels_keeps_its_dtype(folder, suffix, kind):
    pixels = KINDS[kind]
    save("in.tif", pixels, kind)
    main(["median", "in.tif", f"out.{suffix}", "--size", "3"])
    found, result = load(f"out.{suffix}")
    assert found == kind or (found, kind, suffix) == ("I", "I;16", "pgm")  # so Pillow calls it
    assert result.dtype == pixels.dtype or suffix == "pgm"
    np.testing.assert_array_equal(result, ik.median_filter(pixels, 3, axes=(0, 1)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "1"])
def test_blurs_are_rounded_to_the_kind_of_the_picture(folder, kind):
    pixels = KINDS[kind]
    save("in.tif", pixels, kind)
    main(["box", "in.tif", "box.tif", "--size", "3"])
    main(["gaussian", "in.tif", "gaussian.tif", "--sigma", "1"])
    np.testing.assert_array_equal(load("box.tif")[1], ik.box_blur(pixels, 3, axes=(0, 1)))
    rounded = ik.gaussian_filter(pixels, 1, axes=(0, 1), dtype=pixels.dtype)
    np.testing.assert_array_equal(load("gaussian.tif")[1], rounded)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bits_of_grey_are_read_from_every_format(folder, suffix):
    pixels = KINDS["I;16"]
    save(f"in.{suffix}", pixels, "I;16")
    main(["median", f"in.{suffix}", "out.png", "--size", "3"])
    kind, result = load("out.png")
    assert kind == "I;16"
    np.testing.assert_array_equal(result, ik.median_filter(pixels, 3))


def test_big_endian_tiff_is_kept_to_16_bits(folder):
    pixels = KINDS["I;16"]
    from PIL import Image

    Image.frombytes("I;16B", (23, 17), pixels.astype(">u2").tobytes()).save("in.tif")
    assert load("in.tif")[0] == "I;16B"
    main(["median", "in.tif", "out.tif", "--size", "3"])
    np.testing.assert_array_equal(load("out.tif")[1], ik.median_filter(pixels, 3))


def test_nan_is_as_asked_for(folder):
    pixels = KINDS["F"].copy()
    pixels[5, 5] = np.nan
    save("in.tif", pixels)
    for nan in ("propagate", "omit"):
        main(["median", "in.tif", "out.tif", "--size", "3", "--nan", nan])
        np.testing.assert_array_equal(load("out.tif")[1], ik.median_filter(pixels, 3, nan=nan))


@pytest.mark.parametrize("command", ["box --size 3", "avg_pool --size 3", "gaussian --sigma 1"])
def test_means_of_1_bit_pictures_are_refused(folder, capsys, command):
    save("in.png", KINDS["1"])
    command, *options = command.split()
    said = refused(capsys, command, "in.png", "out.png", *options)
    assert said.endswith("cannot take a 1-bit picture, of which it would make greys: make it grey first")
    assert not Path("out.png").exists()


def test_a_palette_becomes_colours(folder):
    image = picture(COLOUR).quantize(8)
    image.save("in.png")
    main(["median", "in.png", "out.png", "--size", "3"])
    kind, result = load("out.png")
    assert kind == "RGB"
    np.testing.assert_array_equal(result, ik.median_filter(np.asarray(image.convert("RGB")), 3, axes=(0, 1)))


@pytest.mark.parametrize(
    ("image", "key", "kind"),
    [
        (lambda: picture(COLOUR).quantize(8), 3, "RGBA"),
        (lambda: picture(COLOUR // 128), (0, 1, 1), "RGBA"),
        (lambda: picture(GREY // 64), 2, "LA"),
        (lambda: picture(KINDS["1"]), 0, "LA"),
    ],
    ids=["palette", "colour", "grey", "1-bit"],
)
def test_a_transparent_colour_becomes_transparency(folder, image, key, kind):
    from PIL import Image

    image().save("in.png", transparency=key)
    with Image.open("in.png") as file:
        pixels = np.asarray(file.convert(kind))
    assert 0 < (pixels[..., -1] == 0).mean() < 1
    main(["median", "in.png", "out.png", "--size", "3"])
    assert load("out.png")[0] == kind
    np.testing.assert_array_equal(load("out.png")[1], ik.median_filter(pixels, 3, axes=(0, 1)))


def test_a_transparent_value_of_16_bits_is_refused(folder, capsys):
    save("in.png", KINDS["I;16"], "I;16", transparency=7)
    said = refused(capsys, "median", "in.png", "out.png", "--size", 3)
    assert said == "cannot read in.png: one of its values is transparent, which 16-bit grey cannot keep"


# How a picture looks


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_pictures_are_turned_upright(folder, orientation, suffix):
    from PIL import Image, ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    save("in.png", COLOUR, exif=exif)
    with Image.open("in.png") as file:
        upright = np.asarray(ImageOps.exif_transpose(file))
    main(["median", "in.png", f"out.{suffix}", "--size", "1x5"])
    with Image.open(f"out.{suffix}") as file:
        assert file.getexif().get(0x0112, 1) == 1
        np.testing.assert_array_equal(file, ik.median_filter(upright, (1, 5), axes=(0, 1)))


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_colour_profile_and_resolution_are_kept(folder, suffix):
    from PIL import Image, ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    save("in.png", COLOUR, icc_profile=profile, dpi=(300, 150))
    main(["median", "in.png", f"out.{suffix}", "--size", "3"])
    with Image.open(f"out.{suffix}") as file:
        assert file.info["icc_profile"] == profile
        assert tuple(map(round, file.info["dpi"])) == (300, 150)


def test_jpeg_is_written_close_to_the_result(folder):
    rows, columns = np.mgrid[:64, :64]
    smooth = np.stack([rows * 3, columns * 3, rows + columns], axis=-1).astype(np.uint8)
    save("in.png", smooth)
    main(["box", "in.png", "out.jpg", "--size", "3"])
    expected = ik.box_blur(smooth, 3, axes=(0, 1)).astype(int)
    assert np.abs(load("out.jpg")[1] - expected).max() < 12


# What would be lost


def png_of_16_bit_colour(channels):
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    kind = {2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.tobytes() for row in noise("u2", 4, 5 * channels))
    head = struct.pack(">IIBBBBB", 5, 4, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_of_16_bit_colour_is_refused(folder, capsys, channels):
    Path("in.png").write_bytes(png_of_16_bit_colour(channels))
    said = refused(capsys, "median", "in.png", "out.png", "--size", 3)
    assert said.startswith(
        "cannot read in.png: it holds 16 bits per channel, of which Pillow reads 8: read it in Python"
    )


def test_netpbm_of_16_bit_colour_is_refused(folder, capsys):
    Path("in.ppm").write_bytes(b"P6 2 2 1023\n" + bytes(24))
    said = refused(capsys, "median", "in.ppm", "out.png", "--size", 3)
    assert said.startswith("cannot read in.ppm: it holds 10 bits per channel")


@pytest.mark.parametrize("arguments", [{}, {"planarconfig": "separate"}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_tiff_of_16_bit_colour_is_refused(folder, capsys, arguments):
    pixels = noise("u2", 8, 9, 3)
    if "planarconfig" in arguments:
        pixels = np.moveaxis(pixels, -1, 0).copy()
    peer("tifffile").imwrite("in.tif", pixels, photometric="rgb", **arguments)
    said = refused(capsys, "median", "in.tif", "out.tif", "--size", 3)
    assert said.startswith("cannot read in.tif: it holds 16 bits per channel, of which Pillow reads 8: ")
    assert not Path("out.tif").exists()


@pytest.mark.parametrize(
    ("dtype", "photometric", "reason"),
    [
        ("u4", "minisblack", "it holds unsigned 32-bit integers, which Pillow reads as signed ones"),
        ("i1", "minisblack", "it holds signed 8-bit integers, which Pillow reads as unsigned ones"),
        ("u2", "miniswhite", "its 0 is white, which Pillow overlooks in 16-bit grey"),
    ],
)
def test_tiff_that_pillow_would_misread_is_refused(folder, capsys, dtype, photometric, reason):
    peer("tifffile").imwrite("in.tif", noise(dtype, 8, 9), photometric=photometric)
    assert refused(capsys, "median", "in.tif", "out.tif", "--size", 3) == f"cannot read in.tif: {reason}"


def test_jpeg_2000_of_16_bit_colour_is_refused(folder, capsys):
    try:
        save("in.jp2", COLOUR)
    except (OSError, KeyError) as error:
        pytest.skip(f"Pillow: {error}")
    main(["median", "in.jp2", "out.png", "--size", "3"])
    np.testing.assert_array_equal(load("out.png")[1], ik.median_filter(COLOUR, 3, axes=(0, 1)))
    data = bytearray(Path("in.jp2").read_bytes())
    data[data.find(b"\xff\x4f\xff\x51") + 42] = 15
    Path("in.jp2").write_bytes(data)
    assert "it holds 16 bits per channel" in refused(capsys, "median", "in.jp2", "out.png", "--size", 3)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_several_pictures_in_a_file_are_refused(folder, capsys, suffix):
    frames = [picture(noise("u1", 8, 9, 3)) for _ in range(3)]
    frames[0].save(f"in.{suffix}", save_all=True, append_images=frames[1:])
    said = refused(capsys, "median", f"in.{suffix}", "out.png", "--size", 3)
    assert said == f"cannot read in.{suffix}: it holds 3 pictures, and this command filters single ones"


@pytest.mark.parametrize(
    ("suffix", "kind"), [(suffix, kind) for suffix, kinds in HELD.items() for kind in KINDS if kind not in kinds]
)
def test_formats_that_cannot_hold_the_pixels(folder, capsys, monkeypatch, suffix, kind):
    save("in.tif", KINDS[kind], kind)
    monkeypatch.setattr(ik, "median_filter", None)  # told before anything is computed
    monkeypatch.setattr("imkernels._files.add_arguments", lambda parser, command: accept(parser))
    monkeypatch.setattr("imkernels._files.summary", lambda command: command)
    said = refused(capsys, "median", "in.tif", f"out.{suffix}")
    assert said.startswith(f"cannot write out.{suffix}: .{suffix} files cannot hold ")
    assert ".tif" in said.rpartition("these can: ")[2]
    assert not Path(f"out.{suffix}").exists()


def accept(parser):
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)


# The output file


def test_the_output_may_be_the_input(folder):
    save("in.png", COLOUR)
    main(["median", "in.png", "in.png", "--size", "3"])
    np.testing.assert_array_equal(load("in.png")[1], ik.median_filter(COLOUR, 3, axes=(0, 1)))
    assert os.listdir() == ["in.png"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_the_umask_gives(folder, mask):
    save("in.png", GREY)
    before = os.umask(mask)
    try:
        main(["median", "in.png", "out.png", "--size", "3"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat("out.png").st_mode) == 0o666 & ~mask


def test_a_file_that_is_replaced_keeps_its_mode_and_its_link(folder):
    save("in.png", GREY)
    Path("real.png").write_text("old")
    Path("real.png").chmod(0o640)
    Path("out.png").symlink_to("real.png")
    main(["median", "in.png", "out.png", "--size", "3"])
    assert Path("out.png").is_symlink()
    assert stat.S_IMODE(os.stat("real.png").st_mode) == 0o640
    np.testing.assert_array_equal(load("real.png")[1], ik.median_filter(GREY, 3))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_file_stays_as_it_is_if_writing_fails(folder, capsys, monkeypatch, pillow, error):
    save("in.png", GREY)
    Path("out.png").write_text("kept")

    def half(self, stream, *arguments, **settings):
        stream.write(b"half")
        raise error

    monkeypatch.setattr(pillow.Image, "save", half)
    interrupted = isinstance(error, KeyboardInterrupt)
    said = refused(capsys, "median", "in.png", "out.png", "--size", 3, status=130 if interrupted else 1)
    if interrupted:
        assert said == f"{PROGRAM} median: interrupted\n"
    else:
        reason = "there is not enough memory" if isinstance(error, MemoryError) else "No space left on device"
        assert said == f"cannot write out.png: {reason}"
    assert Path("out.png").read_text() == "kept"
    assert sorted(os.listdir()) == ["in.png", "out.png"]


@pytest.mark.parametrize("name", ["out", "out.xyz", "out.gif", "out.png.", ".png"])
def test_unknown_suffixes_are_refused_before_reading(folder, capsys, name):
    said = refused(capsys, "median", "missing.png", name, "--size", 3)
    assert said.startswith(f"cannot write {name}: its suffix must be one of .png, .tif, ")


def test_what_is_in_the_way_of_the_output(folder, capsys):
    save("in.png", GREY)
    Path("folder.png").mkdir()
    os.mkfifo("pipe.png")
    for name in ("folder.png", "pipe.png"):
        said = refused(capsys, "median", "in.png", name, "--size", 3)
        assert said == f"cannot write {name}: a folder or a device is there, and no file"
    said = refused(capsys, "median", "in.png", "missing/out.png", "--size", 3)
    assert said == "cannot write missing/out.png: No such file or directory"
    said = refused(capsys, "median", "in.png", "in.png/out.png", "--size", 3)
    assert said == "cannot write in.png/out.png: Not a directory"


def test_files_without_permission(folder, capsys, monkeypatch):
    save("in.png", GREY)
    Path("out.png").write_text("kept")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do anything
    said = refused(capsys, "median", "in.png", "out.png", "--size", 3)
    assert said == "cannot write out.png: it is there and may not be written to"
    assert Path("out.png").read_text() == "kept"

    def denied(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    said = refused(capsys, "median", "in.png", "new.png", "--size", 3)
    assert said == "cannot write new.png: Permission denied"


# The input file


def test_files_that_cannot_be_read(folder, capsys, monkeypatch, pillow):
    Path("folder.png").mkdir()
    Path("text.png").write_text("no picture")
    Path("empty.png").touch()
    reasons = {
        "missing.png": "No such file or directory",
        "folder.png": "Is a directory",
        "text.png": "it is no picture that Pillow knows",
        "empty.png": "it is no picture that Pillow knows",
    }
    for name, reason in reasons.items():
        assert refused(capsys, "median", name, "out.png", "--size", 3) == f"cannot read {name}: {reason}"

    def denied(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pillow, "open", denied)
    assert refused(capsys, "median", "a.png", "out.png", "--size", 3) == "cannot read a.png: Permission denied"


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "ppm", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_pictures_are_refused(folder, capsys, suffix, share):
    save(f"in.{suffix}", noise("u1", 64, 64, 3))
    data = Path(f"in.{suffix}").read_bytes()
    Path(f"in.{suffix}").write_bytes(data[: int(len(data) * share)])
    assert refused(capsys, "median", f"in.{suffix}", "out.png", "--size", 3).startswith(f"cannot read in.{suffix}: ")
    assert not Path("out.png").exists()


def test_decompression_bombs_are_refused(folder, capsys, monkeypatch, pillow):
    save("in.png", GREY)
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", GREY.size // 3)
    said = refused(capsys, "median", "in.png", "out.png", "--size", 3)
    assert said.startswith("cannot read in.png: Image size (391 pixels) exceeds limit")
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", GREY.size - 1)  # large, and no bomb
    main(["median", "in.png", "out.png", "--size", "3"])


def test_a_file_name_of_two_lines_is_told_in_one(folder, capsys):
    assert refused(capsys, "median", "a\nb.png", "out.png", "--size", 3) == (
        "cannot read a b.png: No such file or directory"
    )


def test_pillow_is_named_where_it_is_missing(folder, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "imkernels._pictures", raising=False)
    monkeypatch.delattr("imkernels._pictures", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    said = refused(capsys, "median", "in.png", "out.png", "--size", 3)
    assert said == "PIL is not installed: pip install 'imkernels[files]'"


# Options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--size 0", "size must be at least 1, got 0"),
        ("--size 3 --stride 0", "stride must be at least 1, got 0"),
        ("--size 3 --mode nonsense", "mode must be "),
        ("--size 3 --padding nonsense", "padding must be "),
        ("--size 3 --padding -1", "padding must be at least 0, got -1"),
        ("--size 3 --mode constant --cval 256", "cval must be a value that uint8 can hold, got 256"),
        ("--size 3 --workers 0", "workers must be a positive number of threads or -1 for all, got 0"),
        ("--size 99 --padding valid", "size must not exceed the padded image"),
        ("--size 18x1 --padding valid", "size must not exceed the padded image"),
    ],
)
def test_what_the_function_refuses_is_told_in_one_line(folder, capsys, options, said):
    save("in.png", GREY)
    Path("out.png").write_text("kept")
    assert refused(capsys, "median", "in.png", "out.png", *options.split()).startswith(said)
    assert Path("out.png").read_text() == "kept"


@pytest.mark.parametrize(
    "words",
    [
        "median in.png out.png",
        "median in.png --size 3",
        "median in.png out.png --size abc",
        "median in.png out.png --size 3x4x5",
        "median in.png out.png --size 2.5",
        "median in.png out.png --size 3 --cval abc",
        "median in.png out.png --size 3 --nan nonsense",
        "median in.png out.png --size 3 --rank 1",
        "median in.png out.png --siz 3",
        "rank in.png out.png --size 3",
        "rank in.png out.png --size 3 --rank 1.5",
        "percentile in.png out.png --size 3",
        "gaussian in.png out.png --size 3",
        "gaussian in.png out.png --sigma 1y2",
        "max_pool in.png out.png --size 2 --mode wrap",
        "box in.png out.png --size 3 --nan omit",
    ],
)
def test_wrong_options_are_argparses_to_refuse(capsys, words):
    command, *options = words.split()
    said = refused(capsys, command, *options, status=2)
    assert f"{PROGRAM} {command}: error: " in said or f"{PROGRAM}: error: unrecognized arguments: --" in said


@pytest.mark.parametrize(
    "command",
    ["median", "rank", "percentile", "minimum", "maximum", "box", "blur", "gaussian", "max_pool", "avg_pool"],
)
def test_help_tells_the_defaults_of_the_function(capsys, command):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: {PROGRAM} ")
    pools = command.endswith("pool")
    assert ("(default: the window's size)" in said) == pools
    assert ("(default: 0)" if pools else "(default: same)") in said
    assert ("(default: reflect)" in said) == (not pools)
    assert "Colours of a palette become RGB" in said


@pytest.mark.parametrize("missing", [False, True])
def test_in_a_process_of_its_own(tmp_path, pillow, missing):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    if not missing:
        save(source, COLOUR)
    words = [sys.executable, "-W", "error", "-m", "imkernels", "median", str(source), str(target), "--size", "3"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    if missing:
        assert done.returncode == 1
        assert done.stderr == f"{PROGRAM} median: cannot read {source}: No such file or directory\n"
    else:
        assert (done.returncode, done.stderr) == (0, "")
        np.testing.assert_array_equal(load(target)[1], ik.median_filter(COLOUR, 3, axes=(0, 1)))
