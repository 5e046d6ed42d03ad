"""Read noisy digits: filters as steps of a scikit-learn pipeline, whose parameters a grid search finds.

    python docs/gallery/sklearn_pipeline.py

scikit-learn's digits of 8 x 8 pixels are enlarged to 16 x 16, and a tenth of the pixels are set to black or white. A
pipeline filters the images, takes maxima of 2 x 2 and classifies the rest linearly. The grid search tries no filter,
medians and means of several sizes, in two processes: each filters on as many threads as joblib leaves to it. It prints
the accuracy of every candidate, and that of the best on digits that were kept back.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from imkernels.pipeline.sklearn import BoxBlur, MaxPool, MedianFilter
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

Array = np.ndarray[Any, np.dtype[Any]]

SHAPE = (16, 16)


def noisy_digits(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Return rows of 256 pixels, and the digits that they show."""
    digits, labels = load_digits(return_X_y=True)
    images = digits[:count].reshape(-1, 8, 8).astype(np.uint8)
    rows = np.kron(images, np.ones((1, 2, 2), np.uint8)).reshape(len(images), -1)
    noise = rng.random(rows.shape)
    rows[noise < 0.05] = 0
    rows[noise > 0.95] = 16
    return rows, labels[:count]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Search and print; return the accuracies of the search by the filter's name, and that of the test."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--digits", type=int, default=1797)
    options = parser.parse_args(arguments)
    training, testing, training_labels, testing_labels = train_test_split(
        *noisy_digits(np.random.default_rng(0), options.digits), random_state=0
    )
    steps = [("filter", "passthrough"), ("pool", MaxPool(2, image_shape=SHAPE)), ("classifier", RidgeClassifier())]
    filters = ["passthrough"] + [
        kind(size, image_shape=SHAPE) for kind in (MedianFilter, BoxBlur) for size in (2, 3, 5)
    ]
    search = GridSearchCV(Pipeline(steps), {"filter": filters}, n_jobs=2)
    search.fit(training, training_labels)
    results = search.cv_results_
    scores = zip(results["param_filter"], results["mean_test_score"], strict=True)
    accuracies = {str(step): float(score) for step, score in scores}
    accuracies["test"] = float(search.score(testing, testing_labels))
    for name, accuracy in accuracies.items():
        print(f"{accuracy:.1%}  {name}")
    return accuracies


if __name__ == "__main__":
    main()
