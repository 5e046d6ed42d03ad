"""Draw what each mode puts beside six pixels in a row: a window of one pixel, padded, gives image and border."""

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np

MODES = ("reflect", "mirror", "nearest", "wrap", "constant")
BESIDE = 8  # pixels made up on either side

row = np.arange(1, 7)[np.newaxis]
figure, panels = plt.subplots(len(MODES), figsize=(9, 4.2), layout="constrained")
for panel, mode in zip(panels, MODES, strict=True):
    padded = ik.maximum_filter(row, 1, padding=(0, BESIDE), mode=mode)
    panel.imshow(padded, cmap="YlGnBu", vmin=-1, vmax=9, aspect="auto")
    for column, value in enumerate(padded[0]):
        inside = BESIDE <= column < BESIDE + row.size
        letter = "k" if value == 0 else "abcdef"[value - 1]
        panel.text(column, 0, letter, ha="center", va="center", fontweight="bold" if inside else "normal")
    panel.add_patch(plt.Rectangle((BESIDE - 0.5, -0.5), row.size, 1, fill=False, color="tab:red", linewidth=3))
    panel.set_ylabel(mode, rotation=0, ha="right", va="center", fontsize=11)
    panel.set(xticks=[], yticks=[])
