"""Filters and pooling as scikit-learn transformers: steps of a `Pipeline`, with parameters for a `GridSearchCV`.

A transformer takes stacks of images, ``(n, H, W)`` or ``(n, H, W, C)``, or with ``image_shape=`` rows of pixels,
``(n, H * W)`` or ``(n, H * W * C)``, as most estimators of scikit-learn do. It learns nothing: `fit` checks.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike

import imkernels as ik
from imkernels import _docs
from imkernels._arguments import Array, IntOrPair, ModeOrPair, Padding, ints
from imkernels._dtypes import ALL, FLOATS, NUMBERS
from imkernels._ufunc import KernelFunction
from imkernels.filters import Nan

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import check_array, validate_data
except ImportError as error:
    raise ImportError(
        "imkernels.pipeline.sklearn needs scikit-learn 1.6 or newer: pip install 'imkernels[sklearn]'"
    ) from error

__all__ = ["BoxBlur", "Correlate", "MaxPool", "MedianFilter"]

_FRAGMENTS = {
    "image_shape": """
image_shape : tuple of two or three ints, optional
    The shape ``(H, W)`` or ``(H, W, C)`` of an image, for `X` of rows of pixels. One of them may be -1: what the number
    of features leaves, so that ``(1, -1)`` filters along rows. Without it `X` is a stack of images.
""",
    "workers": """
workers : int, optional
    The number of threads; -1 for all that the machine grants, None for the default (see `imkernels.set_workers`), in
    joblib's processes as many as joblib leaves to each.
""",
    "not_a_number": """
