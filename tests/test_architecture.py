"""Who may know whom: reads the include and import lines of the sources and holds the rules of the design.

Every rule is a function from a file's path and text to the words that break it, and every rule is shown to be able to
fail, on made-up sources.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.wrapper

ROOT = Path(__file__).resolve().parent.parent

# The rooms of cpp/ and what each may include: rooms (ending in /) or single headers, and systems' headers that
# are not of the C++ standard library.
ROOMS = {
    "core": (["core/"], []),
    "cpu": (["cpu/"], []),
    "parallel": (["core/", "parallel/"], ["pthread.h"]),
    "simd": (["core/", "simd/"], []),
    "rows": (["core/", "rows/", "parallel/parallel_for.hpp"], []),
    "kernels": (["core/", "simd/", "rows/", "parallel/", "kernels/"], []),
    "bindings": (["core/", "parallel/", "kernels/", "bindings/", "cpu/"], ["pybind11/"]),
}
THREADS = "parallel/parallel_for.cpp"  # the only file with OpenMP in it
ISA_FLAGS = "cpp/cmake/isa_levels.cmake"  # the only file that spells instruction-set flags

# Tests of the private layer; all others, and the benchmarks, go through the public names.
PRIVATE_TESTS = {
    "imkernels._core": {
        "calls.py",
        "private_layer.py",
        "test_architecture.py",
        "test_core.py",
        "test_fork.py",
        "test_levels.py",
        "test_limits.py",
        "test_memory.py",
        "test_ordered_sums.py",
        "test_parallel.py",
        "test_sum_endings.py",
    },
    "imkernels._dtypes": {"test_dtypes.py"},
    "imkernels._plans": {"test_pipeline_dask.py"},
    "imkernels._info": {"test_info.py"},
    "imkernels._docs": {"test_docstrings.py"},
    "imkernels._ufunc": {"test_arguments.py", "test_docstrings.py", "test_ufunc_like.py"},
}


def without_comments(text):
    """Return C++ code without its comments, lines kept."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL)


# C++. Paths are relative to cpp/.


def forbidden_includes(path, text):
    """Return the includes that the file's room may not know."""
    room = path.split("/")[0]
    rooms, foreign = ROOMS[room]
    bad = []
    for opening, header in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', without_comments(text), re.MULTILINE):
        if opening == "<":
            standard = re.fullmatch(r"[a-z_0-9]+", header) is not None
            known = standard or header.startswith(tuple(foreign)) or (path == THREADS and header == "omp.h")
            known = known and not (room != "parallel" and header in THREAD_HEADERS)
        else:
            known = header.startswith(tuple(rooms)) and not header.endswith(".cpp")
            known = known and not (room == "bindings" and header.startswith("kernels/detail/"))
            known = known and not (header.startswith("cpu/") and path not in ("bindings/module.cpp", *CPU_FILES))
        if not known:
            bad.append(header)
    return bad


CPU_FILES = ("cpu/isa_level.cpp", "cpu/isa_level.hpp")
THREAD_HEADERS = ("thread", "future", "mutex", "shared_mutex", "condition_variable", "semaphore", "barrier", "latch")


def openmp_words(path, text):
    """Return the traces of OpenMP in a file that is not the one door to threads."""
    if path == THREADS:
        return []
    return re.findall(
        r"#\s*pragma\s+omp\b|_Pragma\s*\(\s*\"omp|\bomp_\w+|\b_OPENMP\b|\bomp\.h\b", without_comments(text)
    )


ISA_WORDS = (
    r"(?<![a-z0-9])(?:s?sse\w*|avx\w*|neon|sve\d?|amx\w*|vnni|altivec|rvv|x86\w*|amd64|arm64|aarch64|[yz]mm\d*)(?![a-z])"
    r"|\b_?_?m(?:128|256|512)[id]?\b|\b_mm\w*|\bv(?:ld|st)1q?_\w+|__builtin_ia32\w*|\btarget(?:_clones)?\s*\(\s*\""
    r"|-march|\b__(?:SSE|AVX|ARM|x86_64|aarch64)\w*"
)
ISA_INSTRUCTIONS = "movntdq|sfence|pmov[sz]x|cvtps2pd|cvtt?ps2dq|packssdw|packuswb|pmulhuw|maxps|minps"


def isa_words(path, text):
    """Return the instruction-set words in a room that must have none."""
    room = path.split("/")[0]
    if room == "cpu":
        return []  # it is there to name them
    words = [word[0] for word in re.finditer(ISA_WORDS, without_comments(text), re.IGNORECASE)]
    if room == "simd":  # for the width of a register, and for instructions that compilers do not find
        words = [word for word in words if word.strip("_") not in ("AVX512F", "AVX2", "AVX", "SSE2")]
        words = [word for word in words if not re.fullmatch(rf"__builtin_ia32_({ISA_INSTRUCTIONS})\w*", word)]
    return words


