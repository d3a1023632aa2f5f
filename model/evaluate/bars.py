"""What the project promises, each promise measured: value, bar, passed or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.evaluate.aggregate import (
    ATTACKERS,
    Result,
    chance,
    conditions,
    errors,
    hit_rate,
    leak,
    of,
    select,
    summary,
)

EDITOR = "artifact"
STILL, STRONG = 0, 4
EVM = "evm_face"


@dataclass(frozen=True)
class Bar:
    """``passed`` is None where it could not be measured here."""

    what: str
    bar: str
    value: str
    passed: bool | None


def evaluate_bars(results: Sequence[Result]) -> list[Bar]:
    """Every bar that this evaluation can tell of, for the artifact."""
    synthetic = select(results, "synthetic")
    real = select(results, "real", "planted")
    if not any(EDITOR in r["editors"] for r in results):
        return []
    bars = [
        _errors("error to the target, worst of 7 estimators, synthetic", synthetic, 0.5),
        _errors(
            "error to the target, worst of 7 estimators, real clips (as they are and planted)", real, 1.0
        ),
    ]
    for motion, name, margin, fidelity in (
        (STILL, "still", 0.03, 50.0),
        (STRONG, "strong motion", 0.04, 48.0),
    ):
        clips = select(synthetic, motion=motion)
        bars += [
            _above_oracle(f"coherence with the true pulse, {place}, {name}", clips, key, margin)
            for place, key in (("face", "face_mean"), ("patches", "patch_mean"))
        ]
        bars.append(_psnr(f"PSNR over the face, {name}, in the planes that leave", clips, fidelity))
    bars += [_half_way("face", "face_mean", synthetic), _half_way("patches", "patch_mean", synthetic)]
    bars += [
        _psnr_to_oracle(synthetic),
        _evm_notch(results),
        _hits("notch attack, synthetic", synthetic, "hits"),
    ]
    bars.append(_hits("notch before the estimator, synthetic (harder than asked)", synthetic, "early_hits"))
    bars += _codecs(results)
    bars += _ssim(results)
    bars += _tones(synthetic)
    return bars


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _errors(what: str, clips: list[Result], most: float) -> Bar:
    found = {name: value for name, value in errors(clips, EDITOR).items() if value is not None}
    if not found:
        return Bar(what, f"≤ {most:g} bpm", "not measured", None)
    worst = max(found, key=lambda name: found[name])
    value = f"{found[worst]:.2f} ({worst}); " + ", ".join(f"{n} {v:.2f}" for n, v in found.items())
    return Bar(what, f"≤ {most:g} bpm", value, found[worst] <= most)


def _above_oracle(what: str, clips: list[Result], key: str, margin: float) -> Bar:
    own, oracle = (of(clips, e, lambda f: leak(f, key)) for e in (EDITOR, "oracle"))
    base = of(clips, "band-stop", lambda f: leak(f, key))
    bar = f"≤ oracle + {margin:g}"
    if own is None or oracle is None:
        return Bar(what, bar, "not measured", None)
    return Bar(
        what, bar, f"{own:.3f}, oracle {oracle:.3f} (band-stop {_number(base)})", own <= oracle + margin
    )


def _half_way(place: str, key: str, clips: list[Result]) -> Bar:
    missed, total = [], 0
    for factor, level, group in conditions(clips):
        own, base, oracle = (of(group, e, lambda f: leak(f, key)) for e in (EDITOR, "band-stop", "oracle"))
        if own is None or base is None or oracle is None:
            continue
        total += 1
        if own - oracle > 0.5 * max(base - oracle, 0.0):
            missed.append(f"{factor} {level}")
    value = f"{total - len(missed)} of {total} conditions" + (f"; not: {', '.join(missed)}" if missed else "")
    what = f"coherence, {place}: at most half the band-stop's distance to the oracle, in every condition"
    return Bar(what, "all", value, not missed if total else None)


def _psnr(what: str, clips: list[Result], least: float) -> Bar:
    own = of(clips, EDITOR, lambda f: f.get("psnr_planes"))
    rgb = of(clips, EDITOR, lambda f: f.get("psnr"))
    passed = None if own is None else own >= least
    return Bar(what, f"≥ {least:g} dB", f"{_number(own, 1)} dB (as R, G, B {_number(rgb, 1)})", passed)


def _psnr_to_oracle(clips: list[Result]) -> Bar:
    own, oracle = (of(clips, e, lambda f: f.get("psnr_planes")) for e in (EDITOR, "oracle"))
    passed = None if own is None or oracle is None else own >= oracle - 1.0
    value = f"{_number(own, 1)} dB, oracle {_number(oracle, 1)} dB"
    return Bar("PSNR against the oracle's, synthetic", "within 1 dB", value, passed)


def _evm_notch(results: Sequence[Result]) -> Bar:
    what, bar = "evm_face.mp4, target 90: rate after the notch", "none within 4 bpm of 53"
    runs = [r for r in results if r["name"].startswith(EVM) and EDITOR in r["editors"]]
    if not runs:
        return Bar(what, bar, "not measured", None)
    found = [r["editors"][EDITOR]["notch"] for r in runs]
    value = "; ".join(", ".join(f"{name} {_number(rate, 1)}" for name, rate in f.items()) for f in found)
    clear = all(_far_from_true(r, f) for r, f in zip(runs, found, strict=True))
    return Bar(what, bar, f"{len(runs)} seeds: {value}", clear)


def _far_from_true(result: Result, found: dict[str, float | None]) -> bool:
    return all(rate is None or abs(rate - result["true"]) > 4.0 for rate in found.values())


def _hits(what: str, clips: list[Result], key: str) -> Bar:
    own, lucky = hit_rate(clips, EDITOR, key), chance(clips)
    base = hit_rate(clips, "band-stop", key)
    passed = None if own is None or lucky is None else own <= lucky
    return Bar(
        what,
        "true rate found no more often than without a pulse",
        f"{_percent(own)}, pulse-free {_percent(lucky)} (band-stop {_percent(base)})",
        passed,
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _codecs(results: Sequence[Result]) -> list[Bar]:
    clips = [r for r in results if "codecs" in r["editors"].get(EDITOR, {})]
    names: list[str] = list(clips[0]["editors"][EDITOR]["codecs"]) if clips else []
    bars = []
    for codec in names:
        after = [(r, r["editors"][EDITOR]["codecs"][codec]) for r in clips]
        missed = [
            f"{r['name']} {name} {_number(a['hr'][name], 1)} for {r['target']:g}"
            for r, a in after
            for name in ATTACKERS
            if a["error"][name] is None or a["error"][name] > 1.5
        ]
        total = len(after) * len(ATTACKERS)
        value = f"{total - len(missed)} of {total}" + (f"; not: {'; '.join(missed[:4])}" if missed else "")
        value += " …" if len(missed) > 4 else ""
        bars.append(
            Bar(f"after {codec}: POS, CHROM, GREEN, PCA at the target", "all ± 1.5 bpm", value, not missed)
        )
        bars.append(_codec_notch(codec, after))
    return bars


def _codec_notch(codec: str, after: list[tuple[Result, dict[str, Any]]]) -> Bar:
    known = [(r, a) for r, a in after if "pulse_free" in r]
    found = sum(a["hits"] for _, a in known)
    lucky = sum(r["pulse_free"]["hits"] for r, _ in known)
    evm = [_far_from_true(r, a["notch"]) for r, a in after if r["name"].startswith(EVM)]
    value = f"{found} of {len(ATTACKERS) * len(known)} found, pulse-free {lucky}"
    value += "" if not evm else f"; evm_face {'clear' if evm[0] else 'found'}"
    return Bar(f"after {codec}: notch attack", "as above", value, found <= lucky and all(evm))


def _ssim(results: Sequence[Result]) -> list[Bar]:
    bars = []
    for key, name in (("ssim_face", "face"), ("ssim_frame", "whole frame")):
        values = [r["editors"][EDITOR][key] for r in results if EDITOR in r["editors"]]
        lowest = min(values) if values else None
        average = sum(values) / len(values) if values else None
        passed = None if average is None else average >= 0.995
        bars.append(
            Bar(f"SSIM, {name}", "≥ 0.995", f"{_number(average, 4)}, lowest {_number(lowest, 4)}", passed)
        )
    return bars


def _tones(clips: list[Result]) -> list[Bar]:
    alike = select(clips, light="even", fps=30.0, camera="raw")
    light, dark = (summary(select(alike, tone=tone), EDITOR) for tone in ("light", "dark"))
    bars = []
    for key, name in (
        ("error_mean", "error"),
        ("face", "coherence, face"),
        ("patches", "coherence, patches"),
    ):
        a, b = light[key], dark[key]
        if a is None or b is None:
            bars.append(Bar(f"dark against light skin: {name}", "within 20 %", "not measured", None))
            continue
        apart = max(a, b) / max(min(a, b), 1e-6) - 1.0
        value = f"light {a:.3f}, dark {b:.3f} ({100 * apart:.0f} % apart)"
        bars.append(Bar(f"dark against light skin: {name}", "within 20 %", value, apart <= 0.2))
    return bars
