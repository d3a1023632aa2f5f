"""The step graph in the form that engines serve: few nodes, any number of streams at once.

It computes what ``export.onnx`` exports (``check_forms`` compares them), from the same parameters, but is
written for speed. One step of one stream is a few million multiply-adds; the exported graph spends most of
its time on starting its 600 small nodes. Here

- the band-stop's sections become one small matrix that depends on the time step, applied to all cells at
  once (``export.serving_front``); channels stay last, so that layers are plain matrix products;
- linear operations that follow each other are folded: enlargements, opponent colours, limits, scales;
- the look-back's keys and values are rings in the engine's memory: the graph reads ``ring.*`` and returns
  the new frame's ``row.*``, which the engine writes in its place, so that no window is copied.

``frame`` (batch,) int64 is the number of steps that each stream has done, so streams of different age
share a batch.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt
import onnx

from export.graph import GraphWriter
from export.serving_cover import cover
from export.serving_front import front_end, signal_weights
from model.encoder import PATCH
from model.film import MIX, RESIDUAL
from model.frontend import BLACK, OPPONENT
from model.physiolatent import PhysioLatent, StreamSettings, skin_prior
from streamfilter import contract
from streamfilter.clock import HARMONICS

Array = npt.NDArray[np.float32]
Parameters = dict[str, Array]
EPSILON = 1e-5  # of torch's layer norm


def serving_graph(network: PhysioLatent) -> onnx.ModelProto:
    """The serving form of ``network``."""
    s = network.settings
    if s.grid % s.pool or s.kernel != 3:
        raise ValueError("the serving form is written for a temporal kernel of 3 and a grid of whole pools")
    p = {name: value.numpy().astype(np.float32) for name, value in network.state_dict().items()}
    g = GraphWriter()
    crop = g.input(contract.CROP, 3, s.crop, s.crop)
    text = g.input(contract.TEXT, s.text_dim)
    phase = g.input(contract.PHASE, 2)
    strength = g.input(contract.STRENGTH, 1)
    dt = g.input(contract.DT, 1)
    masking = g.input(contract.MASKING, 3, 3, 3)
    frame = g.input(contract.FRAME, dtype="int64")

    condition = _condition(g, p, text, phase, strength, dt)
    scales, films = _modulations(g, p, condition, s)
    colour, fine = _patches(g, p, crop, s)
    estimate, features = front_end(g, colour, dt, frame, (2 * s.grid) ** 2)
    z = _encoder(g, p, fine, features, s)
    join = p["join.weight"].T
    moment = g("Unsqueeze", g.linear(condition, join[s.channels :], p["join.bias"]), np.array([1]))
    z = g("Add", g("MatMul", z, join[: s.channels]), moment)
    biases = _ring_bias(g, p, frame, s)
    for index in range(s.blocks):
        z = _block(g, p, f"blocks.{index}.", index, z, scales[9 * index : 9 * index + 9], biases[index], s)
    mix, residual, logit = _decoder(g, p, z, fine, films, s)
    gain = _gain(g, crop, estimate, mix, residual, logit, masking, (phase, strength), s)
    g.output(gain, contract.GAIN, 3, s.crop, s.crop)
    return g.model("physiolatent-serving")


def bilinear(small: int, large: int) -> Array:
    """(large, small): bilinear enlargement of a line, half-pixel centres, edges held."""
    at = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    low = np.minimum(np.floor(at).astype(int), small - 1)
    high = np.minimum(low + 1, small - 1)
    matrix = np.zeros((large, small))
    np.add.at(matrix, (np.arange(large), low), 1.0 - (at - low))
    np.add.at(matrix, (np.arange(large), high), at - low)
    return matrix.astype(np.float32)


def _condition(g: GraphWriter, p: Parameters, text: str, phase: str, strength: str, dt: str) -> str:
    moment = p["conditioner.moment.weight"].T.copy()
    bias = p["conditioner.moment.bias"] + p["conditioner.text.bias"] - moment[3]
    moment[3] *= 30.0
    weight = np.concatenate([p["conditioner.text.weight"].T, moment])
    told = g("Concat", text, phase, strength, dt, axis=1)
    hidden = g.silu(g("Gemm", told, weight, bias))
    return g("Gemm", hidden, p["conditioner.mix.weight"].T, p["conditioner.mix.bias"])


def _modulations(
    g: GraphWriter, p: Parameters, condition: str, s: StreamSettings
) -> tuple[list[str], list[str]]:
    """1 + scale, shift and gate of each adaptive norm (batch, 1, C); 1 + scale and shift (batch, width, 1)
    of the first FiLM, and (batch, 1, width) of the second, with the norm's own before it folded in."""

    def plus_one(bias: Array, width: int) -> Array:
        return np.concatenate([bias[:width] + 1.0, bias[width:]])

    norms = [f"blocks.{b}.{n}_norm.modulation" for b in range(s.blocks) for n in ("space", "time", "point")]
    weight = np.concatenate([p[f"{n}.weight"].T for n in norms], axis=1)
    bias = np.concatenate([plus_one(p[f"{n}.bias"], s.channels) for n in norms])
    rows = g.reshape(g("Gemm", g.silu(condition), weight, bias), 3 * len(norms), s.channels)
    w, b = p["decoder.norm.norm.weight"], p["decoder.norm.norm.bias"]
    # (n w + b) (1 + s) + t = n · w (1 + s) + (b (1 + s) + t)
    fold = np.concatenate([np.kron([[1.0, 0.0]], np.diag(w)), np.kron([[0.0, 1.0]], np.eye(s.width))])
    fold[: s.width, s.width :] = np.diag(b)
    first, second = (p[f"decoder.film_{n}.modulation.weight"].T for n in ("in", "out"))
    offset, later = (plus_one(p[f"decoder.film_{n}.modulation.bias"], s.width) for n in ("in", "out"))
    both = g(
        "Gemm",
        condition,
        np.concatenate([first, second @ fold], axis=1),
        np.concatenate([offset, later @ fold]),
    )
    films = g.split(g.reshape(both, 4, s.width), [1] * 4, 1)
    columns = [g.reshape(film, s.width, 1) for film in films[:2]]
    return g.split(rows, [1] * (3 * len(norms)), 1), columns + films[2:]


