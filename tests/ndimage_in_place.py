"""A pytest plugin for SciPy's own tests: ``from scipy import ndimage`` gives them the package's stand-in."""

import scipy
import scipy.ndimage
from imkernels.compat import ndimage
from scipy._lib import _array_api

DESELECTED = {
    # uint64 goes through double in SciPy's own filters, which these compare with
    *(f"test_{name}0{number}[numpy-uint64]" for name in ("prewitt", "sobel") for number in (1, 2, 3)),
    # float32 is computed in float32 here; they ask for more digits
    "test_gauss03[numpy]",
    "test_gaussian_laplace01[numpy-float32]",
    "test_gaussian_laplace02[numpy-float32]",
    # a mean over two axes is taken at once here, and may differ from two means in the last bit
    "test_multiple_modes_sequentially[numpy]",
    # of a private module
    "test_gh_5430",
}

for _name in ndimage.__all__:
    _table = _array_api.xp_capabilities_table  # SciPy's tests look up in it what a function can take
    _original = getattr(scipy.ndimage, _name, None)
    if _original in _table:
        _table[getattr(ndimage, _name)] = _table[_original]
scipy.ndimage = ndimage


def pytest_collection_modifyitems(config, items):
    """Leave out the tests above."""
    config.hook.pytest_deselected(items=[item for item in items if item.name in DESELECTED])
    items[:] = [item for item in items if item.name not in DESELECTED]