CPP_RULES = [forbidden_includes, openmp_words, isa_words]
BUILD_FILES = ["CMakeLists.txt", "CMakePresets.json", "pyproject.toml", "noxfile.py", ".ci/run"]


def cpp_files():
    return sorted(file for file in (ROOT / "cpp").rglob("*") if file.suffix in (".hpp", ".cpp", ".h", ".cc"))


@pytest.mark.parametrize("rule", CPP_RULES, ids=lambda rule: rule.__name__)
def test_cpp_rooms_know_only_whom_they_may(rule):
    files = cpp_files()
    assert len(files) > 20
    found = {}
    for file in files:
        path = file.relative_to(ROOT / "cpp").as_posix()
        assert path.split("/")[0] in ROOMS, f"{path}: a room that the design does not have"
        if bad := rule(path, file.read_text()):
            found[path] = bad
    assert not found


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (forbidden_includes, "core/window.hpp", '#include "kernels/box_blur.hpp"'),
        (forbidden_includes, "core/window.hpp", '#include "parallel/parallel_for.hpp"'),
        (forbidden_includes, "core/window.hpp", "#include <sys/mman.h>"),
        (forbidden_includes, "core/window.hpp", "#include <thread>"),
        (forbidden_includes, "parallel/process.cpp", '#include "rows/tile_grid.hpp"'),
        (forbidden_includes, "parallel/process.cpp", "#include <omp.h>"),
        (forbidden_includes, "rows/tile_grid.hpp", '#include "parallel/process.hpp"'),
        (forbidden_includes, "rows/tile_grid.hpp", '#include "simd/lanes.hpp"'),
        (forbidden_includes, "kernels/box_blur.cpp", "#include <pybind11/numpy.h>"),
        (forbidden_includes, "kernels/box_blur.cpp", "# include <omp.h>"),
        (forbidden_includes, "kernels/box_blur.cpp", "#include <immintrin.h>"),
        (forbidden_includes, "kernels/box_blur.cpp", "#include <mutex>"),
        (forbidden_includes, "kernels/box_blur.cpp", '#include "cpu/isa_level.hpp"'),
        (forbidden_includes, "kernels/box_blur.cpp", '#include "kernels/correlate.cpp"'),
        (forbidden_includes, "kernels/detail/select.hpp", "#include <arm_neon.h>"),
        (forbidden_includes, "bindings/bind_box_blur.cpp", '#include "kernels/detail/select.hpp"'),
        (forbidden_includes, "bindings/bind_box_blur.cpp", '#include "rows/tile_grid.hpp"'),
        (forbidden_includes, "bindings/bind_box_blur.cpp", '#include "cpu/isa_level.hpp"'),
        (forbidden_includes, "cpu/isa_level.cpp", '#include "core/window.hpp"'),
        (forbidden_includes, "cpu/isa_level.cpp", "#include <cpuid.h>"),
        (openmp_words, "kernels/box_blur.cpp", "#pragma omp parallel for"),
        (openmp_words, "kernels/box_blur.cpp", "#pragma  omp simd"),
        (openmp_words, "parallel/process.cpp", "int n = omp_get_num_threads();"),
        (openmp_words, "bindings/module.cpp", "#ifdef _OPENMP"),
        (isa_words, "kernels/box_blur.cpp", "__m256i sum;"),
        (isa_words, "kernels/box_blur.cpp", "#if defined(__AVX2__)"),
        (isa_words, "kernels/box_blur.cpp", "_mm512_add_epi32(a, b)"),
        (isa_words, "kernels/box_blur.cpp", '__attribute__((target("fma")))'),
        (isa_words, "kernels/box_blur.cpp", "void sum_avx2(int);"),
        (isa_words, "rows/row_reader.hpp", "vld1q_u8(source)"),
        (isa_words, "simd/lanes.hpp", "_mm256_loadu_ps(source)"),
    ],
)
def test_cpp_rules_can_fail(rule, path, text):
    assert rule(path, f"#pragma once\n{text}\n")
    assert not rule(path, f"// {text}\n#include <vector>\n/* {text} */\n")