def _patches(g: GraphWriter, p: Parameters, crop: str, s: StreamSettings) -> tuple[str, str]:
    """Mean colour of each 4 × 4 cell, and a grey level (batch, 3, cells), and the encoder's fine map
    (batch, width, cells)."""
    side, cell = 2 * s.grid, PATCH // 2
    weight = p["encoder.patch.weight"]
    mean = np.eye(3)[:, :, None, None] * np.full((cell, cell), 1.0 / cell**2)
    # Twice the picture minus one, as the network sees it, is in the weights; the cells' colour goes along.
    offset = p["encoder.patch.bias"] - weight.sum(axis=(1, 2, 3))
    # The norm over the channels that follows takes their mean away: these are made without it.
    weight, offset = (2.0 * (weight - weight.mean(axis=0)), offset - offset.mean())
    bias = np.concatenate([offset, np.full(3, BLACK)])
    size = [cell, cell]
    both = g("Conv", crop, np.concatenate([weight, mean]), bias, strides=size, kernel_shape=size)
    features, colour = g.split(g.reshape(both, s.width + 3, side * side), [s.width, 3], 1)
    name = "encoder.patch_norm.norm"
    power = g("MatMul", np.full((1, s.width), 1.0 / s.width), g("Mul", features, features))
    normed = g("Div", features, g("Sqrt", g("Add", power, EPSILON)))
    scaled = g("Mul", normed, p[f"{name}.weight"][:, None])
    return colour, g.silu(g("Add", scaled, p[f"{name}.bias"][:, None]))


def _encoder(g: GraphWriter, p: Parameters, fine: str, features: str, s: StreamSettings) -> str:
    side, positions, channels = 2 * s.grid, s.grid**2, s.channels
    coarse = g(
        "Conv",
        g.reshape(fine, s.width, side, side),
        p["encoder.down.weight"],
        p["encoder.down.bias"],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        kernel_shape=[3, 3],
    )
    signals = g("MatMul", signal_weights(p["encoder.signals.weight"]), features)
    signals = g("Add", signals, p["encoder.signals.bias"][:, None])
    joined = g.silu(g("Concat", g.reshape(coarse, channels, positions), signals, axis=1))
    last = g("Transpose", joined, perm=[0, 2, 1])
    z = g.linear(last, p["encoder.join.weight"].T, p["encoder.join.bias"])
    # The temporal convolution in transposed form: partial sums wait for the frames to come, nothing shifts.
    x = g.silu(z)
    first, second = (g.input(f"{contract.STATE_PREFIX}encoder{k}", positions, channels) for k in range(2))
    taps = p["encoder.time.weight"]
    moved = g("Add", g("Mul", x, taps[2]), first)
    g.output(g("Add", g("Mul", x, taps[1]), second), f"{contract.NEXT_PREFIX}encoder0", positions, channels)
    g.output(g("Mul", x, taps[0]), f"{contract.NEXT_PREFIX}encoder1", positions, channels)
    return g("Add", z, g.linear(g.silu(moved), p["encoder.mix.weight"].T, p["encoder.mix.bias"]))


