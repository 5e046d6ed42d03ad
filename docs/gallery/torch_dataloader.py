"""Find out how a lens blurs, from photographs that the processes of a DataLoader prepare.

    python docs/gallery/torch_dataloader.py --workers 2

Every item of the data set is a patch of a photograph, and the same patch as a camera saw it: blurred by the lens, and
with dead pixels, black or white, that the worker process finds and replaces by a median filter. The kernel of a
correlation is learned that makes the one of the other. The error counts in edges alone, since neighbours in photographs
are much alike and would tell little about single weights. It prints the error of every pass over the data, and how far
the weights are from those of the lens.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from imkernels.pipeline.torch import Correlate, MedianFilter
from skimage import color, data
from torch import Tensor

PHOTOGRAPHS = ("astronaut", "camera", "coffee", "retina")
SIDE = 52  # of a patch
DEAD = 0.02  # of the pixels
LENS = torch.tensor(
    [
        [0.00, 0.00, 0.00, 0.02, 0.08],
        [0.00, 0.00, 0.04, 0.16, 0.06],
        [0.00, 0.04, 0.20, 0.04, 0.00],
        [0.06, 0.16, 0.04, 0.00, 0.00],
        [0.08, 0.02, 0.00, 0.00, 0.00],
    ]
)
EDGES = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])


class Patches:
    """A data set of patches as they are, (SIDE, SIDE), and as they were seen, without the border."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.lens, self.median = Correlate(LENS, padding="valid"), MedianFilter(3)
        self.photographs = []
        for name in PHOTOGRAPHS:
            photograph = np.asarray(getattr(data, name)())
            grey = photograph / 255 if photograph.ndim == 2 else color.rgb2gray(photograph)
            self.photographs.append(torch.from_numpy(grey.astype(np.float32)))

    def __len__(self) -> int:
        """Return the number of patches."""
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the patch of this number, whichever process is asked for it."""
        rng = np.random.default_rng(index)
        photograph = self.photographs[index % len(self.photographs)]
        top, left = (rng.integers(extent - SIDE) for extent in photograph.shape)
        patch = photograph[top : top + SIDE, left : left + SIDE]
        seen = self.lens(patch)
        fate = torch.from_numpy(rng.random(seen.shape))
        seen = torch.where(fate < DEAD, (fate < DEAD / 2).float(), seen)
        median = self.median(seen)
        return patch, torch.where((seen - median).abs() > 0.1, median, seen)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Learn and print; return the largest error of a weight, and the number of passes over the data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--patches", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2, help="processes that prepare patches, 0 for none")
    parser.add_argument("--method", default="fork", choices=("fork", "spawn", "forkserver"), help="to start them")
    parser.add_argument("--compile", action="store_true", help="compile what is learned, forward and backward")
    options = parser.parse_args(arguments)

    processes = {"num_workers": options.workers, "persistent_workers": True, "multiprocessing_context": options.method}
    patches = Patches(options.patches)
    loader = torch.utils.data.DataLoader(patches, batch_size=50, **(processes if options.workers else {}))
    learned = Correlate(torch.nn.Parameter(torch.zeros(LENS.shape)), padding="valid")
    network = torch.nn.Sequential(learned, Correlate(EDGES, padding="valid"))
    predicted = torch.compile(network, fullgraph=True) if options.compile else network
    optimizer = torch.optim.LBFGS(learned.parameters(), max_iter=options.steps, line_search_fn="strong_wolfe")
    passes = []
    start = time.perf_counter()

    def error() -> float:
        """Return the squared error over all data, its gradient left in the kernel."""
        optimizer.zero_grad()
        total = 0.0
        for sharp, seen in loader:
            loss = (predicted(sharp) - network[1](seen)).square().sum()
            loss.backward()
            total += loss.item()
        passes.append(total)
        print(f"pass {len(passes)}: error {total:.3f} after {time.perf_counter() - start:.1f} s", flush=True)
        return total

    optimizer.step(error)
    largest = float((learned.kernel.detach() - LENS).abs().max())
    print("\n".join(" ".join(f"{weight:5.2f}" for weight in row) for row in learned.kernel.tolist()))
    print(f"largest error of a weight: {largest:.3f}")
    return {"error": largest, "passes": len(passes)}


if __name__ == "__main__":
    main()
