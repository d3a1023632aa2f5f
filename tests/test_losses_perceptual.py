"""LPIPS over a small random backbone; a weights file that is absent or does not fit is a clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.backbones import PublishedBackbone, alexnet, vgg16
from model.perceptual import ConvolutionBackbone, Lpips, load_lpips
from streamfilter.errors import UsageError

WIDTHS = (4, 8)


def weights_file(path: Path, widths: tuple[int, ...] = WIDTHS) -> Path:
    torch.manual_seed(0)
    heads = [torch.rand(width) for width in widths]
    torch.save({"backbone": ConvolutionBackbone(widths).state_dict(), "heads": heads}, path)
    return path


def test_distance_is_zero_for_equal_pictures_and_grows(tmp_path: Path) -> None:
    lpips = load_lpips(weights_file(tmp_path / "w.pt"), WIDTHS)
    picture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    change = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    distances = [float(lpips(picture + size * change, picture)) for size in (0.0, 0.05, 0.3)]
    assert distances[0] == 0.0
    assert distances == sorted(distances)
    assert float(lpips(picture, picture + 0.1 * change)) == pytest.approx(
        float(lpips(picture + 0.1 * change, picture))
    )


def test_gradient_reaches_the_picture_and_nothing_else(tmp_path: Path) -> None:
    lpips = load_lpips(weights_file(tmp_path / "w.pt"), WIDTHS)
    picture = torch.rand(1, 3, 16, 16).requires_grad_()
    lpips(picture, torch.rand(1, 3, 16, 16)).backward()
    assert picture.grad is not None
    assert float(picture.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in lpips.parameters())


def test_negative_heads_are_cut_to_zero() -> None:
    lpips = Lpips(ConvolutionBackbone((4,)), [-torch.ones(4)])
    assert float(lpips(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))) == 0.0


def test_absent_or_unfit_weights_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no LPIPS weights"):
        load_lpips(tmp_path / "none.pt")
    with pytest.raises(UsageError, match="do not fit"):
        load_lpips(weights_file(tmp_path / "w.pt"), (4, 16))
    torch.save({"heads": []}, tmp_path / "empty.pt")
    with pytest.raises(UsageError, match="do not fit"):
        load_lpips(tmp_path / "empty.pt", WIDTHS)


@pytest.mark.parametrize(
    ("make", "places", "shapes"),
    [
        (vgg16, "0 2 5 7 10 12 14 17 19 21 24 26 28", [(64, 64), (128, 32), (256, 16), (512, 8), (512, 4)]),
        (alexnet, "0 3 6 8 10", [(64, 15), (192, 7), (384, 3), (256, 3), (256, 3)]),
    ],
)
def test_published_weights_fit_as_they_are_published(
    make: Callable[[], PublishedBackbone], places: str, shapes: list[tuple[int, int]], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = make()
    state = network.state_dict()
    assert {name.split(".")[1] for name in state} == set(places.split())  # torchvision's names
    network.requires_grad_(False)
    maps = network(torch.rand(1, 3, 64, 64))
    assert [(one.shape[1], one.shape[2]) for one in maps] == shapes
    assert all(float(one.min()) == 0.0 < float(one.max()) for one in maps)  # each after its ReLU
    heads = {f"lin{k}.model.1.weight": torch.rand(1, width, 1, 1) for k, width in enumerate(network.widths)}
    whole = state | {"classifier.6.bias": torch.zeros(1000)}  # a classifier's file, as it is downloaded
    torch.save({"backbone": whole, "heads": heads}, tmp_path / "w.pt")
    lpips = load_lpips(tmp_path / "w.pt")
    first, second = torch.rand(2, 1, 3, 64, 64)
    given = [network((one - lpips.mean) / lpips.spread) for one in (first, second)]
    wanted = 0.0
    for head, a, b in zip(heads.values(), *given, strict=True):
        unit = [one / one.norm(dim=1, keepdim=True).clamp_min(1e-5) for one in (a, b)]
        wanted += float((head * (unit[0] - unit[1]) ** 2).sum(1).mean())
    assert float(lpips(first, second)) == pytest.approx(wanted, rel=1e-4)
    torch.save({"backbone": whole, "heads": dict(list(heads.items())[:3])}, tmp_path / "few.pt")
    with pytest.raises(UsageError, match="heads"):
        load_lpips(tmp_path / "few.pt")
    del whole["features.0.bias"]
    torch.save({"backbone": whole, "heads": heads}, tmp_path / "part.pt")
    with pytest.raises(UsageError, match="do not fit"):
        load_lpips(tmp_path / "part.pt")
