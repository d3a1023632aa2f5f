"""Runs open-rppg's estimators; started by the client with the Python of the estimators' environment.

One JSON object a line comes in, one goes out; pictures and waves travel as .npy and .npz files that the
messages name. Imports nothing of this project, since that is not in its environment.

- ``{"op": "read", "model": NAME, "frames": FILE.npy, "fps": FPS, "out": FILE.npz}``: frames (T, H, W, 3)
  uint8 R, G, B. The answer has the package's own rate ``bpm`` (null: none) and quality ``sqi``; the file
  ``bvp`` (N,), before the package's filter, and ``fs``.
- ``{"op": "physnet", "model": "rlap", "out": FILE.npz}``: PhysNet's parameters in torch's names and layouts,
  with a ``probe`` (1, 128, 32, 32, 3) and the package's ``answer`` (128,) to it.

An answer with ``error`` says what went wrong; the worker lives on.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

PHYSNET_BLOCKS = 9


class _AtOnce:
    """In place of the package's pool of threads, which looks for the face in every fifth frame by a counter
    that is read when a thread comes to it: on a busy machine in other frames, and the wave is another."""

    def submit(self, task: Callable[[], object]) -> Future[object]:
        done: Future[object] = Future()
        done.set_result(task())
        return done

    def shutdown(self) -> None:
        """There is no thread to join."""


class Estimators:
    """The package's models, each loaded and compiled once."""

    def __init__(self) -> None:
        self._package = importlib.import_module("rppg")
        self._models: dict[str, Any] = {}
        self._fresh: dict[str, Any] = {}

    def read(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["model"]
        if name not in self._models:
            self._models[name] = self._load(name)
            self._fresh[name] = copy.deepcopy(self._models[name].state)
        model = self._models[name]
        model.state = copy.deepcopy(self._fresh[name])  # one clip's memory must not reach into the next
        frames = np.load(request["frames"], mmap_mode="r")
        with model:
            model.face_detection_pool.shutdown()
            model.face_detection_pool = _AtOnce()
            for index, frame in enumerate(frames):
                model.update_frame(np.asarray(frame), index / float(request["fps"]))
        found = model.hr() or {}
        bvp = np.asarray(model.bvp(raw=True)[0], np.float64)
        np.savez(request["out"], bvp=bvp, fs=float(model.fps))
        rate, quality = found.get("hr"), found.get("SQI")
        return {
            "bpm": None if rate is None else float(rate),
            "sqi": None if quality is None else float(quality),
        }

    def _load(self, name: str) -> Any:
        """A model as the package makes it, of 16-bit floats; but TS-CAN, which divides by the spread of the
        change between frames, is made of 32-bit ones: in 16 bits its wave is no number."""
        if not name.startswith("TSCAN"):
            return self._package.Model(name)
        settings = importlib.import_module("keras").config
        usual = settings.dtype_policy()
        settings.set_dtype_policy("float32")
        try:
            return self._package.Model(name)
        finally:
            settings.set_dtype_policy(usual)

    def physnet(self, request: dict[str, Any]) -> dict[str, Any]:
        models = importlib.import_module("rppg.models")
        folder = Path(str(models.__file__)).parent / "weights"
        net, _ = models.load_PhysNet(str(folder / f"physnet.{request['model']}.weights.h5"))
        out: dict[str, Any] = {}
        for k in range(PHYSNET_BLOCKS):
            _block(out, f"blocks.{k}", getattr(net, f"ConvBlock{k + 1}").layers, (4, 3, 0, 1, 2))
        for k, part in enumerate((net.upsample, net.upsample2)):
            _block(out, f"ups.{k}", part.layers, (4, 3, 0, 1, 2))
        weight, bias = net.convBlock10.get_weights()
        out["head.weight"], out["head.bias"] = weight.transpose(4, 3, 0, 1, 2), bias
        probe = np.random.default_rng(0).random((1, 128, 32, 32, 3), np.float32)
        answer = np.asarray(net(probe), np.float32)[0]
        np.savez(request["out"], probe=probe, answer=answer, **out)
        return {}


def _block(out: dict[str, Any], name: str, layers: Any, order: tuple[int, ...]) -> None:
    weight, bias = layers[0].get_weights()
    scale, shift, mean, variance = layers[1].get_weights()
    out[f"{name}.0.weight"], out[f"{name}.0.bias"] = weight.transpose(order), bias
    out[f"{name}.1.weight"], out[f"{name}.1.bias"] = scale, shift
    out[f"{name}.1.running_mean"], out[f"{name}.1.running_var"] = mean, variance


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not get between the answers
    estimators = Estimators()
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        try:
            request = json.loads(line)
            operation = {"read": estimators.read, "physnet": estimators.physnet}[request["op"]]
            answer = operation(request)
        except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, the others go on
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