NaNs and infinities are let through: they reach the results whose windows they lie in, and no others.
""",
}


def _dtype_names(characters: str) -> list[str]:
    """Return the names of dtypes, the widest first: it stands for those that are not kept."""
    return [np.dtype(character).name for character in reversed(characters)]


Transformer = TypeVar("Transformer", bound=type)


def _documented(transformer: Transformer) -> Transformer:
    """Put shared paragraphs into the docstring of the class below."""
    transformer.__doc__ = _docs.complete(transformer.__doc__, transformer.__name__, **_FRAGMENTS)
    return transformer


def _takes_rows(transformer: _Windows) -> bool:
    return transformer.image_shape is not None


def _is_plain(X: Any, *axes: int) -> bool:
    """Return whether scikit-learn would find nothing to check: for small images that takes longer than filtering."""
    return type(X) is np.ndarray and X.ndim in axes and X.dtype.kind in "biuf" and len(X) > 0


class _Windows(TransformerMixin, BaseEstimator):
    """A function of the package, applied to each image; a subclass's parameters are the function's keywords."""

    image_shape: tuple[int, ...] | None
    _function: ClassVar[KernelFunction[..., Array]]
    _preserves: ClassVar[list[str]]  # the dtypes that results keep
    _keyword_names: ClassVar[list[str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._keyword_names = [name for name in inspect.signature(cls).parameters if name != "image_shape"]

    def fit(self, X: ArrayLike, y: Any = None) -> _Windows:
        """Check the parameters against images of this shape and dtype; nothing is learned.

        Parameters
        ----------
        X : array_like, shape (n, H, W), (n, H, W, C) or (n, n_features)
            Images.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, the shape or the dtype does not fit.
        """
        self._filtered(self._images(X, reset=True)[:0])
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Apply the function to each image.

        Parameters
        ----------
        X : array_like, shape (n, H, W), (n, H, W, C) or (n, n_features)
            Images; they need not have been fitted.

        Returns
        -------
        ndarray, shape (n, P, Q), (n, P, Q, C) or (n, n_features_out)
            The results, as rows if `X` was rows.
        """
        result = self._filtered(self._images(X, reset=False))
        return result.reshape(len(result), -1) if _takes_rows(self) else result

    @available_if(_takes_rows)
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Return the names of the pixels of the results, where they are rows.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the pixels; by default those that `fit` saw, else ``x0``, ``x1`` and so on.

        Returns
        -------
        ndarray of str
            The same names where results have the images' shape, else the name of the class with numbers.
        """
        same = self._extents_out == self._row_shape(self.n_features_in_)
        names = OneToOneFeatureMixin if same else ClassNamePrefixFeaturesOutMixin
        return np.asarray(names.get_feature_names_out(self, input_features))

    @property
    def _extents_out(self) -> tuple[int, ...]:
        return self._filtered(np.empty((0, *self._row_shape(self.n_features_in_)), np.float32)).shape[1:]

    @property
    def _n_features_out(self) -> int:
        return math.prod(self._extents_out)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = _takes_rows(self)
        tags.input_tags.three_d_array = not _takes_rows(self)
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = self._preserves
        tags.requires_fit = False
        return tags

    def _images(self, X: Any, reset: bool) -> Array:
        """Return `X` as a stack of images, a view where it can be one."""
        if _takes_rows(self):
            known = not reset and _is_plain(X, 2) and not hasattr(self, "feature_names_in_")
            if not known or X.shape[1] != getattr(self, "n_features_in_", None):
                X = validate_data(self, X, reset=reset, ensure_all_finite=False)
            rows = X
            return np.asarray(rows).reshape(len(rows), *self._row_shape(rows.shape[1]))
        # Not validate_data: it would take the height of an image for the number of features.
        options = {"ensure_2d": False, "allow_nd": True, "ensure_all_finite": False}
        images = X if _is_plain(X, 3, 4) else check_array(X, estimator=self, input_name="X", **options)
        if images.ndim not in (3, 4):
            raise ValueError(
                "X must be a stack of images, (n, H, W) or (n, H, W, C), unless image_shape says how to read rows of "
                f"pixels, got shape {images.shape}"
            )
        return np.asarray(images)

    def _row_shape(self, features: int) -> tuple[int, ...]:
        """Return the shape of the image that a row of pixels is."""
        rule = "image_shape must be two or three positive ints, of which one may be -1"
        given = self.image_shape
        count = len(given) if isinstance(given, Sequence) and len(given) == 3 else 2
        shape = ints(given, count, rule)
        known = math.prod(extent for extent in shape if extent != -1)
        if shape.count(-1) > 1 or min(shape) < -1 or known == 0:
            raise ValueError(f"{rule}, got {given!r}")
        if features % known != 0 or (features != known and -1 not in shape):
            raise ValueError(f"image_shape must be that of the {features} pixels in a row of X, got {given!r}")
        return tuple(features // known if extent == -1 else extent for extent in shape)

    def _filtered(self, images: Array) -> Array:
        return self._function(images, axes=(1, 2), **self._keywords(images))

    def _keywords(self, images: Array) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._keyword_names}


@_documented
class MedianFilter(_Windows):
    """Replace every pixel by the median of a window around it: `imkernels.median_filter` as a transformer.

    Parameters
    ----------
    size : int or pair of ints, default 3
        Height and width of the window; None where `footprint` is given.
    {{image_shape}}
    {{footprint}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{nan}}
    {{workers}}

    Notes
    -----
    Results have the dtype of the images, bit for bit.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.pipeline.sklearn import MedianFilter
    >>> rows = np.array([[1, 9, 1, 1, 1, 1]], dtype=np.uint8)
    >>> MedianFilter(3, image_shape=(2, 3)).fit_transform(rows)
    array([[1, 1, 1, 1, 1, 1]], dtype=uint8)
    """

    _function = ik.median_filter
    _preserves = _dtype_names(ALL)

    def __init__(
        self,
        size: IntOrPair | None = 3,
        *,
        image_shape: tuple[int, ...] | None = None,
        footprint: ArrayLike | None = None,
        stride: IntOrPair = 1,
        padding: Padding = "same",
        mode: ModeOrPair = "reflect",
        cval: float = 0.0,
        origin: IntOrPair = 0,
        nan: Nan = "propagate",
        workers: int | None = None,
    ) -> None:
        self.size = size
        self.image_shape = image_shape
        self.footprint = footprint
        self.stride = stride
        self.padding = padding
        self.mode = mode
        self.cval = cval
        self.origin = origin
        self.nan = nan
        self.workers = workers


@_documented
class BoxBlur(_Windows):
    """Replace every pixel by the mean of a rectangular window around it: `imkernels.box_blur` as a transformer.

    Parameters
    ----------
    size : int or pair of ints, default 3
        Height and width of the window.
    {{image_shape}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{workers}}

    Notes
    -----
    Results have the dtype of the images; integer means are rounded half to even. Truth values have no mean.

    {{not_a_number}}

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.pipeline.sklearn import BoxBlur
    >>> images = np.array([[[0, 0, 0], [0, 9, 0], [0, 0, 0]]], dtype=np.uint8)
    >>> BoxBlur(3).fit_transform(images)
    array([[[1, 1, 1],
            [1, 1, 1],
            [1, 1, 1]]], dtype=uint8)
    """

    _function = ik.box_blur
    _preserves = _dtype_names(NUMBERS)

    def __init__(
        self,
        size: IntOrPair = 3,
        *,
        image_shape: tuple[int, ...] | None = None,
        stride: IntOrPair = 1,
        padding: Padding = "same",
        mode: ModeOrPair = "reflect",
        cval: float = 0.0,
        origin: IntOrPair = 0,
        workers: int | None = None,
    ) -> None:
        self.size = size
        self.image_shape = image_shape
        self.stride = stride
        self.padding = padding
        self.mode = mode
        self.cval = cval
        self.origin = origin
        self.workers = workers


@_documented
class Correlate(_Windows):
    """Correlate every image with one kernel: `imkernels.correlate` as a transformer.

    Parameters
    ----------
    kernel : array_like, shape (K, L)
        The weights.
    {{image_shape}}
    {{stride}}
    {{dilation}}
    {{padding}}
    {{mode}}
    {{origin}}
    method : {"auto", "direct", "separable", "fft"}, default "auto"
        How it is computed; see `imkernels.correlate`.
    {{workers}}

    Notes
    -----
    Images of floats keep their dtype: the weights are taken as such floats (float32 for float16). Results for integer
    images are those of `imkernels.correlate`: int32 or int64 for weights of integers, else floats.

    {{not_a_number}}

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.pipeline.sklearn import Correlate
    >>> rows = np.array([[1, 2, 4, 8]], dtype=np.float32)
    >>> Correlate([[-1, 0, 1]], image_shape=(1, 4)).fit_transform(rows)
    array([[1., 3., 6., 4.]], dtype=float32)
    """

    _function = ik.correlate
    _preserves = _dtype_names(FLOATS)

    def __init__(
        self,
        kernel: ArrayLike,
        *,
        image_shape: tuple[int, ...] | None = None,
        stride: IntOrPair = 1,
        dilation: IntOrPair = 1,
        padding: Padding = "same",
        mode: ModeOrPair = "reflect",
        cval: float = 0.0,
        origin: IntOrPair = 0,
        method: str = "auto",
        workers: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.image_shape = image_shape
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.mode = mode
        self.cval = cval
        self.origin = origin
        self.method = method
        self.workers = workers

    def _keywords(self, images: Array) -> dict[str, Any]:
        kernel = np.asarray(self.kernel)
        if kernel.ndim != 2:
            raise ValueError(f"kernel must have two axes, got shape {kernel.shape}")
        if images.dtype.kind != "f":
            return super()._keywords(images) | {"kernel": kernel}
        floats = np.result_type(images.dtype, np.float32)
        return super()._keywords(images) | {"kernel": kernel.astype(floats), "dtype": images.dtype}


@_documented
class MaxPool(_Windows):
    """Take the maximum of every window: `imkernels.max_pool` as a transformer.

    Parameters
    ----------
    size : int or pair of ints, default 2
        Height and width of the window.
    {{image_shape}}
    {{pool_stride}}
    {{pool_padding}}
    {{dilation}}
    {{ceil_mode}}
    {{workers}}

    Notes
    -----
    Results have the dtype of the images, bit for bit; a NaN counts as a maximum.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.pipeline.sklearn import MaxPool
    >>> rows = np.array([[1, 2, 5, 3, 7, 0, 5, 4]], dtype=np.uint8)
    >>> pool = MaxPool(2, image_shape=(2, 4)).fit(rows)
    >>> pool.transform(rows)
    array([[7, 5]], dtype=uint8)
    >>> pool.get_feature_names_out()
    array(['maxpool0', 'maxpool1'], dtype=object)
    """

    _function = ik.max_pool
    _preserves = _dtype_names(ALL)

    def __init__(
        self,
        size: IntOrPair = 2,
        *,
        image_shape: tuple[int, ...] | None = None,
        stride: IntOrPair | None = None,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        ceil_mode: bool = False,
        workers: int | None = None,
    ) -> None:
        self.size = size
        self.image_shape = image_shape
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode
        self.workers = workers
