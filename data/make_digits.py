"""Makes digits.npz from scikit-learn's copy of the UCI digits; run once, its output is committed.

    pip install scikit-learn && python data/make_digits.py

The kit reads this file instead of scikit-learn, whose import alone takes a second.
"""

from pathlib import Path

import numpy as np


def main() -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    file = Path(__file__).resolve().parent / "digits.npz"
    np.savez_compressed(file, images=images.reshape(-1, 8, 8).astype(np.uint8), labels=labels.astype(np.uint8))


if __name__ == "__main__":
    main()