def _ring_bias(g: GraphWriter, p: Parameters, frame: str, s: StreamSettings) -> list[str]:
    """What each slot of the ring adds to its score, (batch, 1, heads, 1, context) a block: the bias of its
    distance in frames; minus infinity where nothing is yet, and for the slot that this frame will take."""
    none = s.context
    table = np.full((s.context + 1, s.blocks * s.heads), -np.inf, np.float32)
    for index in range(s.blocks):
        bias = p[f"blocks.{index}.time.distance_bias"]
        table[1:none, s.heads * index : s.heads * (index + 1)] = bias[:, 1:].T
    age = g("Unsqueeze", frame, np.array([1]))
    distance = g("Mod", g("Sub", age, np.arange(s.context)), np.array(s.context))
    seen = g("Where", g("Greater", distance, age), np.array(none), distance)
    rows = g("Transpose", g("Gather", table, seen), perm=[0, 2, 1])
    return g.split(g.reshape(rows, 1, s.blocks * s.heads, 1, s.context), [s.heads] * s.blocks, 2)


def _block(
    g: GraphWriter,
    p: Parameters,
    at: str,
    index: int,
    x: str,
    scales: list[str],
    bias: str,
    s: StreamSettings,
) -> str:
    def norm(value: str, part: int) -> str:
        return g("LayerNormalization", value, scales[3 * part], scales[3 * part + 1], epsilon=EPSILON)

    def gated(value: str, branch: str, part: int) -> str:
        return g("Add", value, g("Mul", branch, scales[3 * part + 2]))

    x = gated(x, _space(g, p, at, norm(x, 0), s), 0)
    x = gated(x, _time(g, p, at, index, norm(x, 1), bias, s), 1)
    hidden = g.silu(g.linear(norm(x, 2), p[f"{at}point.0.weight"].T, p[f"{at}point.0.bias"]))
    return gated(x, g.linear(hidden, p[f"{at}point.2.weight"].T, p[f"{at}point.2.bias"]), 2)


