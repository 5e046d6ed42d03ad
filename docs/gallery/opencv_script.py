"""
An OpenCV script on other kernels
=================================

Dust, scratches and uneven light on a scanned page: an ordinary script of six OpenCV calls. `clean` takes the module, so
that it runs with either import. With ``import imkernels.compat.cv2 as cv2`` it needs no OpenCV; where OpenCV is
installed, the two results are compared, byte for byte.
"""

# %%
# The page: dark strokes on paper that is brighter on the left, with dust (single pixels) and scratches (columns two
# pixels wide).

import importlib.util

import imkernels.compat.cv2 as cv2
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
height, width = 240, 360
ink = np.zeros((height, width), bool)
for top in range(20, 220, 25):
    for left in range(20, 330, 30):
        ink[top : top + 12, left : left + rng.integers(6, 20)] = True
light = np.linspace(230, 110, width)
page = np.where(ink, 0.6 * light, light)
page = np.clip(page + rng.normal(0, 3, page.shape), 0, 255).astype(np.uint8)
dust = rng.random(page.shape) < 0.01
page[dust] = 255
page[:, [100, 101, 250, 251]] = 255


# %%
# The script. The median takes the dust, an opening by rows of nine pixels the scratches; the light is what a large
# closing leaves, and a kernel of integers sharpens what is left.


def clean(cv2, page):
    """Return where the ink is, and the sharpened page."""
    calm = cv2.medianBlur(page, 3)
    row = np.ones((1, 9), np.uint8)
    whole = cv2.dilate(cv2.erode(calm, row), row)
    paper = cv2.erode(cv2.dilate(whole, None, iterations=15), None, iterations=15)
    paper = cv2.blur(paper, (31, 31))
    sharp = cv2.filter2D(whole, -1, np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))
    soft = cv2.sepFilter2D(sharp, cv2.CV_32F, np.array([0.25, 0.5, 0.25]), np.array([0.25, 0.5, 0.25]))
    return soft < 0.8 * paper, sharp


found, sharp = clean(cv2, page)

# %%
# Nearly every pixel is told right, in spite of light that falls by half from left to right: no single threshold on the
# page comes close.

wrong = np.mean(found != ink)
thresholds = [np.mean((page < level) != ink) for level in range(256)]
print(f"{100 * wrong:.2f} % of the pixels are wrong, by the best threshold {100 * min(thresholds):.2f} %")
assert wrong < 0.01
assert min(thresholds) > 0.05

# %%
# With OpenCV in place of this package: the same, bit for bit.

if importlib.util.find_spec("cv2"):
    import cv2 as opencv

    for ours, theirs in zip((found, sharp), clean(opencv, page), strict=True):
        np.testing.assert_array_equal(ours, theirs)

figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
for panel, (title, picture) in zip(
    panels, {"the scan": page, "mended and sharpened": sharp, "ink": ~found}.items(), strict=True
):
    panel.imshow(picture, cmap="gray")
    panel.set_title(title)
    panel.set_axis_off()

plt.show()
