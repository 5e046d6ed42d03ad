"""Train a small convolutional network with NumPy and imkernels alone: it tells photographs by their patches.

    python docs/gallery/train_small_cnn.py --out gallery-out

Two convolutions, each with a ReLU and a max pooling of which the second is global, and a linear layer, trained by
stochastic gradient descent with momentum and weight decay. The patches come from scikit-image's photographs, those for
testing from other places than those for training. It prints the loss and the accuracy after every epoch, and saves the
filters that the first layer has learned as a picture. With ``--compare`` the same network is trained by PyTorch, from
the same weights on the same batches, both on one thread.
"""

from __future__ import annotations

import argparse
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imkernels as ik
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Weights = dict[str, Array]

PHOTOGRAPHS = ("astronaut", "camera", "coffee", "hubble_deep_field", "retina")
SIDE = 28  # of a patch
BLOCK = 32  # columns of a photograph that are for training alone, or for testing
CONTRAST = 0.05  # that a patch needs to show something
CHANNELS = 8, 16
MOMENTUM, DECAY, BATCH = 0.9, 1e-4, 50


class Data(NamedTuple):
    """Patches (N, 1, SIDE, SIDE) and the numbers of the photographs that they come from."""

    images: Array
    labels: Array


def patches(rng: np.random.Generator, count: int, parity: int) -> Data:
    """Return patches from every other block of columns: the even ones (parity 0) or the odd ones."""
    from skimage import color, data

    images, labels = [], []
    for label, name in enumerate(PHOTOGRAPHS):
        photograph = np.asarray(getattr(data, name)())
        grey = photograph / 255 if photograph.ndim == 2 else color.rgb2gray(photograph)
        wanted = len(images) + count // len(PHOTOGRAPHS)
        while len(images) < wanted:
            block = 2 * rng.integers(grey.shape[1] // (2 * BLOCK)) + parity
            top, left = rng.integers(grey.shape[0] - SIDE), block * BLOCK + rng.integers(BLOCK - SIDE)
            patch = grey[top : top + SIDE, left : left + SIDE]
            if patch.std() > CONTRAST:
                images.append(patch)
                labels.append(label)
    return Data((np.stack(images)[:, None].astype(np.float32) - 0.4) * 4, np.array(labels))


def random_weights(rng: np.random.Generator) -> Weights:
    """Return weights to begin with, of a variance that keeps that of what they are applied to."""
    first, second = CHANNELS
    shapes = {"conv1": (first, 1, 5, 5), "conv2": (second, first, 3, 3), "linear": (len(PHOTOGRAPHS), second)}
    weights = {name: rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape) for name, shape in shapes.items()}
    biases = {f"{name}_bias": np.zeros(shape[0]) for name, shape in shapes.items()}
    return {name: values.astype(np.float32) for name, values in (weights | biases).items()}


def batches(data: Data, rng: np.random.Generator) -> Iterator[Data]:
    """Yield the patches in another order, some at a time."""
    order = rng.permutation(len(data.labels))
    for first in range(0, len(order), BATCH):
        some = order[first : first + BATCH]
        yield Data(data.images[some], data.labels[some])


def rate(epoch: int, epochs: int) -> float:
    """Return the step size, which goes down to zero."""
    return 0.04 * (1 - epoch / epochs)


class Layers(NamedTuple):
    """What the way forward leaves for the way back."""

    hidden1: Array
    pooled1: Array
    argmax1: Array
    hidden2: Array
    pooled2: Array
    argmax2: Array
    scores: Array


def forward(weights: Weights, images: Array) -> Layers:
    """Return what every layer makes of some images."""
    hidden1 = np.maximum(ik.conv2d(images, weights["conv1"], bias=weights["conv1_bias"], padding="same"), 0)
    pooled1, argmax1 = ik.max_pool_with_argmax(hidden1, 2)
    hidden2 = np.maximum(ik.conv2d(pooled1, weights["conv2"], bias=weights["conv2_bias"], padding="same"), 0)
    pooled2, argmax2 = ik.adaptive_max_pool_with_argmax(hidden2, 1)
    scores = pooled2[..., 0, 0] @ weights["linear"].T + weights["linear_bias"]
    return Layers(hidden1, pooled1, argmax1, hidden2, pooled2, argmax2, scores)


