"""Engines of TensorRT for RTX, built with no GPU: needs the extra ``tensorrt``, and is skipped without it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
import torch

from export.parity import step_parity
from export.rebuild import rebuild
from export.tensorrt.build import BATCHES, Engine, EngineBuilder
from export.tensorrt.cache import EngineCache
from export.tensorrt.inspection import Binding, Inspection, check, inspect
from export.tensorrt.torch_path import torch_step
from model.physiolatent import PhysioLatent
from streamfilter.artifact import load_artifact
from streamfilter.engine.build_cache import cache_name, read_cached, write_cached
from streamfilter.engine.device_session import device_graph
from streamfilter.errors import EngineError, UsageError

needs_tensorrt = pytest.mark.skipif(
    find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx (331 MB) is not installed: the extra tensorrt"
)


@pytest.fixture(scope="module")
def graph() -> bytes:
    return device_graph(load_artifact())


@pytest.fixture(scope="module")
def builder() -> EngineBuilder:
    return EngineBuilder()


@pytest.fixture(scope="module")
def engine(builder: EngineBuilder, graph: bytes) -> Engine:
    return builder.build(graph, 86)


@needs_tensorrt
class TestEngine:
    def test_it_is_one_engine_of_every_operator_with_norms_in_float32(
        self, engine: Engine, graph: bytes
    ) -> None:
        assert engine.inspection.engines == 1
        assert engine.operators == len(onnx.load_from_string(graph).graph.node)
        assert engine.products[0] > 30 and engine.products[1] == 0
        operators = [node.op_type for node in onnx.load_from_string(graph).graph.node]
        assert engine.norms == operators.count("LayerNormalization") > 0
        assert engine.inspection.half > 30
        assert len(engine.plan) > 1e6

    def test_it_binds_the_state_by_name_type_and_profile(self, engine: Engine) -> None:
        bindings = {one.name: one for one in engine.inspection.bindings}
        keys = bindings["state.keys0"]
        assert (keys.mode, keys.kind, keys.shape) == ("Input", "Half", (-1, 9, 2, 16, 128))
        assert [shape[0] for shape in keys.profile] == [1, 8, 32]
        assert bindings["next.keys0"] == Binding("next.keys0", "Output", "Half", keys.shape, ())
        assert bindings["frame"].kind == "Int64" and bindings["state.first"].kind == "Float"

    @pytest.mark.parametrize("sm", [75, 89, 120])
    def test_the_other_cards(self, builder: EngineBuilder, graph: bytes, sm: int) -> None:
        assert builder.build(graph, sm).inspection.engines == 1

    def test_an_unknown_card_and_a_graph_it_cannot_take_are_errors(
        self, builder: EngineBuilder, graph: bytes
    ) -> None:
        with pytest.raises(UsageError, match="nothing for SM 12"):
            builder.build(graph, 12)
        model = onnx.load_from_string(graph)
        next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Unheard"
        with pytest.raises(EngineError, match="does not support the graph"):
            builder.build(model.SerializeToString(), 86)

    def test_what_was_built_is_found_again(
        self, builder: EngineBuilder, engine: Engine, graph: bytes, tmp_path: Path
    ) -> None:
        cache = EngineCache(tmp_path, builder)
        made, cached = cache.engine(graph, 86, BATCHES)
        assert not cached
        assert cache.engine(graph, 86, BATCHES) == (made, True)
        plan = next(tmp_path.glob("*.plan"))
        plan.write_bytes(b"damaged")
        assert cache.engine(graph, 86, BATCHES)[1] is False
        assert not list(tmp_path.glob(".*"))


def test_without_the_library_the_error_says_what_to_install() -> None:
    if find_spec("tensorrt_rtx") is not None:
        pytest.skip("tensorrt-rtx is installed")
    with pytest.raises(EngineError, match=r"pip install -e '\.\[tensorrt\]'"):
        EngineBuilder()


LOG = """\
Adding 1 engine(s) to plan file.
Name: a, LayerType: kgen, Inputs: [ { Name: x, Datatype: Half }], Outputs: [], StreamId: 0
Name: b, LayerType: gemm, Inputs: [ { Name: x, Datatype: Float }], Outputs: [], StreamId: 0
 Name: x, IOMode: Input, DataType: Float, Dimensions: [-1,3], \
