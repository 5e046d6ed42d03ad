"""Instruction-set levels: side by side they agree, the environment forces one, their files are as promised."""

import importlib.util
import itertools
import platform
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from imkernels import _core

from tests.cases import DTYPES, FLOATS, INTEGERS, MODES, NUMPY_PAD, random_image
from tests.private_layer import Layer
from tests.processes import ROOT, run_alone, sanitized

LEVELS = _core.available_levels()
OTHERS = LEVELS[1:]
NAMES = ["baseline", "x86-64-v3", "x86-64-v4"]

# To past twice the widest vector of bytes (64), with its neighbours.
WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 129, 140]
WINDOWS = [(1, 1), (2, 2), (3, 3), (1, 5), (4, 3), (6, 1), (7, 7), (2, 13)]
STRIDES = [(1, 1), (1, 1), (2, 1), (1, 3), (3, 2)]


def layers():
    return [Layer(_core.load_level(level)) for level in LEVELS]


def draws(dtype, special=False):
    """Yield (image, geometry) for every width; what else there is varies with it."""
    rng = np.random.default_rng(7)
    for number, width in enumerate(WIDTHS):
        height = int(rng.integers(1, 12))
        image = random_image(rng, (2, height, width), dtype)
        if special and image.dtype.kind == "f":
            values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, np.finfo(dtype).smallest_subnormal], dtype)
            where = rng.random(image.shape) < 0.1
            image[where] = rng.choice(values, int(where.sum()))
        yield (
            image,
            {
                "size": WINDOWS[number % len(WINDOWS)],
                "stride": STRIDES[number % len(STRIDES)],
                "mode": MODES[number % len(MODES)],
            },
        )


def same(arrays):
    first = arrays[0]
    return all(a.dtype == first.dtype and a.shape == first.shape and a.tobytes() == first.tobytes() for a in arrays)


def absolute_windows(image, size, stride, mode):
    """Return |pixels| of every window, in float64."""
    pads = [(0, 0)] * (image.ndim - 2) + [(k // 2, (k - 1) // 2) for k in size]
    padded = np.pad(np.abs(image.astype(np.float64)), pads, mode=NUMPY_PAD[mode])
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(-2, -1))
    return windows[..., :: stride[0], :: stride[1], :, :]


needs_two = pytest.mark.skipif(len(LEVELS) < 2, reason=f"one level alone is here: {LEVELS}")


@needs_two
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_medians_are_equal_bit_for_bit(dtype):
    rng = np.random.default_rng(8)
    for image, geometry in draws(dtype, special=True):
        footprint = rng.random(geometry["size"]) < 0.6
        footprint[0, 0] = True
        for options in ({}, {"omit_nan": True}, {"footprint": footprint}):
            found = [layer.median_filter(image, **geometry, **options) for layer in layers()]
            assert same(found), (image.shape, geometry, options)


@needs_two
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ranks_and_percentiles_are_equal_bit_for_bit(dtype):
    for number, (image, geometry) in enumerate(draws(dtype, special=True)):
        rank = number % (geometry["size"][0] * geometry["size"][1])
        for rule, options in (((rank,), {}), ((None, 30.0), {}), ((None, 85.5), {"omit_nan": True})):
            size = geometry["size"]
            rest = {name: value for name, value in geometry.items() if name != "size"}
            found = [layer.order_filter(image, size, *rule, **rest, **options) for layer in layers()]
            for layer in layers():
                found.append(layer.sliding_filter(image, size, *rule, **rest, **options))
                if size != (1, 1):
                    found.append(layer.rank_network(image, size, *rule, **rest, **options))
                if image.itemsize == 1:
                    found.append(layer.histogram_filter(image, size, *rule, **rest))
            assert same(found), (image.shape, geometry, rule, options)


@needs_two
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_minima_and_maxima_are_equal_bit_for_bit(dtype):
    """They are those of the general filter as well."""
    for image, geometry in draws(dtype, special=True):
        for maximum, omit in itertools.product((False, True), repeat=2):
            found = [layer.extremum_filter(image, maximum=maximum, **geometry, omit_nan=omit) for layer in layers()]
            general = layers()[0].order_filter(image, rank=None, percentile=100.0 * maximum, **geometry, omit_nan=omit)
            assert same([*found, general]), (image.shape, geometry, maximum, omit)


@needs_two
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [3, 5, 7])
def test_networks_are_equal_bit_for_bit(dtype, size):
    for image, geometry in draws(dtype, special=True):
        geometry = geometry | {"size": (size, size), "stride": (1, 1)}
        found = [layer.median_network(image, **geometry) for layer in layers()]
        assert same([*found, layers()[0].median_filter(image, **geometry)]), (image.shape, geometry)


