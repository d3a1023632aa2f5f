"""The stream setting of PhysioLatent (arXiv 2509.25348): one frame in, one relative gain map out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.causal import State, grow_age
from model.conditioning import Conditioner, wanted_wave
from model.encoder import PATCH, CausalEncoder, cell_means
from model.film import FilmDecoder
from model.frontend import FrontEnd
from model.fusion import FusionBlock

# Share of skin at which a place begins to be edited, and from which it is edited in full.
COVER_FROM, COVER_FULL = 0.1, 0.6
# The guided filter that refines the skin map: its radius in pixels of the crop, and the variance of luma
# (0..1) below which there is no edge.
GUIDE_RADIUS, GUIDE_EDGE = 4, 1e-4
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Sizes of the stream network, and the constants of what it shows.

    ``pulse_direction`` is the wanted pulse's relative amplitude in R, G, B (docs/dither.md: green and a
    little blue is what an encoder leaves of a pulse for every estimator to read); ``limit`` the largest
    relative change that is estimated as a pulse; ``removal`` what is taken out over what is estimated (a
    network trained on squared error falls short of the pulse, and the edit fades at the face's edge);
    ``context`` the frames that the attention looks back over.
    """

    crop: int = 72
    text_dim: int = 384
    channels: int = 32
    width: int = 16
    condition: int = 32
    heads: int = 2
    blocks: int = 2
    kernel: int = 3
    context: int = 128
    pool: int = 3
    limit: float = 0.03
    removal: float = 1.0
    pulse_direction: tuple[float, float, float] = (0.0, 0.006, 0.0018)

    @property
    def grid(self) -> int:
        """Positions of the latent on a side of the crop."""
        return self.crop // PATCH


class Edit(NamedTuple):
    """What the network proposes for each frame, relative to the frame's own R, G, B.

    ``gain`` (B, T, 3, S, S) is what the runtime applies. Its two parts, at a quarter of the crop:
    ``removal`` takes the true pulse out of skin, ``wanted`` shows the chosen one (B, T, 3, S / 4, S / 4);
    in ``gain`` both are on skin alone. ``skin_logit`` (B, T, 1, S / 4, S / 4) is that of the skin map.
    """

    gain: Tensor
    removal: Tensor
    wanted: Tensor
    skin_logit: Tensor


