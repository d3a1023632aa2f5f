"""A trained reference network from its checkpoint and the VAE that it names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from model.reference.files import load_content
from model.reference.network import ReferenceNetwork, fingerprint
from model.reference.pretrained import load_vae
from model.reference.settings import ReferenceSettings, from_table
from model.text import ConditioningTable
from streamfilter.errors import UsageError

KIND = "reference"
LAST = "last.pt"


class Trained(NamedTuple):
    """A trained network in evaluation mode, its settings and the prompts' embeddings."""

    network: ReferenceNetwork
    settings: ReferenceSettings
    table: ConditioningTable
    text_encoder: str
    step: int
    metrics: dict[str, float]


def load_trained(path: Path) -> Trained:
    """The network of a checkpoint. Raises UsageError where it is absent or damaged, or where its VAE is
    absent or not the very one that it was trained with."""
    content = load_content(path, KIND)
    settings = from_table(content["settings"], "the checkpoint's settings")
    vae = load_vae(settings.vae.kind, settings.vae.source, settings.vae.subfolder)
    if fingerprint(vae) != content["vae"]:
        raise UsageError(
            f"the VAE at {settings.vae.source} is not the one that {path} was trained with: restore that one"
        )
    network = ReferenceNetwork(settings.network, vae)
    network.load_trained(content["trained"])
    table = ConditioningTable(content["bpm"].numpy(), content["embedding"].numpy())
    return Trained(
        network.eval(), settings, table, content["text_encoder"], content["step"], content["metrics"]
    )