@needs_two
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pooled_values_and_positions_are_equal_bit_for_bit(dtype):
    for number, (image, geometry) in enumerate(draws(dtype, special=True)):
        del geometry["mode"]
        found = [layer.max_pool_with_argmax(image, **geometry) for layer in layers()]
        alone = [layer.max_pool(image, **geometry) for layer in layers()]
        assert same([values for values, _ in found] + alone), (image.shape, geometry)
        assert same([argmax for _, argmax in found]), (image.shape, geometry)
        argmax, plane = found[0][1], image.shape[-2:]
        grad = random_image(np.random.default_rng(number), argmax.shape, dtype)
        assert same([layer.max_unpool(grad, argmax, plane) for layer in layers()]), image.shape
        if image.dtype.char not in "?e":
            assert same([layer.max_pool_backward(grad, argmax, plane) for layer in layers()]), image.shape


@needs_two
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_maxima_of_adaptive_windows_are_equal_bit_for_bit(dtype):
    for number, (image, _) in enumerate(draws(dtype, special=True)):
        extents = (1 + number % 5, image.shape[-1] // 2 + 1)
        found = [layer.adaptive_max_pool(image, extents) for layer in layers()]
        assert same([values for values, _ in found]), (image.shape, extents)
        assert same([argmax for _, argmax in found]), (image.shape, extents)


@needs_two
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_are_equal_bit_for_bit(dtype):
    rng = np.random.default_rng(9)
    for image, geometry in draws(dtype):
        assert same([layer.box_blur(image, **geometry) for layer in layers()]), (image.shape, geometry)
        wide = np.uint64 if dtype.kind == "u" else np.int64
        sums = [layer.box_blur(image, **geometry, normalize=False, dtype=wide) for layer in layers()]
        assert same(sums), (image.shape, geometry)
        kernel = rng.integers(-9, 9, geometry.pop("size"))
        for working in [np.int64, np.int32][: 1 + (dtype.itemsize <= 2)]:
            weights = kernel.astype(working)
            found = [layer.correlate(image, weights, **geometry, dilation=(2, 1)) for layer in layers()]
            assert same(found), (image.shape, geometry, working)


@needs_two
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_averages_of_integers_are_equal_bit_for_bit(dtype):
    for number, (image, geometry) in enumerate(draws(dtype)):
        del geometry["mode"]
        counted = {"count_padding": number % 2 == 0, "divisor": (0, 7)[number % 3 == 0]}
        assert same([layer.avg_pool(image, **geometry, **counted) for layer in layers()]), (image.shape, geometry)
        extents = (1 + number % 5, image.shape[-1] // 2 + 1)
        assert same([layer.adaptive_avg_pool(image, extents) for layer in layers()]), (image.shape, extents)


def learned(dtype, working):
    """Yield (x, weight, bias, keywords): a layer of two groups for every width, its weights in a type to compute in."""
    rng = np.random.default_rng(12)
    for image, geometry in draws(dtype):
        x = random_image(rng, (2, 4, *image.shape[-2:]), dtype)
        shape = (6, 2, *geometry["size"])
        if np.dtype(working).kind == "f":
            weight, bias = rng.standard_normal(shape).astype(working), rng.standard_normal(6).astype(working)
        else:
            weight, bias = rng.integers(-9, 9, shape).astype(working), rng.integers(-99, 99, 6).astype(working)
        yield x, weight, bias, {"groups": 2, "stride": geometry["stride"], "dilation": (1, 2)}


@needs_two
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_convolutions_of_integers_are_equal_bit_for_bit(dtype):
    for working in [np.int64, np.int32][: 1 + (dtype.itemsize <= 2)]:
        for x, weight, bias, keywords in learned(dtype, working):
            found = [layer.conv2d(x, weight, bias=bias, **keywords) for layer in layers()]
            assert same(found), (x.shape, weight.shape, keywords, working)


@needs_two
@pytest.mark.parametrize("span", [0, 30, 140])
@pytest.mark.parametrize("dtype", FLOATS[:2], ids=str)
def test_means_of_large_windows_are_equal_bit_for_bit(dtype, span):
    rng = np.random.default_rng(13)
    limits = np.finfo(dtype)
    for image, geometry in draws(dtype, special=span > 30):
        powers = rng.integers(max(-span, limits.minexp), min(span, limits.maxexp - 8) + 1, image.shape)
        with np.errstate(invalid="ignore"):
            image = (np.sign(image) * rng.random(image.shape) * np.exp2(powers)).astype(dtype)
        geometry |= {"size": (geometry["size"][0], 9 + geometry["size"][1])}
        for normalize in (True, False):
            found = [layer.box_blur(image, **geometry, normalize=normalize) for layer in layers()]
            assert same(found), (image.shape, geometry)


@needs_two
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_float_means_agree_within_the_error_bound(dtype):
    eps = float(np.finfo(dtype).eps)
    for image, geometry in draws(dtype):
        found = [layer.box_blur(image, **geometry) for layer in layers()]
        # Each lies within 4 eps mean|x| of the exact mean.
        bound = 8 * eps * absolute_windows(image, **geometry).mean(axis=(-2, -1))
        first = found[0].astype(np.float64)
        for other in found[1:]:
            assert (np.abs(other.astype(np.float64) - first) <= bound).all(), (image.shape, geometry)


@needs_two
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_correlations_agree_within_the_error_bound(dtype):
    rng = np.random.default_rng(10)
    eps = float(np.finfo(dtype).eps)
    for image, geometry in draws(dtype):
        size = geometry.pop("size")
        kernel = rng.standard_normal(size).astype(dtype)
        found = [layer.correlate(image, kernel, **geometry) for layer in layers()]
        # Each lies within K K eps sum|x w| of the exact sum.
        bound = 2 * kernel.size * eps * (absolute_windows(image, size, **geometry) * np.abs(kernel)).sum(axis=(-2, -1))
        for other in found[1:]:
            assert (np.abs(other - found[0]) <= bound).all(), (image.shape, geometry)


@needs_two
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_float_averages_agree_within_the_error_bound(dtype):
    eps = float(np.finfo(dtype).eps)
    for image, geometry in draws(dtype):
        del geometry["mode"]
        taps = geometry["size"][0] * geometry["size"][1]
        found = [layer.avg_pool(image, **geometry) for layer in layers()]
        # Each lies within as many eps of the exact mean of magnitudes as there are roundings.
        magnitudes = layers()[0].avg_pool(np.abs(image).astype(np.float64), **geometry)
        assert close(found, 2 * (taps + 1) * eps * magnitudes), (image.shape, geometry)
        plane = image.shape[-2:]
        ways_back = [layer.avg_pool_backward(found[0], plane, **geometry) for layer in layers()]
        magnitudes = layers()[0].avg_pool_backward(np.abs(found[0]).astype(np.float64), plane, **geometry)
        assert close(ways_back, 2 * (taps + 1) * eps * magnitudes), (image.shape, geometry)


@needs_two
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_convolutions_agree_within_the_error_bound(dtype):
    eps = float(np.finfo(dtype).eps)
    for x, weight, bias, keywords in learned(dtype, dtype):
        found = [layer.conv2d(x, weight, bias=bias, **keywords) for layer in layers()]
        wide = [np.abs(array).astype(np.float64) for array in (x, weight, bias)]
        magnitudes = layers()[0].conv2d(wide[0], wide[1], bias=wide[2], **keywords)
        assert close(found, 2 * (weight[0].size + 1) * eps * magnitudes), (x.shape, weight.shape, keywords)
        grad = found[0]
        ways_back = [layer.conv2d_backward_weight(grad, x, weight.shape, **keywords) for layer in layers()]
        magnitudes = layers()[0].conv2d_backward_weight(
            np.abs(grad).astype(np.float64), wide[0], weight.shape, **keywords
        )
        products = grad[:, 0].size
        assert close(ways_back, 2 * (products + 1) * eps * magnitudes), (x.shape, weight.shape, keywords)


def close(arrays, bound):
    """Whether all arrays lie within `bound` of the first."""
    first = arrays[0].astype(np.float64)
    return all((np.abs(other.astype(np.float64) - first) <= bound).all() for other in arrays[1:])


@needs_two
def test_conversions_are_equal_bit_for_bit():
    rng = np.random.default_rng(11)
    for source in DTYPES:
        image = random_image(rng, (3, 5, 131), source)
        if image.dtype.kind == "f":
            image[0, 0, :8] = [np.nan, np.inf, -np.inf, -0.0, 0.5, 1.5, 2.5, -0.5]
        for target in DTYPES[1:]:
            assert same([layer.convert(image, target) for layer in layers()]), (source, target)


def test_comparing_levels_sees_one_bit():
    assert same([np.float32([0]), np.float32([0])])
    assert not same([np.float32([0]), np.float32([-0.0])])
    assert not same([np.float32([0]), np.int32([0])])


def test_distances_beyond_the_bound_are_seen():
    ones = np.ones(2, np.float32)
    assert close([ones, ones * 1.5], np.full(2, 0.5))
    assert not close([ones, np.float32([1, 1.75])], np.full(2, 0.5))
    assert not close([ones, np.float32([1, np.nan])], np.full(2, 0.5))


def test_every_module_knows_its_level():
    assert LEVELS[0] == "baseline"
    assert [_core.load_level(level).level for level in LEVELS] == LEVELS
    assert set(LEVELS) <= set(_core._core_baseline.supported_levels()) <= set(NAMES)
    assert _core.level in LEVELS


# Forced levels, in processes of their own


def _print_level():
    import imkernels as ik
    import numpy as np
    from imkernels import _core

    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert ik.median_filter(image, 3)[1, 1] == 6
    assert _core.level == ik.isa_level() == _core._module.level
    print(ik.isa_level(), end="")


@pytest.mark.slow
@pytest.mark.parametrize("level", NAMES)
def test_the_environment_forces_a_level_or_the_import_fails(level):
    if level in LEVELS:
        assert run_alone(_print_level, environment={"IMKERNELS_ISA": level}) == level
    else:
        with pytest.raises(AssertionError, match=f"ImportError: IMKERNELS_ISA={level} is not supported"):
            run_alone(_print_level, environment={"IMKERNELS_ISA": level})


@pytest.mark.slow
def test_without_the_environment_the_best_level_runs():
    assert run_alone(_print_level, environment={"IMKERNELS_ISA": None}) == LEVELS[-1]
    assert run_alone(_print_level, environment={"IMKERNELS_ISA": ""}) == LEVELS[-1]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["x86-64-v2", "avx2", "Baseline", "_core_v3"])
def test_an_unknown_level_is_an_import_error_that_names_the_known(level):
    with pytest.raises(AssertionError, match=f"ImportError: IMKERNELS_ISA={level} is unknown.*baseline"):
        run_alone(_print_level, environment={"IMKERNELS_ISA": level})


@pytest.mark.slow
def test_a_level_that_the_machine_lacks_is_neither_chosen_nor_forced():
    run_alone(_on_a_poorer_machine)


def _on_a_poorer_machine():
    import importlib
    import os
    import sys

    os.environ.pop("IMKERNELS_ISA", None)
    from imkernels import _core

    # What the same modules would do where the processor has the baseline alone: the question is asked first.
    _core._core_baseline.supported_levels = lambda: ["baseline"]
    assert importlib.reload(_core).level == "baseline"
    os.environ["IMKERNELS_ISA"] = "x86-64-v4"
    message = "nothing raised"
    try:
        importlib.reload(sys.modules["imkernels._core"])
    except ImportError as error:
        message = str(error)
    assert "not supported by this machine" in message


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_importing_and_calling_leaves_subnormal_numbers_intact(level):
    run_alone(_subnormals_survive, environment={"IMKERNELS_ISA": level})


def _subnormals_survive():
    import threading

    import imkernels as ik
    import numpy as np

    def check():
        smallest = float("5e-324")
        assert smallest * 1.0 != 0
        assert (np.full(64, 5e-324) * 1.0 != 0).all()
        assert (np.full(64, 1e-45, np.float32) * np.float32(1) != 0).all()
        thread = threading.Thread(target=lambda: seen.append(smallest * 1.0))
        thread.start()
        thread.join()
        assert seen[-1] != 0

    seen = []
    check()
    image = np.full((3, 300, 300), 5e-324)
    for workers in (1, 3):
        assert (ik.box_blur(image, 3, workers=workers) == image).all()
        assert (ik.median_filter(image[:1], 3, workers=workers) == image[:1]).all()
        assert (ik.correlate(image, np.ones((1, 2)), workers=workers) == 2 * 5e-324).all()
        values, argmax = ik.max_pool_with_argmax(image, 2, workers=workers)
        assert (ik.max_pool_backward(values, argmax, (300, 300), workers=workers).max() == 5e-324).all()
        check()


# What is in the files


def module_file(level):
    return Path(_core.load_level(level).__file__)


def tool(name, *arguments):
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    return subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


linux = pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF files")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_a_module_exports_its_entry_point_alone(level):
    file = module_file(level)
    symbols = [line.split()[-1] for line in tool("nm", "-D", "--defined-only", file).splitlines()]
    assert symbols == [f"PyInit_{file.name.split('.')[0]}"]


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="knows the registers of x86-64 alone")
@pytest.mark.skipif(sanitized(), reason="the sanitizers bring code of their own")
@pytest.mark.parametrize("level", LEVELS)
def test_the_baseline_has_no_register_that_not_every_machine_has(level):
    code = tool("objdump", "-d", "--no-show-raw-insn", module_file(level))
    registers = set(re.findall(r"%([xyz])mm\d|%(k)[0-7]\b", code))
    found = {name for pair in registers for name in pair if name}
    wanted = {"baseline": {"x"}, "x86-64-v3": {"x", "y"}, "x86-64-v4": {"x", "y", "z", "k"}}
    assert found == wanted[level]


