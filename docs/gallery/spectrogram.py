r"""
Clicks in a melody, and a detector of rare notes
================================================

A spectrogram is an image of sound: time runs along its rows, frequency along its columns. A note is a horizontal line
in it, a click a vertical one, so a median filter can tell them apart, if its window has the right shape. In the second
half one learned filter looks for the beginnings of notes, which are rare, and the loss has to be told so.
"""

import os

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, windows

SHORT = "IMKERNELS_GALLERY_SHORT" in os.environ  # as the tests run it
Array = NDArray[np.float64]

RATE = 8000  # samples per second
NOTE = 3200  # samples of a note: 0.4 s
HARMONICS = (1, 2, 3, 4)


def melody(pitches: Array) -> Array:
    """Return tones of some frequencies (Hz), one after the other: four harmonics each, quick to rise, slow to fade."""
    time = np.arange(NOTE) / RATE
    envelope = np.minimum(1, time / 0.01) * np.exp(-2 * time) * np.minimum(1, (NOTE / RATE - time) / 0.02)
    phases = 2 * np.pi * pitches[:, None] * time
    return (0.3 * envelope * sum(np.sin(k * phases) / k for k in HARMONICS)).ravel()


def clicks(rng: np.random.Generator, samples: int, per_second: float) -> Array:
    """Return silence with loud clicks of four samples at random times."""
    sound = np.zeros(samples)
    for start in rng.integers(0, samples - 4, round(per_second * samples / RATE)):
        sound[start : start + 4] += 1.5 * rng.normal(size=4)
    return sound


SEMITONES = np.array([-9, -5, -2, 3, 2, -2, 0, -4, -7, -5, -9, -2])  # from a' = 440 Hz
CLICKS = 10  # per second
clean = melody(440 * 2 ** (SEMITONES / 12))
noisy = clean + clicks(np.random.default_rng(0), clean.size, CLICKS)


def snr(sound: Array) -> float:
    """Return the signal-to-noise ratio of a sound that should be the clean one, in decibels."""
    return float(10 * np.log10((clean**2).sum() / ((sound - clean) ** 2).sum()))


# %%
# Median filters on the spectrogram
# ---------------------------------
# The short-time Fourier transform cuts the sound into frames of n samples that overlap by half. Its bins are RATE / n
# wide: longer frames mean finer bins. Filtered is the magnitude; the phases are kept, and the inverse transform makes
# sound of both.


