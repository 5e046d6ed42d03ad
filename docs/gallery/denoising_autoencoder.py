r"""
A denoising autoencoder against the median filter
=================================================

A network that makes images smaller and large again learns to remove noise from pairs of noisy and clean photographs. It
is built from ``conv2d``, ``conv_transpose2d`` and their gradients, trained by NumPy in a few minutes on two cores, and
compared on photographs that it has not seen with the best median filter for them. And why the pairs have to be noisy: a
network that only copies pixels gives clean images back without a flaw.
"""

import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

import imkernels as ik
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from skimage import color, data

SHORT = "IMKERNELS_GALLERY_SHORT" in os.environ  # as the tests run it
STEPS, SEARCH_STEPS = (30, 10) if SHORT else (3000, 600)
SIDE = 96 if SHORT else 1000  # at most, of photographs to compare on

Images = NDArray[Any]  # (N, 1, H, W), grey from 0 to 1

# %%
# Three kinds of noise
# --------------------
# Gaussian noise is added to every pixel; Poisson noise is that of counting light, about 30 photons where the image is
# white; and of every ten blocks of 4x4 pixels one is knocked out. One network is to remove all three, and is not told
# which it is.


def gaussian(clean: Images, rng: np.random.Generator) -> Images:
    """Add noise with a standard deviation of a tenth of the range."""
    return clean + 0.1 * rng.standard_normal(clean.shape, dtype=np.float32)


def poisson(clean: Images, rng: np.random.Generator) -> Images:
    """Count photons."""
    return (rng.poisson(30 * clean) / 30).astype(np.float32)