# SSE3 to SSE4.2, BMI, POPCNT and whatever has a VEX prefix. tzcnt runs as bsf on an old machine: GCC writes `rep bsf`.
LATER_THAN_SSE2 = re.compile(
    r"""v[a-z]{2,}\d*
    | haddp[sd] | hsubp[sd] | addsubp[sd] | lddqu | movddup | movs[lh]dup | phadd\w+ | phsub\w+ | pabs\w
    | psign\w | palignr | pmaddubsw | pmulhrsw | pshufb | pmulld | pmuldq | pm(ax|in)(sb|sd|uw|ud)
    | pblend\w+ | blend\w+
    | round[ps][sd] | pextr[bdq] | pinsr[bdq] | insertps | extractps | ptest | pmov[sz]x\w+ | packusdw | pcmp(eq|gt)q
    | pcmp[ei]str\w+ | dpp[sd] | mpsadbw | movntdqa | phminposuw | crc32\w* | popcnt\w* | lzcnt\w* | andn[lq]?
    | (mul|shl|shr|sar|ror)x[lq]? | bextr[lq]? | bls\w+ | bzhi[lq]? | pdep[lq]? | pext[lq]? | movbe\w*""",
    re.VERBOSE,
)


def instructions(disassembly):
    prefixes = r"(?:(?:lock|rep\w*|bnd|notrack|data16|cs|ds|es) +)*"
    return set(re.findall(rf"^\s*[0-9a-f]+:\s+{prefixes}(\w+)", disassembly, re.MULTILINE))