def loss_and_gradients(weights: Weights, batch: Data) -> tuple[float, Weights]:
    """Return the mean cross entropy of a batch, and its gradient in every weight."""
    layers = forward(weights, batch.images)
    scores = layers.scores - layers.scores.max(axis=1, keepdims=True)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    rows = np.arange(len(batch.labels))
    loss = -np.log(chances[rows, batch.labels]).mean()

    grad = chances
    grad[rows, batch.labels] -= 1
    grad /= len(rows)
    gradients = {"linear": grad.T @ layers.pooled2[..., 0, 0], "linear_bias": grad.sum(axis=0)}
    grad = ik.max_pool_backward((grad @ weights["linear"])[..., None, None], layers.argmax2, layers.hidden2.shape[-2:])
    grad *= layers.hidden2 > 0
    gradients["conv2"] = ik.conv2d_backward_weight(grad, layers.pooled1, weights["conv2"].shape, padding="same")
    gradients["conv2_bias"] = grad.sum(axis=(0, 2, 3))
    grad = ik.conv2d_backward_input(grad, weights["conv2"], layers.pooled1.shape, padding="same")
    grad = ik.max_pool_backward(grad, layers.argmax1, layers.hidden1.shape[-2:])
    grad *= layers.hidden1 > 0
    gradients["conv1"] = ik.conv2d_backward_weight(grad, batch.images, weights["conv1"].shape, padding="same")
    gradients["conv1_bias"] = grad.sum(axis=(0, 2, 3))
    return float(loss), gradients


def accuracy(weights: Weights, data: Data) -> float:
    """Return the share of patches whose photograph is found."""
    return float((forward(weights, data.images).scores.argmax(axis=1) == data.labels).mean())


def train(weights: Weights, training: Data, testing: Data, epochs: int) -> float:
    """Change the weights in place; return the accuracy in the end."""
    velocity = {name: np.zeros_like(values) for name, values in weights.items()}
    rng = np.random.default_rng(2)
    for epoch in range(epochs):
        losses = []
        for batch in batches(training, rng):
            loss, gradients = loss_and_gradients(weights, batch)
            losses.append(loss)
            for name, values in weights.items():
                velocity[name] = MOMENTUM * velocity[name] + gradients[name] + DECAY * values
                values -= rate(epoch, epochs) * velocity[name]
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, accuracy {accuracy(weights, testing):.1%}", flush=True)
    return accuracy(weights, testing)


def train_with_pytorch(weights: Weights, training: Data, testing: Data, epochs: int) -> float:
    """Do the same by PyTorch."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    tensors = {name: torch.from_numpy(values.copy()).requires_grad_() for name, values in weights.items()}
    optimizer = torch.optim.SGD(tensors.values(), rate(0, epochs), MOMENTUM, weight_decay=DECAY)

    def scores(images: Array) -> Any:
        layer = functional.conv2d(torch.from_numpy(images), tensors["conv1"], tensors["conv1_bias"], padding=2)
        layer = functional.max_pool2d(functional.relu(layer), 2)
        layer = functional.conv2d(layer, tensors["conv2"], tensors["conv2_bias"], padding=1)
        layer = functional.adaptive_max_pool2d(functional.relu(layer), 1)
        return functional.linear(layer[..., 0, 0], tensors["linear"], tensors["linear_bias"])

    rng = np.random.default_rng(2)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = rate(epoch, epochs)
        for batch in batches(training, rng):
            optimizer.zero_grad()
            functional.cross_entropy(scores(batch.images), torch.from_numpy(batch.labels)).backward()
            optimizer.step()
    with torch.no_grad():
        return float((scores(testing.images).argmax(dim=1).numpy() == testing.labels).mean())


def save_filters(filters: Array, path: Path) -> None:
    """Save filters (N, 1, K, K) side by side as a grey PNG, each from its lowest weight to its highest."""
    low = filters.min(axis=(1, 2, 3), keepdims=True)
    tiles = (filters - low) / (filters.max(axis=(1, 2, 3), keepdims=True) - low)
    large = np.pad(np.kron(tiles[:, 0], np.ones((16, 16))), [(0, 0), (4, 4), (4, 4)], constant_values=1)
    pixels = np.rint(255 * np.hstack(list(large))).astype(np.uint8)
    height, width = pixels.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # each behind its filter: none

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.tobytes())), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, print and save; return the accuracies and the seconds that they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--patches", type=int, default=4000, help="for training; a quarter as many for testing")
    parser.add_argument("--out", type=Path, default=Path("gallery-out"))
    parser.add_argument("--compare", action="store_true", help="train the same network with PyTorch, too")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(1)
    training, testing = patches(rng, options.patches, 0), patches(rng, options.patches // 4, 1)
    weights = random_weights(rng)
    start_weights = {name: values.copy() for name, values in weights.items()}
    found = {}
    with ik.workers(1):
        start = time.perf_counter()
        found["accuracy"] = train(weights, training, testing, options.epochs)
        found["seconds"] = time.perf_counter() - start
    options.out.mkdir(parents=True, exist_ok=True)
    save_filters(weights["conv1"], options.out / "filters.png")
    print(f"accuracy {found['accuracy']:.1%} after {found['seconds']:.1f} s; filters in {options.out / 'filters.png'}")
    if options.compare:
        start = time.perf_counter()
        found["pytorch_accuracy"] = train_with_pytorch(start_weights, training, testing, options.epochs)
        found["pytorch_seconds"] = time.perf_counter() - start
        print(f"PyTorch: accuracy {found['pytorch_accuracy']:.1%} after {found['pytorch_seconds']:.1f} s")
    return found


if __name__ == "__main__":
    main()
