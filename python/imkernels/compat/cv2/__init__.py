"""The image filters of OpenCV 5, by its names, signatures and rules; OpenCV itself is not needed.

``import imkernels.compat.cv2 as cv2`` in place of ``import cv2``. Images are (H, W) or (H, W, C) arrays, `ksize` and
`anchor` are (columns, rows), ``dst`` is used where it fits and replaced where it does not, integer results are rounded
as OpenCV rounds them and saturated. ``docs/compat.md`` lists what differs.
"""

from imkernels.compat.cv2._arguments import (
    BORDER_CONSTANT,
    BORDER_DEFAULT,
    BORDER_ISOLATED,
    BORDER_REFLECT,
    BORDER_REFLECT101,
    BORDER_REFLECT_101,
    BORDER_REPLICATE,
    BORDER_TRANSPARENT,
    BORDER_WRAP,
    CV_8S,
    CV_8U,
    CV_16F,
    CV_16S,
    CV_16U,
    CV_32F,
    CV_32S,
    CV_32U,
    CV_64F,
    CV_64S,
    CV_64U,
    error,
)
from imkernels.compat.cv2._gaussian import GaussianBlur
from imkernels.compat.cv2._means import blur, boxFilter
from imkernels.compat.cv2._order_filters import dilate, erode, medianBlur
from imkernels.compat.cv2._weighted_sums import filter2D, sepFilter2D

__all__ = [
    "BORDER_CONSTANT",
    "BORDER_DEFAULT",
    "BORDER_ISOLATED",
    "BORDER_REFLECT",
    "BORDER_REFLECT101",
    "BORDER_REFLECT_101",
    "BORDER_REPLICATE",
    "BORDER_TRANSPARENT",
    "BORDER_WRAP",
    "CV_8S",
    "CV_8U",
    "CV_16F",
    "CV_16S",
    "CV_16U",
    "CV_32F",
    "CV_32S",
    "CV_32U",
    "CV_64F",
    "CV_64S",
    "CV_64U",
    "GaussianBlur",
    "blur",
    "boxFilter",
    "dilate",
    "erode",
    "error",
    "filter2D",
    "medianBlur",
    "sepFilter2D",
]