def blocks(clean: Images, rng: np.random.Generator) -> Images:
    """Knock blocks out."""
    count, _, height, width = clean.shape
    kept = rng.random((count, 1, height // 4, width // 4)) > 0.1
    return clean * kept.repeat(4, axis=-2).repeat(4, axis=-1)


NOISES = {"Gaussian": gaussian, "Poisson": poisson, "blocks": blocks}


def photograph(name: str) -> Images:
    """Return a photograph of scikit-image in grey, its sides multiples of four pixels."""
    picture = getattr(data, name)()
    picture = picture[0] if isinstance(picture, tuple) else picture  # the left one of a pair of eyes
    grey = picture / 255 if picture.ndim == 2 else color.rgb2gray(picture)
    return grey[None, None, : grey.shape[0] // 4 * 4, : grey.shape[1] // 4 * 4].astype(np.float32)


TRAINING = [
    photograph(name)
    for name in ("brick", "chelsea", "coffee", "gravel", "immunohistochemistry", "moon", "retina", "rocket")
]
HELD_OUT = [photograph("astronaut")[..., :SIDE, :SIDE]]
NEW = {name: photograph(name)[..., :SIDE, :SIDE] for name in ("camera", "coins", "stereo_motorcycle")}

# %%
# Augmentation: what is trained on are crops from random places, turned over and transposed at random.


def crops(rng: np.random.Generator, count: int, side: int = 48) -> Images:
    """Return parts of the photographs for training."""
    some = []
    for _ in range(count):
        picture = TRAINING[rng.integers(len(TRAINING))][0, 0]
        top, left = (rng.integers(extent - side + 1) for extent in picture.shape)
        part = picture[top : top + side, left : left + side]
        part = part[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        some.append(part.T if rng.random() < 0.5 else part)
    return np.stack(some)[:, None]


def batch(rng: np.random.Generator, count: int) -> tuple[Images, Images]:
    """Return noisy images and what they were, of every noise about as many."""
    clean = crops(rng, count)
    shares = np.array_split(clean, len(NOISES))
    return np.concatenate([noise(part, rng) for noise, part in zip(NOISES.values(), shares, strict=True)]), clean


# %%
# The network
# -----------
# Two convolutions of 3x3 with stride 2 make an image a quarter as large, of 64 channels, and two transposed ones bring
# it back; between these is one more convolution, at half size. A ReLU stands behind all but the last. There are short
# cuts: what the first convolution saw is added again at its size, the one at half size adds to what it is given, and
# the network's result is added to the noisy image, so what it has to learn is the noise.
#
# The way back through a transposed convolution needs no function of its own. It is the transpose of a convolution, so
# the gradient for its input is that convolution, and for its weights input and gradient change places.


class Convolution:
    """A convolution of 3x3 and a ReLU."""

    def __init__(self, weight: NDArray[Any], stride: int) -> None:
        self.weight, self.bias = weight, np.zeros(weight.shape[0], weight.dtype)
        self.window = {"stride": stride, "padding": 1}

    def forward(self, x: Images) -> Images:
        """Return the layer's result, and keep what the way back needs."""
        self.x = x
        self.y = np.maximum(ik.conv2d(x, self.weight, bias=self.bias, **self.window), 0)
        return self.y

    def backward(self, grad: Images) -> Images:
        """Keep the gradients of the weights and the bias; return that of the input."""
        grad = grad * (self.y > 0)
        self.weight_grad = ik.conv2d_backward_weight(grad, self.x, self.weight.shape, **self.window)
        self.bias_grad = grad.sum(axis=(0, 2, 3))
        return ik.conv2d_backward_input(grad, self.weight, self.x.shape, **self.window)


class Enlargement:
    """A transposed convolution of 4x4 with stride 2 and, unless it is the last, a ReLU."""

    window: ClassVar = {"stride": 2, "padding": 1}

    def __init__(self, weight: NDArray[Any], last: bool = False) -> None:
        self.weight, self.bias = weight, np.zeros(weight.shape[1], weight.dtype)
        self.last = last

    def forward(self, x: Images) -> Images:
        """Return the layer's result, and keep what the way back needs."""
        self.x = x
        y = ik.conv_transpose2d(x, self.weight, bias=self.bias, **self.window)
        self.y = y if self.last else np.maximum(y, 0)
        return self.y

    def backward(self, grad: Images) -> Images:
        """Keep the gradients of the weights and the bias; return that of the input."""
        grad = grad if self.last else grad * (self.y > 0)
        self.weight_grad = ik.conv2d_backward_weight(self.x, grad, self.weight.shape, **self.window)
        self.bias_grad = grad.sum(axis=(0, 2, 3))
        return ik.conv2d(grad, self.weight, **self.window)


class Autoencoder:
    """Two layers down, two layers up, and one between these."""

    def __init__(self, channels: tuple[int, int] = (32, 64), dtype: type = np.float32) -> None:
        rng = np.random.default_rng(0)

        def weights(*shape: int, inputs: int) -> NDArray[Any]:
            return rng.normal(0, (2 / inputs) ** 0.5, shape).astype(dtype)  # keeps the variance through a ReLU

        first, second = channels
        self.encode1 = Convolution(weights(first, 1, 3, 3, inputs=9), stride=2)
        self.encode2 = Convolution(weights(second, first, 3, 3, inputs=9 * first), stride=2)
        # At stride 2 every pixel of the result is reached by 4 of the 16 weights.
        self.decode1 = Enlargement(weights(second, first, 4, 4, inputs=4 * second))
        self.refine = Convolution(0.5 * weights(first, first, 3, 3, inputs=9 * first), stride=1)
        self.decode2 = Enlargement(0.1 * weights(first, 1, 4, 4, inputs=4 * first), last=True)
        self.layers = (self.encode1, self.encode2, self.decode1, self.refine, self.decode2)

    def forward(self, noisy: Images) -> Images:
        """Return denoised images."""
        half = self.encode1.forward(noisy - 0.5)
        restored = self.decode1.forward(self.encode2.forward(half)) + half
        return noisy + self.decode2.forward(restored + self.refine.forward(restored))

    def backward(self, grad: Images) -> None:
        """Keep the gradients of all layers."""
        refined = self.decode2.backward(grad)
        restored = refined + self.refine.backward(refined)
        self.encode1.backward(self.encode2.backward(self.decode1.backward(restored)) + restored)


# %%
# The two losses, each with its gradient: the mean square of the error (L2), and its mean magnitude (L1).


def l2(error: Images) -> tuple[float, Images]:
    """Return the mean square."""
    return float(np.mean(error**2)), 2 * error / error.size


def l1(error: Images) -> tuple[float, Images]:
    """Return the mean magnitude."""
    return float(np.mean(np.abs(error))), np.sign(error) / error.size


# %%
# Gradients are easily wrong and still go downhill. Central differences, in double precision on a tiny network, find
# the same in every weight.


def largest_gradient_error(loss: Callable[[Images], tuple[float, Images]]) -> float:
    """Compare the gradients of a tiny network with central differences, relative to the largest gradient."""
    rng = np.random.default_rng(1)
    network = Autoencoder((2, 3), np.float64)
    noisy, clean = rng.random((2, 2, 1, 8, 8))
    _, grad = loss(network.forward(noisy) - clean)
    network.backward(grad)
    step, differences, gradients = 1e-6, [], []
    for layer in network.layers:
        for values, gradient in ((layer.weight, layer.weight_grad), (layer.bias, layer.bias_grad)):
            for index in np.ndindex(values.shape):
                kept, sides = values[index], []
                for move in (step, -step):
                    values[index] = kept + move
                    sides.append(loss(network.forward(noisy) - clean)[0])
                values[index] = kept
                differences.append((sides[0] - sides[1]) / (2 * step))
                gradients.append(gradient[index])
    return float(np.abs(np.subtract(differences, gradients)).max() / np.abs(gradients).max())


for loss in (l2, l1):
    error = largest_gradient_error(loss)
    print(f"{loss.__name__}: gradients and central differences are {error:.1e} apart")
    assert error < 1e-7  # eps / step = 2e-10 from rounding, step**2 = 1e-12 from the method, times some hundreds

# %%
# Training
# --------
# Stochastic gradient descent with momentum on batches of eight crops. The step size grows over the first hundred
# steps, then falls to zero along half a cosine, and gradients that would make too long a step are shortened. L1's
# gradient does not shrink with the error, so its rate is smaller.


def psnr(image: Images, clean: Images) -> float:
    """Return the peak signal-to-noise ratio in decibels, the peak being 1."""
    return -10 * math.log10(np.mean((image - clean) ** 2, dtype=np.float64))


def noisy_versions(photographs: Iterable[Images]) -> dict[str, list[tuple[Images, Images]]]:
    """Return pairs of noisy and clean photographs for every kind of noise, always the same."""
    rng = np.random.default_rng(2)
    photographs = list(photographs)
    return {name: [(noise(clean, rng), clean) for clean in photographs] for name, noise in NOISES.items()}


def mean_psnr(network: Autoencoder, pairs: dict[str, list[tuple[Images, Images]]]) -> float:
    """Return the mean over photographs and kinds of noise."""
    return float(np.mean([psnr(network.forward(noisy), clean) for some in pairs.values() for noisy, clean in some]))


class Plan(NamedTuple):
    """How to train."""

    loss: Callable[[Images], tuple[float, Images]]
    decay: float
    steps: int


class Trained(NamedTuple):
    """A network, the loss of every step, and the PSNR on the held-out photograph along the way."""

    network: Autoencoder
    losses: list[float]
    checks: list[tuple[int, float]]


RATES = {l2: 1.0, l1: 0.2}
LONGEST = 0.02  # of a step, in the norm of all weights together
MOMENTUM, WARM_UP, BATCH = 0.9, 100, 8
held_out = noisy_versions(HELD_OUT)


def step_size(plan: Plan, step: int, norm: float) -> float:
    """Return what to multiply a gradient of some norm with."""
    cosine = (1 + math.cos(math.pi * step / plan.steps)) / 2
    return min(RATES[plan.loss], LONGEST / norm) * min(1, (step + 1) / WARM_UP) * cosine


def train(plan: Plan) -> Trained:
    """Train a network from scratch, on one thread."""
    trained = Trained(Autoencoder(), [], [])
    network, rng = trained.network, np.random.default_rng(3)
    velocities = [(np.zeros_like(layer.weight), np.zeros_like(layer.bias)) for layer in network.layers]
    with ik.workers(1):
        for step in range(plan.steps):
            if step % (plan.steps // 10) == 0:
                trained.checks.append((step, mean_psnr(network, held_out)))
            noisy, clean = batch(rng, BATCH)
            loss, grad = plan.loss(network.forward(noisy) - clean)
            trained.losses.append(loss)
            network.backward(grad)
            norm = math.sqrt(sum(float((layer.weight_grad**2).sum()) for layer in network.layers))
            rate = step_size(plan, step, norm)
            for layer, (weight_velocity, bias_velocity) in zip(network.layers, velocities, strict=True):
                weight_velocity *= MOMENTUM
                weight_velocity -= rate * (layer.weight_grad + plan.decay * layer.weight)
                layer.weight += weight_velocity
                bias_velocity *= MOMENTUM
                bias_velocity -= rate * layer.bias_grad
                layer.bias += bias_velocity
        trained.checks.append((plan.steps, mean_psnr(network, held_out)))
    return trained


# %%
# The weight decay is chosen by short trainings, on a photograph that is neither trained on nor compared on. Two
# networks are trained at a time, each by a thread of Python: the kernels release the GIL.

DECAYS = (0, 1e-5, 1e-4, 1e-3)
with ThreadPoolExecutor(2) as pool:
    searches = list(pool.map(train, [Plan(l2, decay, SEARCH_STEPS) for decay in DECAYS]))
    scores = [search.checks[-1][1] for search in searches]
    decay = DECAYS[int(np.argmax(scores))]
    by_l2, by_l1 = pool.map(train, [Plan(l2, decay, STEPS), Plan(l1, decay, STEPS)])

print("weight decay:", ", ".join(f"{value:g}: {score:.2f} dB" for value, score in zip(DECAYS, scores, strict=True)))
for name, trained in (("L2", by_l2), ("L1", by_l1)):
    tenth = STEPS // 10
    start, end = np.mean(trained.losses[:tenth]), np.mean(trained.losses[-tenth:])
    print(
        f"{name}: loss {start:.4f} -> {end:.4f}, held out {trained.checks[0][1]:.2f} -> {trained.checks[-1][1]:.2f} dB"
    )
    # A tenth of the short form are 24 crops, whose losses scatter by less than a tenth of their mean.
    assert end < 0.9 * start
    assert trained.checks[-1][1] > trained.checks[0][1]

# %%
# On new photographs
# ------------------
# The median filter may choose its size for every photograph and every noise, with the clean one at hand.

SIZES = (3, 5, 7, 9, 11)


def best_median(noisy: Images, clean: Images) -> Images:
    """Return the median filter's result of the size that comes nearest to the clean image."""
    return max((ik.median_filter(noisy, size) for size in SIZES), key=lambda filtered: psnr(filtered, clean))


METHODS: dict[str, Callable[[Images, Images], Images]] = {
    "noisy": lambda noisy, clean: noisy,
    "best median": best_median,
    "autoencoder, L1": lambda noisy, clean: by_l1.network.forward(noisy),
    "autoencoder, L2": lambda noisy, clean: by_l2.network.forward(noisy),
}
new = noisy_versions(NEW.values())
table = {
    noise: {method: [psnr(apply(*pair), pair[1]) for pair in pairs] for method, apply in METHODS.items()}
    for noise, pairs in new.items()
}
print(f"{'PSNR in dB':16} {'':16}", *(f"{name:>17}" for name in NEW), f"{'mean':>7}")
for noise, rows in table.items():
    for method, values in rows.items():
        print(f"{noise:16} {method:16}", *(f"{value:17.2f}" for value in values), f"{np.mean(values):7.2f}")

# %%
# The network is at least 1 dB better for Gaussian noise and for blocks, and in fact for Poisson noise too. A median has
# to be wide to look past a block, and then it blurs all that is whole; the network sees which pixels are missing.
# Trained on L2 it is better than on L1, by this measure: PSNR is a function of the mean square, which is L2 itself.

if not SHORT:
    for noise, rows in table.items():
        gain = np.mean(rows["autoencoder, L2"]) - np.mean(rows["best median"])
        print(f"{noise}: {gain:.2f} dB better than the best median filter")
        assert gain > 1
        assert np.mean(rows["autoencoder, L2"]) > np.mean(rows["autoencoder, L1"])

# %%
# Cheating
# --------
# An encoder with stride 2 need not lose anything. Four filters with a single 1 each copy the four pixels of every cell
# of 2x2 into four channels, the ReLU lets them pass since no pixel is negative, and a decoder with four such filters
# puts them back. Trained to reproduce clean images, a network might end here, where the loss is zero and so is its
# gradient: nothing would be learned about images. On noisy images the copy is noisy, and the gradient shows the way.

CELL = (0, 0), (0, 1), (1, 0), (1, 1)
copying, pasting = np.zeros((4, 1, 3, 3), np.float32), np.zeros((4, 1, 4, 4), np.float32)
for channel, (row, column) in enumerate(CELL):
    # Both windows begin one pixel up and left of the cell: that is the padding.
    copying[channel, 0, row + 1, column + 1] = pasting[channel, 0, row + 1, column + 1] = 1
encoder, decoder = Convolution(copying, stride=2), Enlargement(pasting, last=True)


def copied(image: Images) -> Images:
    """Return an image that went through the copying network."""
    return decoder.forward(encoder.forward(image))


for clean in NEW.values():
    np.testing.assert_array_equal(copied(clean), clean)  # a product with 1 and sums with 0: exact
encoder.backward(decoder.backward(l2(copied(clean) - clean)[1]))
assert not any(grad.any() for layer in (encoder, decoder) for grad in (layer.weight_grad, layer.bias_grad))

for noise in ("Poisson", "blocks"):  # Gaussian noise has negative pixels, which the ReLU clips
    for noisy, clean in new[noise]:
        np.testing.assert_array_equal(copied(noisy), noisy)
        encoder.backward(decoder.backward(l2(copied(noisy) - clean)[1]))
        assert np.abs(decoder.weight_grad).max() > 0

# %%
# The pictures: parts of a photograph that no network was trained on.

ROWS, COLUMNS = slice(80, 208), slice(170, 298)
if SHORT:
    ROWS = COLUMNS = slice(0, SIDE)
figure, axes = plt.subplots(3, 5, figsize=(12, 7.9), layout="constrained")
for line, (noise, pairs) in zip(axes, new.items(), strict=True):
    noisy, clean = pairs[0]
    shown = {"clean": clean} | {method: apply(noisy, clean) for method, apply in METHODS.items()}
    line[0].set_ylabel(noise, fontsize="large")
    for place, (method, image) in zip(line, shown.items(), strict=True):
        place.imshow(image[0, 0, ROWS, COLUMNS], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        place.set(xticks=[], yticks=[])
        value = "" if method == "clean" else f": {table[noise][method][0]:.1f} dB"
        place.set_title(method + value, fontsize="medium")

# %%
# And the numbers: how the held-out photograph gained in training, what weight decay did for it, and the means over the
# new photographs.

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(12, 3.8), layout="constrained", width_ratios=(1.1, 0.8, 1.4)
)
for name, trained in (("L2", by_l2), ("L1", by_l1)):
    left.plot(*zip(*trained.checks, strict=True), "o-", markersize=3, label=name)
left.set(xlabel="step", ylabel="PSNR in dB", title="The held-out photograph in training")
left.legend()
middle.plot([f"{value:g}" for value in DECAYS], scores, "o-")
middle.set(xlabel="weight decay", ylabel="PSNR in dB", title=f"By weight decay, after {SEARCH_STEPS} steps")
for place, method in enumerate(METHODS):
    means = [np.mean(rows[method]) for rows in table.values()]
    bars = right.bar(np.arange(len(NOISES)) + 0.2 * (place - 1.5), means, 0.19, label=method)
    right.bar_label(bars, fmt="%.1f", fontsize="x-small")
right.set(xticks=range(len(NOISES)), xticklabels=NOISES, ylim=(14, 32), ylabel="PSNR in dB", title="New photographs")
right.legend(fontsize="small", ncols=2, loc="upper left")
plt.show()