ProfileInfo: [ { MinShape: [1,3], OptShape: [8,3], MaxShape: [32,3] }]
 Name: y, IOMode: Output, DataType: Half, Dimensions: [-1,5], Location: Device, ProfileInfo: [ { Format: f }]
"""


class TestInspection:
    def graph(self) -> onnx.GraphProto:
        value = onnx.helper.make_tensor_value_info
        return onnx.helper.make_graph(
            [],
            "g",
            [value("x", onnx.TensorProto.FLOAT, ["batch", 3])],
            [value("y", onnx.TensorProto.FLOAT16, ["batch", 5])],
        )

    def test_the_builders_log_is_read(self) -> None:
        found = inspect(LOG.splitlines())
        assert found == Inspection(
            1,
            {"kgen": 1, "gemm": 1},
            1,
            (
                Binding("x", "Input", "Float", (-1, 3), ((1, 3), (8, 3), (32, 3))),
                Binding("y", "Output", "Half", (-1, 5), ()),
            ),
        )
        check(found, self.graph(), (1, 8, 32))

    def test_a_log_of_another_form_is_an_error(self) -> None:
        with pytest.raises(EngineError, match="another form"):
            inspect(["built"])

    def test_what_the_graph_does_not_have_is_an_error(self) -> None:
        found, graph = inspect(LOG.splitlines()), self.graph()
        with pytest.raises(EngineError, match="2 engines"):
            check(replace(found, engines=2), graph, (1, 8, 32))
        with pytest.raises(EngineError, match="the graph has"):
            check(found, graph, (1, 8, 16))
        with pytest.raises(EngineError, match="the engine binds None"):
            check(replace(found, bindings=found.bindings[:1]), graph, (1, 8, 32))
        more = (*found.bindings, replace(found.bindings[1], name="z"))
        with pytest.raises(EngineError, match="more than the graph has: z"):
            check(replace(found, bindings=more), graph, (1, 8, 32))


class TestCache:
    def test_a_file_is_whole_or_absent(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "a.plan"
        assert read_cached(path) is None
        assert write_cached(path, b"one") and write_cached(path, b"two")
        assert read_cached(path) == b"two"
        assert [file.name for file in path.parent.iterdir()] == ["a.plan"]

    def test_a_cache_that_cannot_be_written_is_no_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        assert not write_cached(tmp_path / "file" / "a", b"one")

    def test_the_name_depends_on_every_part(self) -> None:
        names = {cache_name("sm86", parts, ".plan") for parts in (["a", "b"], ["ab"], ["a", "c"], ["a", "b"])}
        assert len(names) == 3 and all(name.startswith("sm86-") for name in names)


class TestTorchPath:
    """With a compiler that leaves the exported step as it is: all but torch-tensorrt itself."""

    @pytest.fixture(scope="class")
    def network(self) -> PhysioLatent:
        return rebuild(load_artifact())

    def test_the_exported_step_is_compared_with_the_network(self, network: PhysioLatent) -> None:
        step = torch_step(copy.deepcopy(network), lambda program, example: program.module(), "cpu")
        assert step_parity(network, step, steps=40) < 1e-5

    def test_another_network_is_found_out(self, network: PhysioLatent) -> None:
        other = copy.deepcopy(network)
        other.decoder.scale_residual(0.5)
        step = torch_step(other, lambda program, example: program.module(), "cpu")
        assert step_parity(network, step, steps=5) > 1e-5

    def test_a_compiler_that_fails_is_an_error(self, network: PhysioLatent) -> None:
        def compiler(program: object, example: object) -> Callable[..., object]:
            raise RuntimeError("an operator is left over")

        with pytest.raises(EngineError, match="does not compile the network: an operator is left over"):
            torch_step(network, compiler, "cpu")

    def test_without_torch_tensorrt_or_a_gpu_the_error_says_what_is_missing(
        self, network: PhysioLatent
    ) -> None:
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        with pytest.raises(
            EngineError, match=r"torch-tensorrt (is not here|does not load).*CUDA build of torch"
        ):
            torch_step(network)
