"""One small network of each structure: each runs in milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from zoo.classify import densenet, inception, mobilenet, nin, resnet, shufflenet, vgg, xception
from zoo.detect import ssd, yolo
from zoo.segment import fcn, segnet, unet

__all__ = ["SMALL", "TINY"]

SMALL: dict[str, Callable[[], onnx.ModelProto]] = {
    "vgg": lambda: vgg(size=32, width=4, hidden=16, classes=10),
    "nin": lambda: nin(size=16, width=8),
    "resnet18": lambda: resnet(18, size=32, width=4, classes=10),
    "resnet152": lambda: resnet(152, size=32, width=2, classes=10),
    "xception": lambda: xception(size=35, width=2, middle=2, classes=10),
    "mobilenet1": lambda: mobilenet(1, size=32, width=4, classes=10),
    "mobilenet2": lambda: mobilenet(2, size=32, width=4, classes=10),
    "mobilenet3": lambda: mobilenet(3, size=32, width=4, classes=10),
    "densenet": lambda: densenet(size=16, growth=4, layers=2),
    "shufflenet": lambda: shufflenet(size=16, width=8),
    "inception": lambda: inception(size=16, width=8),
    "unet": lambda: unet(size=32, width=4, depth=2),
    "unet_resize": lambda: unet(size=32, width=4, depth=2, transposed=False),
    "fcn": lambda: fcn(size=32, width=4, classes=5),
    "segnet": lambda: segnet(size=16, width=4, depth=2),
    "yolo": lambda: yolo(size=64, width=2, classes=3),
    "yolo_silu": lambda: yolo(size=64, width=2, classes=3, act="SiLU"),
    "ssd": lambda: ssd(size=64, width=4, classes=3),
}

#: The same structures, as small as they can be: a circuit of each is compiled in a minute or so.
TINY: dict[str, Callable[[], onnx.ModelProto]] = {
    "resnet18": lambda: resnet(18, size=8, width=2, classes=4),
    "xception": lambda: xception(size=19, width=1, middle=1, classes=4),
    "mobilenet1": lambda: mobilenet(1, size=16, width=2, classes=4),
    "mobilenet2": lambda: mobilenet(2, size=16, width=2, classes=4),
    "mobilenet3": lambda: mobilenet(3, size=16, width=2, classes=4),
    "densenet": lambda: densenet(size=8, growth=2, layers=2, classes=4),
    "shufflenet": lambda: shufflenet(size=8, width=4, classes=4),
    "inception": lambda: inception(size=8, width=4, classes=4),
    "unet": lambda: unet(size=8, width=2, depth=2),
    "unet_resize": lambda: unet(size=8, width=2, depth=2, transposed=False),
    "segnet": lambda: segnet(size=8, width=2, depth=2),
    "fcn": lambda: fcn(size=32, width=1, classes=1),
    "yolo": lambda: yolo(size=32, width=1, classes=1),
    "yolo_silu": lambda: yolo(size=32, width=1, classes=1, act="SiLU"),
    "ssd": lambda: ssd(size=32, width=2, classes=1),
}
