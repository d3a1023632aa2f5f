"""What the edit's parts cost, and the bound on a causal removal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.evaluate.fidelity import vary
from model.evaluate.fidelity.__main__ import main
from model.evaluate.fidelity.depth import FPS, best_causal, depth, frequencies, front_end
from model.evaluate.fidelity.vary import shares
from streamfilter import band_stop


@pytest.mark.parametrize("hertz", [0.3, 0.9, 2.0])
def test_the_response_is_that_of_the_filter_that_runs(hertz: float) -> None:
    times = np.arange(int(60 * FPS)) / FPS
    wave = np.sin(2 * np.pi * hertz * times)
    state, out, last = band_stop.start((1,)), [], 0.0
    for value in wave:
        estimate, state = band_stop.in_band(np.array([value - last], np.float32), 1 / FPS, state)
        last = value
        out.append(value - float(estimate[0]))
    settled = slice(int(30 * FPS), None)
    measured = np.std(np.array(out)[settled]) / np.std(wave[settled])
    passes = band_stop.PASSES
    wanted = np.abs(np.interp(hertz, frequencies(), np.abs(front_end(passes))))
    # The filter that runs forgets its level in 30 s, which the response leaves out.
    assert measured == pytest.approx(wanted, abs=0.03)


def test_depth_costs_slow_light_and_no_causal_filter_gets_it_for_less_than_the_best() -> None:
    one, two = depth(front_end(1)), depth(front_end(2))
    assert two.band_db == pytest.approx(2 * one.band_db, rel=0.1)
    assert two.moved > 1.3 * one.moved
    bests = [depth(best_causal(weight)) for weight in (20.0, 30.0, 40.0, 50.0)]
    assert [b.band_db for b in bests] == sorted(b.band_db for b in bests)
    assert [b.moved for b in bests] == sorted(b.moved for b in bests)
    for ours in (one, two):
        deeper = next(b for b in bests if b.band_db > ours.band_db - 1.0)
        assert deeper.moved < ours.moved


def test_shares_tell_slow_light_from_a_pulse() -> None:
    times = np.arange(600) / 30.0
    slow, beat = np.sin(2 * np.pi * 0.2 * times), np.sin(2 * np.pi * 1.2 * times)
    assert shares(slow, 30.0)["below"] > 0.99
    found = shares(slow + beat, 30.0)
    assert found["in"] == pytest.approx(0.5, abs=0.01)
    assert sum(found.values()) == pytest.approx(1.0)


def test_the_page_of_one_short_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vary, "OTHERS", ())
    parts = ("removal alone", "and masking: what ships")
    monkeypatch.setattr(vary, "VARIANTS", {name: vary.VARIANTS[name] for name in parts})
    none = tmp_path / "none"
    words = ["--out", str(tmp_path), "--cache", str(tmp_path / "cache"), "--clips", str(none)]
    assert main([*words, "--faces", str(none), "--synthetic", "1", "--seconds", "6"]) == 0
    page = (tmp_path / "fidelity.md").read_text()
    assert "| the band-stop, one pass" in page
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if "|" in line
    ]
    cells = {row[0]: row for row in rows}
    alone, ships = (cells[name] for name in parts)
    assert 40.0 < float(ships[1]) < float(alone[1]) < 65.0
    assert float(ships[3]) < 1.0 < float(alone[3])  # without the shown pulse nothing reads the target
