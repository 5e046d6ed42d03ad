"""Draw what each mode puts around a photograph: a window of one pixel, padded, gives image and border."""

import imkernels as ik
import matplotlib.pyplot as plt
from skimage import data

AROUND = 110  # pixels made up on every side

face = data.astronaut()[20:200, 140:320]
titles = {
    'mode="reflect"': {"mode": "reflect"},
    'mode="mirror"': {"mode": "mirror"},
    'mode="nearest"': {"mode": "nearest"},
    'mode="wrap"': {"mode": "wrap"},
    'mode="constant", cval=128': {"mode": "constant", "cval": 128},
    'mode=("nearest", "wrap")': {"mode": ("nearest", "wrap")},
}
figure, panels = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
for panel, (title, keywords) in zip(panels.flat, titles.items(), strict=True):
    panel.imshow(ik.maximum_filter(face, 1, padding=AROUND, axes=(0, 1), **keywords))
    panel.add_patch(plt.Rectangle((AROUND, AROUND), *face.shape[:2], fill=False, color="white", linewidth=2))
    panel.set_title(title, fontsize=11, family="monospace")
    panel.set_axis_off()
