"""Pretrained VAEs of diffusers behind ``VideoVae``, by name. Nothing is ever downloaded here."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.reference.compact import CompactSettings, CompactVae
from model.reference.pretrain import load_compact
from model.reference.vae import VideoVae
from streamfilter.errors import UsageError

CLASSES = {
    "wan": "AutoencoderKLWan",
    "cogvideox": "AutoencoderKLCogVideoX",
    "hunyuan": "AutoencoderKLHunyuanVideo",
    "image": "AutoencoderKL",
}
KINDS = (*CLASSES, "compact")
_DOWN = 4  # of the video VAEs, over time; the picture after the first joins with three more


class DiffusersVae(VideoVae):
    """A causal video VAE of diffusers, whose clips have 4 k + 1 frames.

    The first frame is repeated before the clip until it has; what is decoded of the repetition is dropped.
    """

    time = _DOWN
    mean: Tensor
    std: Tensor

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae: Any = vae
        config: Any = self.vae.config
        self.channels = int(config.get("z_dim") or config.get("latent_channels"))
        mean, std = _normaliser(config, self.channels)
        shape = (1, self.channels, 1, 1, 1)
        self.register_buffer("mean", mean.reshape(shape), persistent=False)
        self.register_buffer("std", std.reshape(shape), persistent=False)

    def latent_frames(self, frames: int) -> int:
        return -(-(frames - 1) // _DOWN) + 1

    def encode(self, pictures: Tensor) -> Tensor:
        missing = (1 - pictures.shape[2]) % _DOWN
        padded = torch.cat([pictures[:, :, :1].expand(-1, -1, missing, -1, -1), pictures], dim=2)
        latent = self.vae.encode(padded).latent_dist.mode()
        return (latent - self.mean) / self.std

    def decode(self, latent: Tensor, frames: int) -> Tensor:
        pictures: Tensor = self.vae.decode(latent * self.std + self.mean).sample
        return pictures[:, :, pictures.shape[2] - frames :]

    def film_layers(self) -> Sequence[nn.Module]:
        return list(self.vae.decoder.up_blocks)

    def output_layer(self) -> nn.Module:
        layer: nn.Module = self.vae.decoder.conv_out
        return layer


class ImageVae(DiffusersVae):
    """The paper's 2-D ablation: AutoencoderKL on each frame by itself, one latent a frame."""

    time = 1

    def latent_frames(self, frames: int) -> int:
        return frames

    def encode(self, pictures: Tensor) -> Tensor:
        batch = pictures.shape[0]
        latent = self.vae.encode(pictures.transpose(1, 2).flatten(0, 1)).latent_dist.mode()
        return (latent.unflatten(0, (batch, -1)).transpose(1, 2) - self.mean) / self.std

    def decode(self, latent: Tensor, frames: int) -> Tensor:
        batch = latent.shape[0]
        latent = latent * self.std + self.mean
        pictures: Tensor = self.vae.decode(latent.transpose(1, 2).flatten(0, 1)).sample
        return pictures.unflatten(0, (batch, -1)).transpose(1, 2)[:, :, :frames]


def _normaliser(config: Any, channels: int) -> tuple[Tensor, Tensor]:
    """What the diffusion models of a VAE take for its latents' mean and spread.

    Lists for each channel where the configuration has them, times 1 / ``scaling_factor`` and around
    ``shift_factor`` where it has those.
    """
    mean, std = torch.zeros(channels), torch.ones(channels)
    if config.get("latents_mean") is not None and config.get("latents_std") is not None:
        mean, std = torch.tensor(config["latents_mean"]), torch.tensor(config["latents_std"])
        if len(mean) != channels or len(std) != channels:
            raise UsageError(f"the VAE's latents_mean and latents_std do not have its {channels} channels")
    if config.get("scaling_factor") is not None:
        std = std / float(config["scaling_factor"])
    if config.get("shift_factor") is not None:
        mean = mean + float(config["shift_factor"])
    return mean.float(), std.float()


def wrap(kind: str, vae: nn.Module) -> VideoVae:
    """A diffusers VAE of ``kind``, frozen."""
    wrapped = ImageVae(vae) if kind == "image" else DiffusersVae(vae)
    wrapped.freeze()
    return wrapped


def load_vae(kind: str, source: str, subfolder: str = "") -> VideoVae:
    """The frozen VAE ``kind``: "wan", "cogvideox", "hunyuan", "image" or "compact".

    ``source``: a local folder as diffusers saves it, or the id of a hub's model that is in the local cache
    (``subfolder`` in either); for "compact" the checkpoint of `model.reference.pretrain`, or "untrained".
    Raises UsageError where there are no weights, they do not fit, or diffusers is not installed.
    """
    if kind == "compact":
        vae = CompactVae(CompactSettings()) if source == "untrained" else load_compact(Path(source))
        vae.freeze()
        return vae
    if kind not in CLASSES:
        raise UsageError(f"vae.kind = {kind!r} is not known: choose from {', '.join(KINDS)}")
    if importlib.util.find_spec("diffusers") is None:
        raise UsageError(f"vae.kind = {kind!r} needs diffusers: pip install '.[reference]'")
    folder = Path(source) / subfolder if subfolder else Path(source)
    local = Path(source).is_dir()
    if local and not (folder / "config.json").is_file():
        raise UsageError(
            f"{folder} holds no config.json: give a folder that diffusers' save_pretrained wrote"
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported: no look-up may hang
    import diffusers

    options = {"subfolder": subfolder} if subfolder else {}
    try:
        vae = getattr(diffusers, CLASSES[kind]).from_pretrained(source, local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"no weights of a {CLASSES[kind]} at {source!r} ({reason}). Nothing is downloaded here: fetch "
            f"them with `hf download {source}` with a network, or give a local folder as vae.source"
        ) from error
    return wrap(kind, vae)
