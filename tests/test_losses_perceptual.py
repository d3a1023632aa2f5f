"""LPIPS over a small random backbone; a weights file that is absent or does not fit is a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
