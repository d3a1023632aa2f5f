"""Engines that were built before: found by the graph's hash, the card and the library's version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.tensorrt.build import Engine, EngineBuilder
from export.tensorrt.inspection import Binding, Inspection
from streamfilter.engine.build_cache import cache_name, read_cached, write_cached

_FORM = "1"  # of the files here


class EngineCache:
    """A folder with a plan and what is in it, for each engine; both are moved into place whole."""

    def __init__(self, folder: Path, builder: EngineBuilder) -> None:
        self._folder = folder
        self._builder = builder

    def engine(
        self, graph: bytes, sm: int, batches: tuple[int, int, int], anew: bool = False
    ) -> tuple[Engine, bool]:
        """The engine, and whether it was there already. Raises as :meth:`EngineBuilder.build`."""
        parts = (_FORM, hashlib.sha256(graph).hexdigest(), str(sm), str(batches), self._builder.version)
        path = self._folder / cache_name(f"sm{sm}", parts, ".plan")
        told = path.with_suffix(".json")
        plan, text = read_cached(path), read_cached(told)
        if plan is not None and text is not None and not anew:
            found = json.loads(text)
            if found.pop("sha256") == hashlib.sha256(plan).hexdigest():
                return _engine(found, plan), True
        engine = self._builder.build(graph, sm, batches)
        table = asdict(engine)
        del table["plan"]
        table["sha256"] = hashlib.sha256(engine.plan).hexdigest()
        write_cached(path, engine.plan)
        write_cached(told, json.dumps(table).encode())
        return engine, False


def _engine(found: dict[str, Any], plan: bytes) -> Engine:
    inside = found.pop("inspection")
    bindings = tuple(
        Binding(one["name"], one["mode"], one["kind"], tuple(one["shape"]), tuple(map(tuple, one["profile"])))
        for one in inside.pop("bindings")
    )
    half, full = found.pop("products")
    return Engine(
        plan=plan, products=(half, full), inspection=Inspection(**inside, bindings=bindings), **found
    )
