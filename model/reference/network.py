"""PhysioLatent's reference network: a frozen VAE around a trained fusion, a window in, a window out."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from model.conditioning import wanted_wave
from model.reference.fusion import Fusion
from model.reference.settings import EditorSettings
from model.reference.vae import VideoVae, film_channels, modulated
from streamfilter.errors import UsageError

MOMENT = 3  # cos, sin and wave of the wanted beat, for each picture of a latent step


class ReferenceNetwork(nn.Module):
    """``forward(pictures, text, phase)``: what the wanted heart rate looks like, in R, G, B.

    Trained are the text's projection, the fusion, FiLM's projections and, with ``tune_output``, the
    decoder's last layer; nothing else of ``vae`` takes a gradient or moves. Untrained, the output is the
    VAE's own round trip.
    """

    def __init__(self, settings: EditorSettings, vae: VideoVae) -> None:
        super().__init__()
        self.settings = settings
        vae.freeze()
        self.vae = vae
        channels = film_channels(vae) if settings.film else []
        self.text = nn.Linear(settings.text_dim, settings.condition)
        self.moment = nn.Linear(vae.time * MOMENT, settings.condition) if settings.phase else None
        self.fusion = Fusion(vae.channels, settings)
        self.film = nn.ModuleList(nn.Linear(settings.condition, 2 * count) for count in channels)
        for layer in self.film:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        if settings.tune_output:
            vae.output_layer().requires_grad_(True)

    def train(self, mode: bool = True) -> ReferenceNetwork:
        """The frozen VAE stays in evaluation mode."""
        super().train(mode)
        self.vae.eval()
        return self

    def forward(self, pictures: Tensor, text: Tensor, phase: Tensor) -> Tensor:
        """``pictures`` (B, T, 3, S, S) R, G, B in 0..1, ``text`` (B, D), ``phase`` (B, T, 2) cos and sin of
        the wanted beat → (B, T, 3, S, S), about 0..1, not clipped."""
        frames = pictures.shape[1]
        with torch.no_grad():
            latent = self.vae.encode(pictures.transpose(1, 2) * 2.0 - 1.0)
        prompt = self.text(text)
        condition = prompt[:, None].expand(-1, latent.shape[2], -1)
        if self.moment is not None:
            condition = condition + self.moment(self._moments(phase, latent.shape[2]))
        latent = self.fusion(latent, condition)
        pairs = [layer(prompt).chunk(2, dim=-1) for layer in self.film]
        layers = self.vae.film_layers() if len(self.film) else []
        with modulated(layers, [(scale, shift) for scale, shift in pairs]):
            output = self.vae.decode(latent, frames)
        return (output.transpose(1, 2) + 1.0) / 2.0

    def _moments(self, phase: Tensor, steps: int) -> Tensor:
        """The beat at each picture of each latent step (B, steps, time · 3); before the clip, its start."""
        beat = torch.cat([phase, wanted_wave(phase)], dim=-1)
        missing = steps * self.vae.time - beat.shape[1]
        beat = torch.cat([beat[:, :1].expand(-1, missing, -1), beat], dim=1)
        return beat.reshape(beat.shape[0], steps, -1)

    def trained_state(self) -> dict[str, Tensor]:
        """The trained parameters by name: what a checkpoint holds."""
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}

    @torch.no_grad()
    def load_trained(self, state: dict[str, Tensor]) -> None:
        """Puts back what ``trained_state`` gave. Raises UsageError where names or shapes differ."""
        own = {name: value for name, value in self.named_parameters() if value.requires_grad}
        if {name: value.shape for name, value in own.items()} != {n: v.shape for n, v in state.items()}:
            raise UsageError("the checkpoint's trained part does not fit these settings: use its own")
        for name, value in state.items():
            own[name].copy_(value)


def fingerprint(vae: VideoVae) -> str:
    """sha256 over the VAE's weights: an editor fits the very VAE that it was trained with."""
    digest = hashlib.sha256()
    for name, value in sorted(vae.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