class PhysioLatent(nn.Module):
    """Causal encoder, conditioner, fusion, FiLM decoder and gain-map output over the band-stop front-end.

    ``forward(inputs, state) -> (Edit, next state)`` for any number of frames: 192 in training, one in a
    stream. With its learned part at zero it is the front-end alone: a band-stop filter of each cell.
    """

    direction: Tensor
    prior: Tensor
    luma: Tensor

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__()
        self.settings = s = settings
        self.front_end = FrontEnd()
        self.encoder = CausalEncoder(s.channels, s.width, s.kernel)
        self.conditioner = Conditioner(s.text_dim, s.condition)
        self.join = nn.Linear(s.channels + s.condition, s.channels)
        self.blocks = nn.ModuleList(
            FusionBlock(s.channels, s.condition, s.heads, s.context, s.grid, s.pool) for _ in range(s.blocks)
        )
        self.decoder = FilmDecoder(s.channels, s.width, s.condition, s.grid)
        self.register_buffer("direction", torch.tensor(s.pulse_direction), persistent=False)
        self.register_buffer("prior", skin_prior(2 * s.grid), persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA)[:, None, None], persistent=False)

    def set_pulse_direction(self, red: float, green: float, blue: float) -> None:
        """Show the wanted pulse in another colour: relative amplitudes. Nothing learned depends on it."""
        self.settings = replace(self.settings, pulse_direction=(red, green, blue))
        self.direction = torch.tensor(self.settings.pulse_direction)

    def set_removal(self, share: float) -> None:
        """Take out this share of the estimate. Nothing learned depends on it."""
        self.settings = replace(self.settings, removal=share)

    def init_state(self, batch: int) -> State:
        """State at the start of a stream, and the one source of its names and shapes."""
        positions = self.settings.grid**2
        state = {
            "front_end": self.front_end.init_past(batch, 4 * positions),
            "encoder": self.encoder.init_past(batch, positions),
            "age": torch.zeros(batch, 1),
        }
        for index, block in enumerate(self._fusion()):
            state[f"window{index}"] = block.init_past(batch)
        return state

    def forward(
        self,
        crop: Tensor,
        text: Tensor,
        phase: Tensor,
        strength: Tensor,
        dt: Tensor,
        masking: Tensor,
        state: State,
    ) -> tuple[Edit, State]:
        """``crop`` (B, T, 3, S, S) R, G, B in 0..1; ``text`` (B, D); ``phase`` (B, T, 2) cos and sin;
        ``strength`` (B, T, 1); ``dt`` (B, T, 1) seconds; ``masking`` (B, T, 3, 3, 3) relative colour
        noise on a 3 × 3 grid over the crop, shown on skin only."""
        following: State = {}
        cells = cell_means(crop)
        signals, following["front_end"] = self.front_end(cells, dt, state["front_end"])
        z, fine, following["encoder"] = self.encoder(crop, signals.features, state["encoder"])
        condition = self.conditioner(text, phase, strength, dt)
        z = self.join(torch.cat([z, condition.unsqueeze(2).expand(-1, -1, z.shape[2], -1)], dim=-1))
        for index, block in enumerate(self._fusion()):
            key = f"window{index}"
            z, following[key] = block(z, condition, state[key], state["age"])
        following["age"] = grow_age(state["age"], crop.shape[1], self.settings.context)
        mix, residual, logit = self.decoder(z, fine, condition)
        logit = logit * 4.0 + self.prior
        # The skin map learns from its own label alone: were it also a knob of the removal, the network
        # would fade skin out where motion makes removal dear, and the wanted pulse with it.
        skin = torch.sigmoid(logit).detach()
        removal = self._removal(signals.estimate, mix, residual, skin)
        wanted = (strength * wanted_wave(phase) * self.direction)[..., None, None]
        noise = _resize(masking, skin.shape[-1])
        cover = self._cover(skin, crop)
        gain = cover * _resize(removal + wanted + noise, self.settings.crop)
        shown = wanted.expand_as(removal)
        return Edit(gain, removal, shown, logit), {name: following[name] for name in state}

    def _cover(self, skin: Tensor, crop: Tensor) -> Tensor:
        """How far each pixel of the crop is edited: (B, T, 1, S, S), 0..1.

        Nothing falls on what is hardly skin: hair or wall that took the edit would show the true pulse with
        its sign turned, and little over it (model.attackers.off_skin). Where it doubts, it edits: a place
        that is skin with 85 % would else keep 15 % of its pulse. First the skin map, of 4 x 4 pixels a cell,
        is made to follow the picture's own edges, by a guided filter on luma (He, Sun and Tang 2013, eqs. 5,
        6 and 8).
        """
        guide = (crop * self.luma).sum(dim=2, keepdim=True)
        known = _resize(skin, self.settings.crop)
        maps = torch.cat([guide, known, guide * known, guide * guide], dim=2)
        light, share, both, square = _boxed(maps).split(1, dim=2)
        slope = (both - light * share) / (square - light * light + GUIDE_EDGE)
        slope, level = _boxed(torch.cat([slope, share - slope * light], dim=2)).split(1, dim=2)
        fine = slope * guide + level
        return ((fine - COVER_FROM) / (COVER_FULL - COVER_FROM)).clamp(0.0, 1.0)

    def _fusion(self) -> list[FusionBlock]:
        return [block for block in self.blocks if isinstance(block, FusionBlock)]

    def _removal(self, estimate: Tensor, mix: Tensor, residual: Tensor, skin: Tensor) -> Tensor:
        """Relative change that takes the estimated pulse out, before the skin map (B, T, 3, 2g, 2g).

        A cell at the face's edge sees the pulse diluted by what else it holds, so the estimates are averaged
        over cells weighted by their skin: near, wide, and over the whole face by learned weights. The
        whole face's is always taken out in full, so that no training can teach the network to leave a pulse
        in for fidelity's sake; how far each place departs from it is mixed by colour matrices that the
        network sets for each place and frame. The residual is its own addition.
        """
        fine, opponent = 2 * self.settings.grid, self.front_end.opponent
        planes = estimate.transpose(2, 3).unflatten(-1, (fine, fine))
        matrices, logit = torch.split(_resize(_planes(mix, self.settings.grid), fine), [18, 1], dim=2)
        weight = skin * skin + 1e-4
        whole = weight * torch.exp(4.0 * torch.tanh(logit))
        shared = (planes * whole).sum(dim=(3, 4), keepdim=True) / whole.sum(dim=(3, 4), keepdim=True)
        near, wide = (_smooth(planes, weight, size) - shared for size in (3, 7))
        # To begin with, half of what a place adds in luma, where motion makes removal dear; all in colour.
        start = torch.cat([0.5 * near[:, :, :1], near[:, :, 1:]], dim=2)
        sources = torch.cat([near, wide], dim=2)
        mixed = shared + start + (matrices.unflatten(2, (3, 6)) * sources.unsqueeze(2)).sum(dim=3)
        total = torch.einsum("btkhw,kc->btchw", mixed, opponent) + 0.01 * residual
        limit = self.settings.limit
        return -self.settings.removal * limit * torch.tanh(total / limit)


def _smooth(planes: Tensor, weight: Tensor, size: int) -> Tensor:
    """Normalised convolution (Knutsson and Westin 1993) of (B, T, 3, h, w) with a box of ``size`` cells."""
    joined = torch.cat([planes * weight, weight], dim=2).flatten(0, 1)
    summed = F.avg_pool2d(joined, size, stride=1, padding=size // 2).unflatten(0, planes.shape[:2])
    return summed[:, :, :3] / summed[:, :, 3:]


def _planes(x: Tensor, grid: int) -> Tensor:
    """Positions to planes: (B, T, g², C) → (B, T, C, g, g)."""
    return x.transpose(2, 3).unflatten(-1, (grid, grid))


def _resize(x: Tensor, size: int) -> Tensor:
    """Bilinear enlargement of the last two axes of (B, T, C, h, w)."""
    batch, frames = x.shape[:2]
    y = F.interpolate(x.flatten(0, 1), size=(size, size), mode="bilinear", align_corners=False)
    return y.unflatten(0, (batch, frames))


def _boxed(maps: Tensor) -> Tensor:
    """Means of (B, T, C, h, w) over boxes of the guide's radius, those at the border over what there is."""
    flat, reach = maps.flatten(0, 1), GUIDE_RADIUS
    for size, pad in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        flat = F.avg_pool2d(flat, size, stride=1, padding=pad, count_include_pad=False)
    return flat.unflatten(0, maps.shape[:2])


def skin_prior(size: int) -> Tensor:
    """Logit of a soft ellipse where a centred face is, +4 inside to −6 in the corners: (1, size, size)."""
    axis = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    radius = torch.sqrt((axis[None, :] / 0.72) ** 2 + (axis[:, None] / 0.92) ** 2)
    return ((1.0 - radius) * 12.0).clamp(-6.0, 4.0).unsqueeze(0)
