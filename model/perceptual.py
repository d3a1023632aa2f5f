"""LPIPS (Zhang et al. 2018): distance of pictures in a frozen network's features, with linear heads.

The backbone is any module that returns a list of feature maps: the published VGG16 or AlexNet, or a small one
of one's own. Its weights and the heads' come from a file of the user's (`load_lpips`); without one there is
no perceptual term, and the training says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from model.backbones import published_backbone
from streamfilter.errors import UsageError

# Mean and spread of ImageNet's R, G, B in 0..1, which the usual backbones expect.
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_SPREAD = (0.229, 0.224, 0.225)


class ConvolutionBackbone(nn.Module):
    """A plain VGG-style stack: stages of two 3 x 3 convolutions, halved between stages; one map a stage."""

    def __init__(self, widths: Sequence[int] = (64, 128, 256)) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for index, width in enumerate(widths):
            pool = [nn.MaxPool2d(2)] if index else []
            first = nn.Conv2d(before, width, 3, padding=1)
            second = nn.Conv2d(width, width, 3, padding=1)
            stages.append(nn.Sequential(*pool, first, nn.ReLU(), second, nn.ReLU()))
            before = width
        self.stages = nn.ModuleList(stages)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to one (N, C, h, w) a stage."""
        maps = []
        for stage in self.stages:
            picture = stage(picture)
            maps.append(picture)
        return maps


class Lpips(nn.Module):
    """Perceptual distance of two pictures (N, 3, H, W) in 0..1: a scalar, 0 for equal pictures.

    ``heads``: one non-negative weight a channel of each map, (C,) each. Everything is frozen; gradients
    flow to the pictures only.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, backbone: nn.Module, heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ParameterList([nn.Parameter(head.clamp_min(0.0)) for head in heads])
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN)[:, None, None])
        self.register_buffer("spread", torch.tensor(IMAGE_SPREAD)[:, None, None])
        self.requires_grad_(False)
        self.eval()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Sum over maps of the mean head-weighted squared difference of unit-length features (eq. 1)."""
        ours = self.backbone((first - self.mean) / self.spread)
        theirs = self.backbone((second - self.mean) / self.spread)
        distance = first.new_zeros(())
        for head, a, b in zip(self.heads, ours, theirs, strict=True):
            difference = (_unit(a) - _unit(b)) ** 2
            distance = distance + (difference * head[:, None, None]).sum(1).mean()
        return distance


def _unit(features: Tensor) -> Tensor:
    return features / ((features**2).sum(1, keepdim=True) + 1e-10).sqrt()


def load_lpips(weights: Path, widths: Sequence[int] = (64, 128, 256)) -> Lpips:
    """Lpips of a weights file: ``{"backbone": state, "heads": heads}``, as ``torch.save`` writes it.

    The backbone is VGG16 or AlexNet where the state is torchvision's of it, else a ``ConvolutionBackbone`` of
    ``widths``. The heads are a list, or what the package lpips ships (``lin0.model.1.weight``, ...).
    Raises UsageError when the file is absent or does not fit.
    """
    if not weights.is_file():
        raise UsageError(f"no LPIPS weights at {weights}: give a file, or leave perceptual_weights empty")
    try:
        content = torch.load(weights, map_location="cpu", weights_only=True)
        published = published_backbone(content["backbone"])
        backbone: nn.Module
        if published is None:
            backbone = ConvolutionBackbone(widths)
            backbone.load_state_dict(content["backbone"])
        else:
            backbone, widths = published, published.widths
        heads = _heads(content["heads"])
    except (KeyError, RuntimeError, TypeError, AttributeError, UnpicklingError) as error:
        raise UsageError(
            f"the LPIPS weights at {weights} do not fit widths {tuple(widths)}: {error}"
        ) from error
    if [head.numel() for head in heads] != list(widths):
        raise UsageError(f"the LPIPS heads in {weights} do not fit widths {tuple(widths)}")
    return Lpips(backbone, heads)


def _heads(given: Any) -> list[Tensor]:
    """One (C,) a map."""
    if isinstance(given, Mapping):
        given = [given[f"lin{place}.model.1.weight"] for place in range(len(given))]
    return [torch.as_tensor(head).flatten() for head in given]
