"""The digits: 1797 images of 8x8 pixels, values 0 to 16, and one fixed split of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["TEST_FILE", "load_digits_split", "load_test"]

TEST_FILE = Path(__file__).parent / "digits_test.npz"

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load_digits_split(seed: int = 2024) -> Split:
    """Training and test images in the model's own input format.

    Every fifth image of each class, in a seeded random order, is a test image: 1437 and 360.
    Needs scikit-learn, which holds the images.

    Returns
    -------
    tuple
        x_train float32 [1437, 1, 8, 8], y_train int64 [1437], x_test float32 [360, 1, 8, 8],
        y_test int64 [360].
    """
    # Only training needs it; the demo itself reads the file.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 1, 8, 8).astype(np.float32)
    y = y.astype(np.int64)
    order = np.lexsort((np.random.default_rng(seed).random(len(y)), y))
    test = np.zeros(len(y), bool)
    test[order[::5]] = True
    return x[~test], y[~test], x[test], y[test]


def load_test(path: Path = TEST_FILE) -> tuple[np.ndarray, np.ndarray]:
    """The test images and labels kept beside this file, in the model's own input format.

    Returns
    -------
    tuple
        x float32 [360, 1, 8, 8], y int64 [360].
    """
    with np.load(path, allow_pickle=False) as file:
        return file["images"].astype(np.float32), file["labels"].astype(np.int64)
