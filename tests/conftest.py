"""What all tests share: the heavy sweeps' switch and the peers that results are compared with."""

import importlib
import os

import pytest


def pytest_addoption(parser):
    parser.addoption("--sweep", action="store_true", help="run the heavy sweeps as well")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--sweep"):
        return
    for item in items:
        if "sweep" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="a heavy sweep, run by pytest --sweep"))


def peer(name):
    """Return the module of another library, or skip; with IMKERNELS_REQUIRE_PEERS set a missing one is a failure."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("IMKERNELS_REQUIRE_PEERS"):
            raise
        pytest.skip(f"needs {name}", allow_module_level=True)


@pytest.fixture
def scipy_ndimage():
    return peer("scipy.ndimage")


@pytest.fixture
def torch():
    return peer("torch")


@pytest.fixture
def cv2():
    return peer("cv2")
