"""Paragraphs that the docstrings of several functions share."""

PARAGRAPHS = {
    "src": """
src : ndarray, shape (H, W) or (H, W, C)
    The image: integers or floats.
""",
    "ddepth": """
ddepth : int
    The result's depth, CV_16S or CV_32F for instance; -1 is that of `src`.
""",
    "dst": """
dst : ndarray, optional
    Where the result goes if it has its shape and dtype.
""",
    "border": """
borderType : int, default 4
    What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.
""",
    "refusal": """
error
    If an argument does not fit.
""",
    "morphology": """
src : ndarray, shape (H, W) or (H, W, C)
    The image, of any dtype.
kernel : ndarray, shape (K, L), or None
    The structuring element: what is not 0 belongs to it. It is not mirrored. None is the 3 x 3 square.
dst : ndarray, optional
    Where the result goes if it has its shape and dtype.
anchor : pair of ints, default (-1, -1)
    Column and row of the element that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
iterations : int, default 1
    How often: a rectangle is made larger once, as in OpenCV, other elements are applied again and again.
borderType : int, default 0
    What stands outside the image: BORDER_CONSTANT, BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.
borderValue : number or sequence of up to four, optional
    The constant, rounded and saturated; one for each channel, missing ones are 0. Without it the outside is left
    out.
""",
}