def test_cpp_rules_let_pass_what_is_allowed():
    assert not forbidden_includes(THREADS, '#include <omp.h>\n#include <thread>\n#include "core/scratch.hpp"')
    assert not forbidden_includes(
        "rows/tile_grid.hpp", '#include "parallel/parallel_for.hpp"\n#include "core/window.hpp"'
    )
    assert not forbidden_includes("bindings/module.cpp", '#include <pybind11/stl.h>\n#include "cpu/isa_level.hpp"')
    assert not openmp_words(THREADS, "#pragma omp parallel")
    assert not openmp_words("kernels/box_blur.cpp", "// one omp parallel region")
    assert not isa_words("cpu/isa_level.cpp", '__builtin_cpu_supports("x86-64-v3")')
    assert not isa_words("kernels/box_blur.cpp", "farm(tiles); // an AVX-512 machine")


# Flags


def isa_flags(text):
    return re.findall(r"(?<![\w-])-m(?:arch|tune|cpu|avx|sse|fma|bmi|prefer|fpu|native)[\w.=+-]*|/arch:\w+", text)


def fast_math_flags(text):
    return re.findall(r"-ffast-math|-Ofast|-funsafe-math\w*|-fassociative-math|-ffinite-math-only|-march=native", text)


def _code(file):
    """Return a build file without its comment lines."""
    return re.sub(r"^\s*(#|//).*$", "", file.read_text(), flags=re.MULTILINE)


def build_files():
    return [ROOT / name for name in BUILD_FILES] + sorted((ROOT / "cpp" / "cmake").iterdir())


def test_one_file_spells_instruction_set_flags():
    found = {file.relative_to(ROOT).as_posix(): isa_flags(_code(file)) for file in build_files() if file.exists()}
    assert [name for name, flags in found.items() if flags] == [ISA_FLAGS]


def test_no_file_asks_for_fast_math():
    assert not [file.name for file in build_files() if file.exists() and fast_math_flags(_code(file))]


@pytest.mark.parametrize(
    "flag", ["-march=x86-64-v3", "-mavx2", "-mprefer-vector-width=512", "-mtune=native", "-msse4.1"]
)
def test_instruction_set_flags_are_seen(flag):
    assert isa_flags(f"target_compile_options(x PRIVATE {flag})")


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-march=native", "-funsafe-math-optimizations"])
def test_fast_math_flags_are_seen(flag):
    assert fast_math_flags(f'"CMAKE_CXX_FLAGS": "{flag}"')


def test_other_flags_are_not_taken_for_them():
    assert not isa_flags('pytest -m "not slow"; python -m nox --marched; -msg')
    assert not fast_math_flags("-fno-math-errno -fno-trapping-math -ffp-contract=fast")


# Python


