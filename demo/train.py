"""Trains the demo network on the digits and writes it as QONNX.

Run from the root of the repository, with scikit-learn installed::

    python -m demo.train

It writes ``digits.onnx``, ``digits.json`` (how it was trained, and the accuracy that came out) and
``digits_test.npz`` (the test images) beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import platform
import time
from pathlib import Path

import numpy as np

from demo.data import load_digits_split
from demo.export import export
from demo.network import Network, NetworkShape
from demo.reference import predict

__all__ = ["main", "train"]

log = logging.getLogger("demo.train")


def loss_gradient(scores: np.ndarray, labels: np.ndarray, smooth: float = 0.05) -> tuple[float, np.ndarray]:
    """Mean cross entropy with smoothed labels, and its gradient by the scores."""
    centred = scores - scores.max(axis=1, keepdims=True)
    log_p = centred - np.log(np.exp(centred).sum(axis=1, keepdims=True))
    target = np.full_like(scores, smooth / scores.shape[1])
    target[np.arange(len(labels)), labels] += 1 - smooth
    return float(-(target * log_p).sum(axis=1).mean()), (np.exp(log_p) - target) / np.float32(len(labels))


class Adam:
    """Adam (Kingma and Ba, 2015) over a network's parameters; latent weights stay in [-1, 1]."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._step = 0
        self._state = {
            (i, name): (np.zeros_like(p), np.zeros_like(p))
            for i, layer in enumerate(network.layers)
            for name, p in layer.params.items()
        }

    def step(self, rate: float) -> None:
        """One update at a learning rate."""
        self._step += 1
        scale = rate * np.sqrt(1 - 0.999**self._step) / (1 - 0.9**self._step)
        for i, layer in enumerate(self._network.layers):
            grads = layer.grads
            for name, p in layer.params.items():
                m, v = self._state[i, name]
                m += np.float32(0.1) * (grads[name] - m)
                v += np.float32(0.001) * (grads[name] ** 2 - v)
                np.subtract(p, (scale * m / (np.sqrt(v) + 1e-8)).astype(np.float32), out=p)
                if name == "latent":
                    np.clip(p, -1, 1, out=p)


def settle(network: Network, x: np.ndarray) -> None:
    """Set every batch norm's mean and variance to those of all of `x` under the final weights."""
    for norm in network.norm:
        norm.momentum = 0.0
        network.forward(x, train=True)
        norm.momentum = type(norm).momentum


def train(
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    seed: int = 0,
    batch: int = 32,
    rate: float = 0.01,
    shape: NetworkShape | None = None,
) -> Network:
    """A network trained on images [N, 1, 8, 8] and labels [N]; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    network = Network(shape or NetworkShape(), rng)
    optimizer = Adam(network)
    batches = max(1, len(x) // batch)
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        total = 0.0
        for b in range(batches):
            pick = order[b * batch : (b + 1) * batch]
            scores = network.forward(x[pick], train=True)
            loss, gradient = loss_gradient(scores, y[pick])
            network.backward(gradient)
            at = (epoch + b / batches) / epochs
            optimizer.step(rate * 0.5 * (1 + np.cos(np.pi * at)))
            total += loss
        if epoch % 20 == 0 or epoch == epochs - 1:
            log.info("epoch %3d  loss %.4f", epoch, total / batches)
    settle(network, x)
    return network


def main() -> None:
    """Train, export, check the exported file against the trained network, record."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description="train the demo network and write it as QONNX")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("-o", "--output", type=Path, default=here, help="folder to write to")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    x_train, y_train, x_test, y_test = load_digits_split()
    start = time.monotonic()
    network = train(x_train, y_train, epochs=args.epochs, seed=args.seed)
    seconds = time.monotonic() - start

    args.output.mkdir(parents=True, exist_ok=True)
    model = args.output / "digits.onnx"
    export(network, model)
    np.savez_compressed(
        args.output / "digits_test.npz", images=x_test.astype(np.uint8), labels=y_test.astype(np.uint8)
    )
    exported = predict(model, x_test).argmax(axis=1)
    trained = network.forward(x_test).argmax(axis=1)
    changed = np.count_nonzero(exported != trained)
    if changed:
        raise SystemExit(f"{changed} of {len(trained)} answers changed in the export")

    record = {
        "model": "digits.onnx",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "dataset": "scikit-learn digits, 1437 training and 360 test images",
        "seed": args.seed,
        "epochs": args.epochs,
        "train_accuracy": network.accuracy(x_train, y_train),
        "test_images": len(y_test),
        "test_correct": int(np.count_nonzero(exported == y_test)),
        "test_accuracy": float(np.mean(exported == y_test)),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    (args.output / "digits.json").write_text(json.dumps(record, indent=2) + "\n")
    log.info("trained in %.0f s", seconds)
    log.info("test accuracy %d / %d = %.4f", record["test_correct"], len(y_test), record["test_accuracy"])


if __name__ == "__main__":
    main()