def later_than_sse2(disassembly):
    return {name for name in instructions(disassembly) if LATER_THAN_SSE2.fullmatch(name)}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="knows the instructions of x86-64 alone")
@pytest.mark.skipif(sanitized(), reason="the sanitizers bring code of their own")
def test_the_baseline_has_no_instruction_later_than_sse2():
    code = tool("objdump", "-d", "--no-show-raw-insn", module_file("baseline"))
    assert {"mov", "movaps", "paddd", "mulpd"} <= instructions(code), "the disassembly is not understood"
    assert not later_than_sse2(code)


def test_instructions_later_than_sse2_are_seen():
    line = "   1a2b0:\t{}    %xmm1,%xmm0\n".format
    assert later_than_sse2(line("pmulld") + line("rep ret") + line("vpaddd") + line("andn")) == {
        "pmulld",
        "vpaddd",
        "andn",
    }
    assert not later_than_sse2(line("andnpd") + line("pandn") + line("movsd") + line("lock cmpxchg") + line("pminub"))


@linux
@pytest.mark.slow
@pytest.mark.skipif(sanitized(), reason="a sanitized build is not hardened")
@pytest.mark.parametrize("level", LEVELS)
def test_a_module_is_hardened(level):
    file = module_file(level)
    segments = tool("readelf", "-lW", file)
    dynamic = tool("readelf", "-dW", file)
    assert "GNU_RELRO" in segments
    assert re.search(r"FLAGS.*BIND_NOW|\bBIND_NOW\b", dynamic)
    stack = re.search(r"GNU_STACK.*", segments)[0]
    assert re.search(r"\bRW\s", stack)
    assert not re.search(r"\bRWE\b", segments)
    assert "TEXTREL" not in dynamic
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic
    assert "__stack_chk_fail" in tool("nm", "-D", file)


@linux
@pytest.mark.slow
def test_a_module_needs_no_library_that_it_should_not():
    needed = re.findall(r"NEEDED.*\[(.*?)\]", tool("readelf", "-dW", module_file("baseline")))
    own = r"lib(gomp|stdc\+\+|m|gcc_s|c|pthread|asan|ubsan|dl|rt)[-.\w]*\.so.*|ld-linux.*"
    assert not [name for name in needed if not re.fullmatch(own, name)]


@pytest.mark.slow
def test_the_levels_here_are_those_of_the_build():
    built = [level for level in NAMES if importlib.util.find_spec(f"imkernels._core.{_module_name(level)}")]
    supported = _core._core_baseline.supported_levels()
    assert [level for level in built if level in supported] == LEVELS


def _module_name(level):
    """Return the name of a level's module, by the rule of the build."""
    rule = (ROOT / "cpp" / "cmake" / "isa_levels.cmake").read_text()
    assert 'string(REPLACE "x86-64-" "" suffix "${level}")' in rule
    return "_core_" + level.replace("x86-64-", "")
