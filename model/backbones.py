"""The networks that LPIPS is published with, VGG16 and AlexNet, by torchvision's names of their parameters.

Simonyan & Zisserman 2015 (configuration D); Krizhevsky 2014, as torchvision has it. Only what LPIPS looks at:
five maps, each after a ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class PublishedBackbone(nn.Module):
    """Layers in torchvision's order, ``features.N``, and the places ``taps`` whose maps are handed out.

    ``widths``: channels of the maps.
    """

    def __init__(self, features: Sequence[nn.Module], taps: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.taps, self.widths = frozenset(taps), tuple(widths)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(N, 3, H, W), normalised, to one (N, C, h, w) a tap; H and W at least 32."""
        maps = []
        for place, layer in enumerate(self.features):
            picture = layer(picture)
            if place in self.taps:
                maps.append(picture)
        return maps


def vgg16() -> PublishedBackbone:
    """With random weights."""
    layers: list[nn.Module] = []
    taps, before = [], 3
    for stage in _VGG16:
        layers += [nn.MaxPool2d(2)] if layers else []
        for width in stage:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        taps.append(len(layers) - 1)
    return PublishedBackbone(layers, taps, [stage[-1] for stage in _VGG16])


def alexnet() -> PublishedBackbone:
    """With random weights."""
    layers: list[nn.Module] = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]
    return PublishedBackbone(layers, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256))


def published_backbone(state: Mapping[str, Tensor]) -> PublishedBackbone | None:
    """The network whose parameters ``state`` holds, a whole classifier's as torchvision saves it; None where
    they are of neither. Raises RuntimeError where some are missing."""
    first = state.get("features.0.weight")
    if first is None:
        return None
    network = alexnet() if tuple(first.shape[2:]) == (11, 11) else vgg16()
    network.load_state_dict({name: value for name, value in state.items() if name.startswith("features.")})
    return network
