"""The reference setting: small random VAEs of each kind, what is trained and what stays, the commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.reference import pretrain, train
from model.reference.checkpoint import load_trained
from model.reference.compact import CompactSettings, CompactVae
from model.reference.editor import ReferenceEditor
from model.reference.fusion import Fusion
from model.reference.network import ReferenceNetwork
from model.reference.pretrained import CLASSES, load_vae
from model.reference.settings import EditorSettings, load_settings
from model.reference.vae import VideoVae, film_channels, modulated
from model.rivals.reference import described
from streamfilter.errors import UsageError
from tests.training import write_clips

SETTINGS = Path(__file__).resolve().parent.parent / "model" / "settings"
SMALL = EditorSettings(text_dim=8, condition=8, width=8, heads=2, blocks=1)
BLOCKS = {"norm_num_groups": 2, "latent_channels": 4, "layers_per_block": 1}
CONFIGS: dict[str, dict[str, Any]] = {
    "wan": {
        "base_dim": 4,
        "z_dim": 4,
        "num_res_blocks": 1,
        "latents_mean": [0.5, -0.5, 0.0, 0.1],
        "latents_std": [2.0, 1.0, 0.5, 1.5],
    },
    "cogvideox": BLOCKS | {"block_out_channels": (4, 4, 4, 4)},
    "hunyuan": BLOCKS | {"block_out_channels": (4, 4, 4, 4)},
    "image": BLOCKS
    | {
        "block_out_channels": (4, 4, 4, 4),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    },
}
KINDS = [*CONFIGS, "compact"]


@pytest.fixture(scope="module")
def vaes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder of random weights of each kind, as diffusers saves them."""
    import diffusers

    root = tmp_path_factory.mktemp("vaes")
    torch.manual_seed(0)
    for kind, config in CONFIGS.items():
        getattr(diffusers, CLASSES[kind])(**config).save_pretrained(root / kind)
    return {kind: str(root / kind) for kind in CONFIGS} | {"compact": "untrained"}


def pictures(frames: int = 8, size: int = 16) -> torch.Tensor:
    return torch.rand(1, frames, 3, size, size, generator=torch.Generator().manual_seed(1))


