"""Networks that tests build on the spot: the published structures at any size, with seeded random weights.

Every builder takes its size, so that a test can ask for one that runs in milliseconds, and returns a float32
ONNX model with batch norms not yet folded, as a trainer exports it::

    from zoo import resnet
    model = resnet(18, size=32, width=8, classes=10)

Weights are He-initialised, and batch norms are near identity, so that activations stay small at any
depth. The networks are not trained.
"""

from zoo.classify import densenet, inception, mobilenet, nin, resnet, shufflenet, vgg, xception
from zoo.detect import decoded, ssd, yolo
from zoo.joint import fused, siamese
from zoo.net import Net
from zoo.segment import fcn, segnet, unet
from zoo.small import SMALL, TINY

__all__ = [
    "SMALL",
    "TINY",
    "Net",
    "decoded",
    "densenet",
    "fcn",
    "fused",
    "inception",
    "mobilenet",
    "nin",
    "resnet",
    "segnet",
    "shufflenet",
    "siamese",
    "ssd",
    "unet",
    "vgg",
    "xception",
    "yolo",
]