def _queries_scaled(weight: Array, bias: Array, s: StreamSettings) -> tuple[Array, Array]:
    """A layer for queries, keys and values with the attention's scale in its queries."""
    scale = np.ones(3 * s.channels, np.float32)
    scale[: s.channels] = 1.0 / math.sqrt(s.channels // s.heads)
    return weight.T * scale, bias * scale


def _space(g: GraphWriter, p: Parameters, at: str, x: str, s: StreamSettings) -> str:
    """Self-attention over the positions of one frame."""
    size = s.channels // s.heads
    weight, bias = _queries_scaled(p[f"{at}space_qkv.weight"], p[f"{at}space_qkv.bias"], s)
    heads = g.reshape(g.linear(x, weight, bias), s.grid**2, 3 * s.heads, size)
    queries, keys, values = g.split(g("Transpose", heads, perm=[0, 2, 1, 3]), [s.heads] * 3, 1)
    scores = g("MatMul", queries, g("Transpose", keys, perm=[0, 1, 3, 2]))
    mixed = g("MatMul", g("Softmax", scores, axis=-1), values)
    joined = g.reshape(g("Transpose", mixed, perm=[0, 2, 1, 3]), s.grid**2, s.channels)
    return g.linear(joined, p[f"{at}space_out.weight"].T, p[f"{at}space_out.bias"])


def _time(g: GraphWriter, p: Parameters, at: str, index: int, x: str, bias: str, s: StreamSettings) -> str:
    """Self-attention of each region over its own past, kept in the engine's ring."""
    side, size = s.grid // s.pool, s.channels // s.heads
    regions = side * side
    region_of = (np.arange(s.grid)[:, None] // s.pool * side + np.arange(s.grid)[None, :] // s.pool).ravel()
    pool = (region_of[None, :] == np.arange(regions)[:, None]) / s.pool**2
    weight, offset = _queries_scaled(p[f"{at}time.qkv.weight"], p[f"{at}time.qkv.bias"], s)
    new = g.linear(g("MatMul", pool.astype(np.float32), x), weight, offset)
    query, key, value = g.split(new, [s.channels] * 3, 2)
    query = g.reshape(query, regions, s.heads, 1, size)
    key = g.reshape(key, regions, s.heads, size, 1)
    value = g.reshape(value, regions, s.heads, 1, size)
    keys = g.input(f"{contract.RING_PREFIX}keys{index}", regions, s.heads, size, s.context)
    values = g.input(f"{contract.RING_PREFIX}values{index}", regions, s.heads, s.context, size)
    past = g("Add", g("MatMul", query, keys), bias)
    now = g("Add", g("MatMul", query, key), p[f"{at}time.distance_bias"][:, :1, None])
    weights = g("Softmax", g("Concat", past, now, axis=4), axis=-1)
    old, own = g.split(weights, [s.context, 1], 4)
    mixed = g("Add", g("MatMul", old, values), g("Mul", own, value))
    g.output(key, f"{contract.ROW_PREFIX}keys{index}", regions, s.heads, size, 1)
    g.output(value, f"{contract.ROW_PREFIX}values{index}", regions, s.heads, 1, size)
    looked = g.linear(
        g.reshape(mixed, regions, s.channels), p[f"{at}time.out.weight"].T, p[f"{at}time.out.bias"]
    )
    return g("Gather", looked, region_of, axis=1)


def _decoder(
    g: GraphWriter, p: Parameters, z: str, fine: str, films: list[str], s: StreamSettings
) -> tuple[str, str, str]:
    """Mixing matrices (batch, 19, cells), residual (batch, 3, cells), skin logit (batch, 1, side, side),
    all of them with the constants that follow folded in."""
    side = 2 * s.grid
    weight, bias = _mixing(p, s)
    weight = np.concatenate([weight, p["decoder.up.weight"][:, :, 0, 0]])
    bias = np.concatenate([bias, p["decoder.up.bias"]])
    planes = g("MatMul", weight, g("Transpose", z, perm=[0, 2, 1]))
    small, up = g.split(g("Add", planes, bias[:, None]), [MIX, s.width], 1)
    line = bilinear(s.grid, side)
    mix = g("MatMul", small, np.kron(line, line).T)

    doubled = g(
        "Resize",
        g.reshape(up, s.width, s.grid, s.grid),
        "",
        np.array([1.0, 1.0, 2.0, 2.0], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    y = g("Add", g.reshape(doubled, s.width, side * side), fine)
    y = g("Add", g("Mul", y, films[0]), films[1])
    spread = g(
        "Conv",
        g.reshape(y, s.width, side, side),
        p["decoder.spatial.weight"],
        p["decoder.spatial.bias"],
        group=s.width,
        pads=[1, 1, 1, 1],
        kernel_shape=[3, 3],
    )
    last = g("Transpose", g.reshape(spread, s.width, side * side), perm=[0, 2, 1])
    normed = g.silu(g("LayerNormalization", last, films[2], films[3], epsilon=EPSILON))
    y = g("Add", y, g("Transpose", normed, perm=[0, 2, 1]))
    hidden = g("MatMul", p["decoder.point.weight"][:, :, 0, 0], y)
    hidden = g.silu(g("Add", hidden, p["decoder.point.bias"][:, None]))
    scale = np.full(RESIDUAL + 1, 0.01 / s.limit, np.float32)
    scale[RESIDUAL:] = 4.0
    out = g("MatMul", p["decoder.out.weight"][:, :, 0, 0] * scale[:, None], hidden)
    residual, logit = g.split(g("Add", out, (p["decoder.out.bias"] * scale)[:, None]), [RESIDUAL, 1], 1)
    prior = cast(Array, skin_prior(side).numpy())
    return mix, residual, g("Add", g.reshape(logit, 1, side, side), prior)


def _mixing(p: Parameters, s: StreamSettings) -> tuple[Array, Array]:
    """The layer that mixes the near and wide estimates, as R, G, B over the limit: weight (19, C), bias."""
    weight, bias = p["decoder.mix.weight"], p["decoder.mix.bias"].copy()
    # To begin with, half of what a place adds in luma, all in colour (model.physiolatent).
    start = np.zeros((3, 6), np.float32)
    start[:, :3] = np.diag([0.5, 1.0, 1.0])
    bias[: MIX - 1] += start.ravel()
    to_rgb = np.kron(_opponent(s).T, np.eye(6, dtype=np.float32))
    return (
        np.concatenate([to_rgb @ weight[: MIX - 1], weight[MIX - 1 :]]),
        np.concatenate([to_rgb @ bias[: MIX - 1], bias[MIX - 1 :]]),
    )


def _opponent(s: StreamSettings) -> Array:
    """Opponent basis → R, G, B relative to the limit: rows k, columns c."""
    return (np.array(OPPONENT) / s.limit).astype(np.float32)


def _gain(
    g: GraphWriter,
    crop: str,
    estimate: str,
    mix: str,
    residual: str,
    logit: str,
    masking: str,
    wanted: tuple[str, str],
    s: StreamSettings,
) -> str:
    side = 2 * s.grid
    skin = g("Sigmoid", logit)
    weight = g("Add", g("Mul", skin, skin), 1e-4)

    matrices, pooling = g.split(mix, [MIX - 1, 1], 1)
    planes = g.reshape(estimate, 3, side, side)
    favour = g("Exp", g("Mul", g("Tanh", g.reshape(pooling, 1, side, side)), 4.0))
    whole = g("Mul", weight, favour)
    total = g("ReduceSum", g("Mul", planes, whole), np.array([2, 3]))
    shared = g("Div", total, g("ReduceSum", whole, np.array([2, 3])))

    weighed = g("Concat", g("Mul", planes, weight), weight, axis=1)
    boxes = [
        g(
            "AveragePool",
            weighed,
            kernel_shape=[size, size],
            strides=[1, 1],
            pads=[size // 2] * 4,
            count_include_pad=1,
        )
        for size in (3, 7)
    ]
    values, weights = g.split(g.reshape(g("Concat", *boxes, axis=1), 2, 4, side * side), [3, 1], 2)
    shared = g.reshape(shared, 1, 3, 1)
    sources = g.reshape(g("Sub", g("Div", values, weights), shared), 1, 6, side * side)
    mixed = g(
        "ReduceSum", g("Mul", g.reshape(matrices, 3, 6, side * side), sources), np.array([2]), keepdims=0
    )
    common = g("MatMul", _opponent(s).T, g.reshape(shared, 3, 1))
    taken = g("Tanh", g("Add", g("Add", mixed, residual), common))
    removal = g.reshape(taken, 3, side, side)
    # All parts in units of the most that is taken out, which the last matrix gives back.
    unit = np.float32(_unit(s))
    line = bilinear(3, side)
    noise = g("MatMul", line / unit, g("MatMul", masking, line.T))
    shown = g.reshape(_wanted(g, *wanted, s), 3, 1, 1)
    edit = g("Add", g("Add", removal, noise), shown)
    line = bilinear(side, s.crop)
    whole = g("MatMul", line * unit, g("MatMul", edit, line.T))
    return g("Mul", whole, cover(g, crop, skin, line))


def _unit(s: StreamSettings) -> float:
    """What a hyperbolic tangent of 1 takes out, relative."""
    return -s.removal * s.limit


def _wanted(g: GraphWriter, phase: str, strength: str, s: StreamSettings) -> str:
    """The wanted pulse (batch, 3) over the unit: the waveform of ``model.conditioning.wanted_wave``
    times its colour.

    cos kφ + i sin kφ = (c + i s)^k is a sum over the k-fold products of (c, s), so that harmonics, lags and
    colour are one matrix."""
    products, factors = [phase], [np.array([1.0, 1.0j])]
    for _ in HARMONICS[1:]:
        column = g("Unsqueeze", products[-1], np.array([2]))
        times = g("Mul", column, g.reshape(phase, 1, 2))
        factors.append(np.kron(factors[-1], factors[0]))
        products.append(g.reshape(times, len(factors[-1])))
    rows = [
        amplitude * (factor * np.exp(-1j * lag)).real
        for (amplitude, lag), factor in zip(HARMONICS, factors, strict=True)
    ]
    colour = np.array(s.pulse_direction) / _unit(s)
    wave = g("MatMul", g("Concat", *products, axis=1), np.concatenate(rows)[:, None] * colour)
    return g("Mul", wave, strength)