def phases(frames: int = 8) -> torch.Tensor:
    angle = torch.arange(frames) * 0.3
    return torch.stack([angle.cos(), angle.sin()], dim=-1)[None]


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss_and_moves_the_named_parameters_only(
    kind: str, vaes: dict[str, str]
) -> None:
    torch.manual_seed(0)
    network = ReferenceNetwork(SMALL, load_vae(kind, vaes[kind]))
    network.train()
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    given, text, wanted = pictures(), torch.ones(1, 8), pictures() * 0.5 + 0.25
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=3e-3)
    seen = []
    for _ in range(6):
        output = network(given, text, phases())
        assert output.shape == given.shape
        loss = ((output - wanted) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(float(loss.detach()))
    assert seen[-1] < seen[0]
    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    frozen = {name for name in before if name.startswith("vae.") and "conv_out" not in name}
    frozen |= {name for name in before if name.startswith("vae.") and ".encoder." in name}
    assert not moved & frozen
    assert any(name.startswith("vae.") and "conv_out" in name for name in moved)
    assert any(name.startswith("fusion.") for name in moved)
    assert any(name.startswith("film.") for name in moved)


@pytest.mark.parametrize("kind", KINDS)
def test_film_changes_the_output_and_no_weight(kind: str, vaes: dict[str, str]) -> None:
    vae = load_vae(kind, vaes[kind])
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    latent = torch.randn(1, vae.channels, vae.latent_frames(8), 2, 2)
    layers = vae.film_layers()
    assert len(layers) >= 2 and vae.output_layer() not in layers
    # Channels differ: what is alike in all of them the next group norm takes out again.
    pairs = [
        (torch.linspace(-0.5, 0.5, n)[None], torch.linspace(0.3, 0.0, n)[None]) for n in film_channels(vae)
    ]
    with torch.no_grad():
        plain = vae.decode(latent, 8)
        for layer, pair in zip(layers, pairs, strict=True):  # each of them, by itself
            with modulated([layer], [pair]):
                assert not torch.allclose(plain, vae.decode(latent, 8), atol=1e-5)
        again = vae.decode(latent, 8)
    torch.testing.assert_close(again, plain)
    assert all(torch.equal(value, before[name]) for name, value in vae.state_dict().items())


def test_the_configuration_normalises_the_latent(vaes: dict[str, str]) -> None:
    vae: Any = load_vae("wan", vaes["wan"])
    given = pictures(5).transpose(1, 2) * 2.0 - 1.0  # 4 k + 1 frames: nothing is repeated
    with torch.no_grad():
        raw = vae.vae.encode(given).latent_dist.mode()
        mean = torch.tensor(CONFIGS["wan"]["latents_mean"]).reshape(1, 4, 1, 1, 1)
        std = torch.tensor(CONFIGS["wan"]["latents_std"]).reshape(1, 4, 1, 1, 1)
        torch.testing.assert_close(vae.encode(given), (raw - mean) / std)
    cog: Any = load_vae("cogvideox", vaes["cogvideox"])
    with torch.no_grad():
        raw = cog.vae.encode(given).latent_dist.mode()
        torch.testing.assert_close(cog.encode(given), raw * cog.vae.config.scaling_factor)


def test_absent_weights_are_refused_at_once_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hf download"):
        load_vae("wan", "nobody/no-such-model")
    with pytest.raises(UsageError, match=r"config\.json"):
        load_vae("wan", str(tmp_path))
    with pytest.raises(UsageError, match="train one first"):
        load_vae("compact", str(tmp_path / "last.pt"))
    with pytest.raises(UsageError, match="not known"):
        load_vae("other", "")


def test_compact_vae_is_causal_by_prefixes() -> None:
    torch.manual_seed(0)
    vae: VideoVae = CompactVae(CompactSettings(channels=6, width=8, deep=8, detail=2))
    for parameter in vae.parameters():  # the temporal convolutions start at zero
        torch.nn.init.normal_(parameter, std=0.1)
    vae.freeze()
    given = pictures(16).transpose(1, 2)
    latent = vae.encode(given)
    torch.testing.assert_close(vae.encode(given[:, :, :8]), latent[:, :, :2])
    torch.testing.assert_close(vae.decode(latent[:, :, :2], 8), vae.decode(latent, 16)[:, :, :8])
    assert not torch.allclose(vae.encode(given[:, :, 8:]), latent[:, :, 2:])  # and it does look back


@pytest.mark.parametrize("switch", ["adaln", "film", "tune_output", "phase"])
def test_each_switch_takes_its_part_away(switch: str) -> None:
    torch.manual_seed(0)
    network = ReferenceNetwork(replace(SMALL, **{switch: False}), load_vae("compact", "untrained"))
    torch.nn.init.normal_(network.fusion.out.weight)
    output = network(pictures(), torch.ones(1, 8), phases())
    output.square().mean().backward()
    names = {name for name, value in network.named_parameters() if value.grad is not None}
    gone = {"adaln": "modulation", "film": "film.", "tune_output": "conv_out", "phase": "moment"}
    assert names and not any(gone[switch] in name for name in names)
    whole = ReferenceNetwork(SMALL, load_vae("compact", "untrained"))
    assert any(gone[switch] in name for name in whole.trained_state())


def test_without_adaln_the_fusion_is_a_plain_factorised_convolution() -> None:
    torch.manual_seed(0)
    fusion = Fusion(4, replace(SMALL, adaln=False))
    torch.nn.init.normal_(fusion.out.weight)
    kernels = [part.kernel_size for part in fusion.modules() if isinstance(part, torch.nn.Conv3d)]
    assert kernels == [(1, 3, 3), (3, 1, 1)] * SMALL.blocks
    latent, condition = torch.randn(1, 4, 6, 5, 5), torch.randn(1, 6, 8)
    poked = latent.clone()
    poked[:, :, 0] += 1.0
    reach = (fusion(poked, condition) - fusion(latent, condition)).abs().amax(dim=(0, 1, 3, 4))
    assert (reach[:2] > 1e-6).all() and (reach[2:] == 0).all()  # neighbours only: no attention over time
    assert not torch.allclose(
        fusion(latent, condition + 1.0), fusion(latent, condition)
    )  # still told the rate


def test_without_film_the_decoder_is_left_alone_and_without_tuning_its_last_layer_stays() -> None:
    torch.manual_seed(0)
    network = ReferenceNetwork(
        replace(SMALL, film=False, tune_output=False), load_vae("compact", "untrained")
    )
    latent = network.fusion(network.vae.encode(pictures().transpose(1, 2) * 2 - 1), torch.ones(1, 2, 8))
    with torch.no_grad():
        edited = network(pictures(), torch.ones(1, 8), phases())
        alone = (network.vae.decode(latent, 8).transpose(1, 2) + 1) / 2
    torch.testing.assert_close(edited, alone)  # an untrained fusion leaves the latent as it is
    assert not any(name.startswith("vae.") for name in network.trained_state())


def test_the_image_vae_sees_each_frame_by_itself(vaes: dict[str, str]) -> None:
    vae, given = load_vae("image", vaes["image"]), pictures().transpose(1, 2)
    other = given.clone()
    other[:, :, 3] = 0.5
    assert vae.time == 1 and vae.latent_frames(8) == 8
    with torch.no_grad():
        changed = (vae.encode(other) - vae.encode(given)).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
        assert changed.tolist() == [index == 3 for index in range(8)]
        latent = vae.encode(given)
        torch.testing.assert_close(vae.decode(latent, 8)[:, :, 3:4], vae.decode(latent[:, :, 3:4], 1))


def test_settings_files_are_the_papers() -> None:
    for name in ("wan", "cogvideox", "hunyuan", "compact"):
        settings = load_settings(SETTINGS / f"reference-{name}.toml")
        loss = settings.loss
        assert (settings.vae.kind, settings.window.frames) == (name, 128)
        assert (loss.waveform, loss.perceptual) == (0.2, 1.0)
        assert loss.fidelity == (20.0 if name == "compact" else 1.0)  # without LPIPS, see docs/reference.md
        assert (loss.curriculum_start, loss.curriculum_slope) == (10.0, 0.005)
        assert (loss.exact, loss.leak) == (0.0, 0.0)


def test_commands_pretrain_train_resume_and_edit(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips")
    vae_toml, toml = tmp_path / "vae.toml", tmp_path / "editor.toml"
    vae_toml.write_text(
        "[network]\nchannels = 8\nwidth = 8\ndeep = 8\ndetail = 2\n"
        "[training]\nframes = 8\nbatch = 1\nsteps = 2\nvalidation_windows = 1\n"
    )
    data = ["--data", str(clips), "--val", str(clips)]
    assert pretrain.main(["--settings", str(vae_toml), *data, "--out", str(tmp_path / "vae")]) == 0
    assert pretrain.main(["--settings", str(vae_toml), *data, "--out", str(tmp_path / "vae")]) == 2
    toml.write_text(
        f'[vae]\nkind = "compact"\nsource = "{tmp_path / "vae" / "last.pt"}"\n'
        "[network]\ntext_dim = 64\ncondition = 8\nwidth = 8\nheads = 2\nblocks = 1\n"
        "[window]\nframes = 32\nbatch = 1\n[optimiser]\nsteps = 2\n"
        '[report]\nvalidation_clips = 1\n[text]\nencoder = "numeric"\n'
    )
    options = ["--settings", str(toml), *data, "--cpu", "--threads", "1"]
    assert train.main([*options, "--out", str(tmp_path / "whole")]) == 0
    part = [*options, "--out", str(tmp_path / "part")]
    assert train.main([*part, "--max-minutes", "0"]) == 0
    assert load_trained(tmp_path / "part" / "last.pt").step == 1
    assert train.main([*part, "--resume"]) == 0
    whole, resumed = (load_trained(tmp_path / name / "last.pt") for name in ("whole", "part"))
    for name, value in whole.network.trained_state().items():
        torch.testing.assert_close(resumed.network.trained_state()[name], value, rtol=0, atol=0)
    assert described(tmp_path / "part" / "last.pt").startswith("reference: compact VAE, step 2 of 2 of its")
    editor = ReferenceEditor(tmp_path / "part" / "last.pt")
    frames = np.random.default_rng(0).integers(60, 200, (40, 72, 72, 3), np.uint8)
    edited = editor.edit(frames, 70.0, 30.0)
    assert edited.shape == frames.shape and edited.dtype == np.uint8 and not np.array_equal(edited, frames)
    with pytest.raises(UsageError, match="outside"):
        editor.edit(frames, 300.0, 30.0)
    with pytest.raises(UsageError, match="no frame shows a face"):
        editor.edit(np.zeros((2, 96, 96, 3), np.uint8), 70.0, 30.0)