def transform(frame: int) -> ShortTimeFFT:
    """Return the transform with frames of some samples."""
    return ShortTimeFFT(windows.hann(frame, sym=False), hop=frame // 2, fs=RATE, phase_shift=None)


FRAMES = (64, 128, 256, 512, 1024)
spectra = {frame: transform(frame).stft(noisy) for frame in FRAMES}


def filtered(frame: int, size: tuple[int, int]) -> Array:
    """Return the noisy sound, its spectrogram filtered by the median of a window of (bins, frames)."""
    magnitude = ik.median_filter(np.abs(spectra[frame]), size)
    phase = np.exp(1j * np.angle(spectra[frame]))
    return transform(frame).istft(magnitude * phase, k1=noisy.size)


SQUARES = [(size, size) for size in (1, 3, 5, 7)]
LINES = [(1, size) for size in (3, 5, 7, 9)]
found = {(frame, size): snr(filtered(frame, size)) for frame in FRAMES for size in SQUARES + LINES}

print(f"SNR in dB, {snr(noisy):.1f} before")
print("frame   bins in Hz", *(f"{rows}x{columns:<4}" for rows, columns in SQUARES + LINES))
for frame in FRAMES:
    print(f"{frame:5} {RATE / frame:9.1f}   ", *(f"{found[frame, size]:5.1f} " for size in SQUARES + LINES))

# %%
# **1x1 does nothing.** The median of one value is that value: not one magnitude changes, and what comes back is the
# noisy sound.

for frame in FRAMES:
    magnitude = np.abs(spectra[frame])
    np.testing.assert_array_equal(ik.median_filter(magnitude, 1), magnitude)
    np.testing.assert_allclose(filtered(frame, (1, 1)), noisy, atol=1e-12)  # rounding of the FFT: log2(n) eps = 2e-15

# %%
# **A square is better than nothing, and then worse.** Through Hann's window a tone is three or four bins wide. A median
# over three of them leaves most of it; one over seven takes it for an outlier, the notes are gone with the clicks, and
# at most silence remains, whose SNR is 0 dB.

assert found[256, (3, 3)] > snr(noisy) + 1 > snr(noisy) > found[256, (5, 5)] > found[256, (7, 7)]

# %%
# **A line along time is much better.** A window (1, K) never mixes frequencies. A note lasts for many frames; a click,
# since frames overlap by half, falls into two. Two of three frames outvote the third, two of five do not: with K = 5
# the SNR jumps. The margins asserted are about half of what is measured.

for frame in FRAMES:
    assert max(found[frame, size] for size in LINES) > max(found[frame, size] for size in SQUARES) + 1
best_square, best_line = (max(found[256, size] for size in sizes) for sizes in (SQUARES, LINES))
print(f"bins of 31 Hz: best square {best_square:.1f} dB, best line {best_line:.1f} dB")
assert best_line > best_square + 3
assert found[256, (1, 5)] > found[256, (1, 3)] + 1.5

# %%
# **Coarser bins help.** A click spoils all frames that it falls into, and the longer frames are, the more of them are
# spoilt: with r clicks per second a share of :math:`1 - e^{-r (n + 3) / \mathrm{RATE}}`, since n + 3 positions of a
# click of four samples touch a frame of n. Where that is more than a half, the median of a row is noise itself. Finer
# bins would separate tones better, but no two of this melody are so near.

shares = []
for frame in FRAMES:
    stft = transform(frame)
    interior = slice(*(stft.lower_border_end[1], stft.upper_border_begin(noisy.size)[1] - stft.p_min))
    spoilt = np.abs(transform(frame).stft(noisy - clean))[:, interior].max(axis=0) > 1e-3
    expected = 1 - np.exp(-CLICKS * (frame + 3) / RATE)
    shares.append(float(spoilt.mean()))
    print(f"frames of {frame:4}: {spoilt.mean():.1%} spoilt, expected {expected:.1%}")
    # 48 clicks at random places: the length of sound that they touch scatters by less than a seventh.
    assert abs(spoilt.mean() - expected) < 3 * expected / 7
assert shares == sorted(shares)
assert shares[-1] > 0.5 > shares[2]
best = [max(found[frame, size] for size in LINES) for frame in FRAMES]
assert min(best[:3]) > max(best[3:])

figure, axes = plt.subplots(2, 2, figsize=(12, 7), layout="constrained")
shown = {
    f"clean, bins of {RATE / 256:.0f} Hz": (clean, None),
    f"noisy: {snr(noisy):.1f} dB": (noisy, None),
    f"square median 3x3: {found[256, (3, 3)]:.1f} dB": (noisy, (3, 3)),
    f"median along time 1x9: {found[256, (1, 9)]:.1f} dB": (noisy, (1, 9)),
}
stft = transform(256)
for place, (title, (sound, size)) in zip(axes.flat, shown.items(), strict=True):
    magnitude = np.abs(stft.stft(sound))
    magnitude = magnitude if size is None else ik.median_filter(magnitude, size)
    level = 20 * np.log10(magnitude + 1e-3)
    picture = place.imshow(
        level, origin="lower", aspect="auto", extent=stft.extent(noisy.size), cmap="magma", norm=Normalize(-40, 30)
    )
    place.set(title=title, xlim=(0, clean.size / RATE), ylim=(0, 3000), xlabel="time in s", ylabel="frequency in Hz")
figure.colorbar(picture, ax=axes, label="magnitude in dB", shrink=0.6)

figure, axes = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained", sharey=True)
for place, sizes, title in zip(axes, (SQUARES, LINES), ("square windows", "windows along time"), strict=True):
    for rows, columns in sizes:
        values = [found[frame, (rows, columns)] for frame in FRAMES]
        place.plot(range(len(FRAMES)), values, "o-", label=f"{rows}x{columns}")
    place.axhline(snr(noisy), color="k", linestyle=":", label="before")
    place.set(xticks=range(len(FRAMES)), xticklabels=[f"{RATE / frame:.3g}" for frame in FRAMES])
    place.set(xlabel="width of a bin in Hz", title=title)
    place.legend(fontsize="small", ncols=2)
axes[0].set_ylabel("SNR in dB")

# %%
# A detector of beginnings
# ------------------------
# Where does a note begin? A cell of the spectrogram is labelled y = 1 if a harmonic of a note begins in its bin and
# frame: about one cell in a thousand. The detector is one filter of 5 bins by 7 frames on the logarithm of the
# magnitude, and a logistic function: the chance that it gives a cell is :math:`g = 1 / (1 + e^{-z})`. The notes are
# random, and there is white noise beside the clicks.

SECONDS = 6 if SHORT else 24
FRAME, HOP = 256, 128


def labelled(seed: int) -> tuple[Array, Array]:
    """Return the logarithm of a spectrogram, and the labels of its cells, both (1, bins, frames)."""
    rng = np.random.default_rng(seed)
    pitches = 440 * 2 ** (rng.integers(-12, 13, SECONDS * RATE // NOTE) / 12)
    sound = melody(pitches)
    sound += clicks(rng, sound.size, 4) + 0.2 * rng.normal(size=sound.size)
    frames = sound.size // HOP
    level = np.log(np.abs(transform(FRAME).stft(sound, p0=0, p1=frames)) + 0.1)
    labels = np.zeros(level.shape)
    starts = np.rint(np.arange(pitches.size) * NOTE / HOP).astype(int)
    for k in HARMONICS:
        labels[np.rint(k * pitches * FRAME / RATE).astype(int), starts] = 1
    return (level - level.mean())[None], labels[None]


levels, labels = labelled(1)
share = labels.mean()
print(f"{int(labels.sum())} of {labels.size} cells are positive: p = {share:.4f}")
assert 0.001 < share < 0.0015  # 4 cells of a note, of 25 frames of 129 bins

# %%
# The weighted cross entropy is :math:`L = -a\,y \log g - (1 - y) \log(1 - g)`, whose gradient in z is
# :math:`-a\,y (1 - g) + (1 - y)\,g`, the weight of the cell times g - y. A detector that knows nothing gives all cells
# the same g. With a share p of positives the loss is least at
#
# .. math:: g = \frac{a p}{a p + 1 - p},
#
# which for a = 1 is p, far below one half, and for :math:`a = (1 - p) / p` is one half: both classes count the same.

balance = (1 - share) / share


def weights_of_cells(a: float) -> Array:
    """Return the weights of the loss, of sum 1."""
    weights = np.where(labels == 1, a, 1.0)
    return weights / weights.sum()


for a, best_constant in ((1, share), (balance, 0.5)):
    # A sum of some hundred thousand terms, rounded by much less than this.
    assert abs((weights_of_cells(a) * (best_constant - labels)).sum()) < 1e-12


# %%
# Trained is by gradient descent with momentum, on the whole spectrogram at once: ``conv2d`` gives z, and
# ``conv2d_backward_weight`` the gradient of the filter.


def chances(levels: Array, detector: tuple[Array, float]) -> Array:
    """Return g for every cell."""
    weight, bias = detector
    return 1 / (1 + np.exp(-ik.conv2d(levels, weight, bias=[bias], padding=(2, 3))))


def train(a: float, steps: int = 100) -> tuple[Array, float]:
    """Return a filter and its bias."""
    cells = weights_of_cells(a)
    weight, bias = np.zeros((1, 1, 5, 7)), 0.0
    weight_velocity, bias_velocity = np.zeros_like(weight), 0.0
    for _ in range(steps):
        grad = cells * (chances(levels, (weight, bias)) - labels)
        weight_velocity = 0.9 * weight_velocity + ik.conv2d_backward_weight(grad, levels, weight.shape, padding=(2, 3))
        bias_velocity = 0.9 * bias_velocity + grad.sum()
        weight, bias = weight - weight_velocity, float(bias - bias_velocity)
    return weight, bias


with ik.workers(1):  # a step is too little work to share
    detectors = {"a = 1": train(1), "a = (1 - p) / p": train(balance)}
new_levels, new_labels = labelled(2)
recall, false_alarms = {}, {}
for name, detector in detectors.items():
    g = chances(new_levels, detector)
    recall[name] = float((g[new_labels == 1] > 0.5).mean())
    false_alarms[name] = float((g[new_labels == 0] > 0.5).mean())
    print(f"{name}: found {recall[name]:.0%} of the beginnings in new sound, false alarms {false_alarms[name]:.2%}")

# %%
# Unweighted, the detector passes over most beginnings: to say "nothing begins here" is right in 99.9 % of all cells.
# Weighted, it finds most of them, and pays with false alarms. Neither is wrong: the loss says what a miss costs.
#
# The bias makes the sum of the gradient vanish, so the weighted detector is as sure of one class as of the other: g
# falls short of 1 on positives by as much as it exceeds 0 on negatives.

unweighted, weighted = detectors
assert recall[unweighted] < 0.5 < 0.7 < recall[weighted]
assert false_alarms[unweighted] < 0.01 < false_alarms[weighted] < 0.2
g = chances(levels, detectors[weighted])
short_of_one, above_zero = 1 - g[labels == 1].mean(), g[labels == 0].mean()
print(f"on average g is {short_of_one:.3f} short of 1 on positives, and {above_zero:.3f} above 0 on negatives")
assert abs(short_of_one - above_zero) < 0.01  # after the steps above the bias is within this of its optimum

figure, axes = plt.subplots(2, 2, figsize=(12, 6.4), layout="constrained", width_ratios=(1, 0.3))
window = slice(0, 250)  # frames: four seconds
bins, frames = np.nonzero(new_labels[0, :, window])
for line, (name, detector) in zip(axes, detectors.items(), strict=True):
    line[0].imshow(chances(new_levels, detector)[0, :, window], origin="lower", aspect="auto", cmap="gray_r", vmax=1)
    line[0].scatter(frames, bins, s=60, facecolors="none", edgecolors="tab:red", linewidths=0.9)
    line[0].set(title=f"{name}: {recall[name]:.0%} found", xlabel="frame", ylabel="bin")
    size = np.abs(detector[0]).max()
    picture = line[1].imshow(detector[0][0, 0], origin="lower", cmap="RdBu_r", vmin=-size, vmax=size)
    line[1].set(title="its filter", xlabel="frame", ylabel="bin", xticks=range(7), xticklabels=range(-3, 4))
    line[1].set(yticks=range(5), yticklabels=range(-2, 3))
    figure.colorbar(picture, ax=line[1], shrink=0.6)
plt.show()