def imports(text):
    """Return (line, module) for every import, also those inside functions and by importlib."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            found += [(node.lineno, arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
    return [(line, str(name)) for line, name in found]


def top_level_imports(text):
    """Return the modules that are imported as soon as the file is."""
    plain = [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return [name for node in plain for _, name in imports(ast.unparse(node))]


def _of(name, package):
    return name == package or name.startswith(package + ".")


def compiled_modules(path, text):
    """Return the compiled modules that a file names although it is not imkernels/_core."""
    if path.startswith("imkernels/_core/"):
        return []
    return re.findall(r"\b_core_(?:baseline|v\d)\b", text)


def heavy_imports(path, text):
    """Return what the package imports at once besides NumPy; the adapters to others may know them."""
    if path.startswith(("imkernels/compat/", "imkernels/pipeline/", "imkernels/_demo", "imkernels/_pictures")):
        return []
    return [
        name
        for name in top_level_imports(text)
        if not (_of(name, "numpy") or _of(name, "imkernels") or name.split(".")[0] in sys.stdlib_module_names)
    ]


def logic_in_init(path, text):
    """Return what is more than a name in imkernels/__init__.py."""
    if path != "imkernels/__init__.py":
        return []
    plain = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    return [
        type(node).__name__
        for node in ast.parse(text).body
        if not isinstance(node, plain) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def adapters_in_the_core(path, text):
    """Return the imports of compat and pipeline by the functions that they adapt."""
    if "/compat/" in path or "/pipeline/" in path or path.endswith(("__main__.py", "_demo.py")):
        return []
    return [name for _, name in imports(text) if _of(name, "imkernels.compat") or _of(name, "imkernels.pipeline")]


PYTHON_RULES = [compiled_modules, heavy_imports, logic_in_init, adapters_in_the_core]


@pytest.mark.parametrize("rule", PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_python_modules_know_only_whom_they_may(rule):
    files = sorted((ROOT / "python").rglob("*.py"))
    assert len(files) > 8
    found = {}
    for file in files:
        path = file.relative_to(ROOT / "python").as_posix()
        if bad := rule(path, file.read_text()):
            found[path] = bad
    assert not found


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (compiled_modules, "imkernels/filters.py", "from imkernels._core import _core_v3"),
        (compiled_modules, "imkernels/settings.py", 'import_module("imkernels._core._core_baseline")'),
        (heavy_imports, "imkernels/filters.py", "import scipy.ndimage"),
        (heavy_imports, "imkernels/__main__.py", "from PIL import Image"),
        (logic_in_init, "imkernels/__init__.py", "def helper():\n    pass"),
        (logic_in_init, "imkernels/__init__.py", "if True:\n    import os"),
        (adapters_in_the_core, "imkernels/filters.py", "def f():\n    from imkernels import compat"),
        (adapters_in_the_core, "imkernels/filters.py", "import imkernels.pipeline.torch"),
    ],
)
def test_python_rules_can_fail(rule, path, text):
    assert rule(path, f'"""A file."""\n{text}\n')


def test_python_rules_let_pass_what_is_allowed():
    assert not compiled_modules("imkernels/_core/__init__.py", "from imkernels._core import _core_baseline")
    assert not heavy_imports("imkernels/compat/cv2.py", "import cv2")
    assert not heavy_imports("imkernels/__main__.py", "import sys\nimport numpy as np\ndef f():\n    import PIL")
    assert not logic_in_init("imkernels/__init__.py", '"""Doc."""\nfrom a import b\n__version__ = "1"')
    assert not adapters_in_the_core("imkernels/compat/__init__.py", "import imkernels.compat.cv2")


def test_importing_the_package_imports_numpy_alone():
    program = (
        "import sys, numpy\nbefore = set(sys.modules)\nimport imkernels\n"
        "tops = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(tops - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("['imkernels']", "['imkernels', 'numpy']")  # NumPy loads parts of itself late


# Tests and benchmarks


def package_imports(path, text):
    """Return the imports of the package by a file that must know nothing of it: a reference."""
    if not path.startswith("tests/reference/"):
        return []
    return [name for _, name in imports(text) if _of(name, "imkernels")]


def foreign_imports(path, text):
    """Return what references import besides NumPy, the standard library and each other."""
    if not path.startswith("tests/reference/"):
        return []
    known = ("numpy", "tests.reference", *sys.stdlib_module_names)
    names = [re.sub(r"^\.(?!\.)", "tests.reference.", name) for _, name in imports(text)]
    return [name for name in names if not any(_of(name, package) for package in known)]


def private_imports(path, text):
    """Return the imports of private modules by tests and benchmarks that go through the public names."""
    file = path.split("/")[-1]
    private = [name for _, name in imports(text) if re.match(r"imkernels(\.\w+)*\._[a-z]", name)]
    return [
        name
        for name in private
        if not any(_of(name, module) and file in files for module, files in PRIVATE_TESTS.items())
    ]


TEST_RULES = [package_imports, foreign_imports, private_imports]


@pytest.mark.parametrize("rule", TEST_RULES, ids=lambda rule: rule.__name__)
def test_tests_and_benchmarks_know_only_whom_they_may(rule):
    files = sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))
    assert len(files) > 10
    found = {}
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        if bad := rule(path, file.read_text()):
            found[path] = bad
    assert not found


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (package_imports, "tests/reference/median.py", "import imkernels as ik"),
        (package_imports, "tests/reference/median.py", "def f():\n    from imkernels.filters import median_filter"),
        (foreign_imports, "tests/reference/median.py", "import scipy.ndimage"),
        (foreign_imports, "tests/reference/median.py", "from tests import cases"),
        (foreign_imports, "tests/reference/median.py", "from ..cases import MODES"),
        (private_imports, "tests/test_median_filter.py", "from imkernels import _core"),
        (private_imports, "tests/test_median_filter.py", "from imkernels._arguments import pair"),
        (private_imports, "tests/test_median_filter.py", 'importlib.import_module("imkernels._core._core_v3")'),
        (private_imports, "tests/test_core.py", "from imkernels import _arguments"),
        (private_imports, "benchmarks/runner.py", "import imkernels._ufunc"),
    ],
)
def test_test_rules_can_fail(rule, path, text):
    assert rule(path, f"import importlib\n{text}\n")


def test_test_rules_let_pass_what_is_allowed():
    assert not package_imports("tests/test_box_blur.py", "import imkernels as ik")
    assert not foreign_imports(
        "tests/reference/box_blur.py", "import numpy as np\nimport math\nfrom tests.reference import windows"
    )
    assert not private_imports("tests/test_core.py", "from imkernels import _core")
    assert not private_imports("tests/test_settings.py", "from imkernels import settings")
