"""The article's network against golden outputs of Keras (see golden/make_article.py)."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import onnxruntime
import pytest
import torch

from mechanical_ears.errors import EarsError
from mechanical_ears.listening.training.article_network import (
    PARAMETERS,
    ArticleNetwork,
    export_onnx,
    glorot_limit,
)
from support.paths import GOLDEN

GOLDEN = GOLDEN


def _recipe():
    specification = importlib.util.spec_from_file_location(
        "make_article", GOLDEN / "make_article.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


recipe = _recipe()


@pytest.fixture(scope="module")
def keras():
    with np.load(GOLDEN / "article.npz") as golden:
        return dict(golden)


@pytest.fixture(scope="module")
def sounds():
    return torch.from_numpy(recipe.inputs())


@pytest.mark.parametrize("fused", [True, False, None])
def test_predicts_as_keras_does(keras, sounds, fused):
    network = ArticleNetwork.from_keras(recipe.weights(), fused=fused)
    with torch.inference_mode():
        probabilities = network(sounds).softmax(1).numpy()
    assert keras["probabilities"].max() > 0.8  # the golden outputs are not uniform
    np.testing.assert_allclose(probabilities, keras["probabilities"], atol=1e-5, rtol=0)


def test_flattens_in_the_order_of_keras(keras, sounds):
    network = ArticleNetwork.from_keras(recipe.weights())
    captured = []
    network.hidden.register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0].detach()))
    network(sounds)
    np.testing.assert_allclose(
        captured[0].numpy()[:, ::61], keras["features"], rtol=1e-5, atol=1e-5
    )


def test_has_as_many_parameters(keras):
    count = sum(parameter.numel() for parameter in ArticleNetwork().parameters())
    assert count == PARAMETERS == keras["parameters"] == 2_092_556


def test_starts_as_keras_does(keras):
    network = ArticleNetwork(generator=torch.Generator().manual_seed(0))
    fans = [9 + 36, 36 + 72, 72 + 108, 108 + 144, 3952 + 512, 512 + 128]  # in + out, as Keras'
    initial = zip(keras["initial_limits"], keras["initial_deviations"], strict=True)
    for layer, fan, (largest, deviation) in zip(network.layers(), fans, initial, strict=True):
        limit = math.sqrt(6 / fan)
        assert glorot_limit(layer) == pytest.approx(limit, rel=1e-9)
        # The weights of Keras, and ours, come as close to that limit as uniform samples should.
        weight, count = layer.weight.detach(), layer.weight.numel()
        assert limit * (1 - 10 / count) < largest <= limit * (1 + 1e-6)
        assert limit * (1 - 10 / count) < float(weight.abs().max()) <= limit * (1 + 1e-6)
        # The deviation of uniform samples has a standard error of 0.45 / √count, in both.
        assert float(weight.std()) == pytest.approx(deviation, rel=2.5 / math.sqrt(count))
        assert not layer.bias.any()
    assert not keras["initial_biases"].any()


def test_a_seed_gives_the_same_network_again():
    first, second, other = (
        ArticleNetwork(generator=torch.Generator().manual_seed(seed)).to_keras()
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_weights_convert_to_keras_and_back():
    weights = recipe.weights()
    for copied, original in zip(
        ArticleNetwork.from_keras(weights).to_keras(), weights, strict=True
    ):
        assert np.array_equal(copied, original)


def test_fused_and_separate_operations_have_equal_gradients(sounds):
    """A step of training moves the weights to the same place, to rounding."""
    networks = [ArticleNetwork.from_keras(recipe.weights(), fused=fused) for fused in (True, False)]
    pitches = torch.tensor([0, 33, 69, 105, 127, 60])
    for network in networks:
        torch.nn.functional.cross_entropy(network(sounds), pitches).backward()
    for fused, plain in zip(*(network.parameters() for network in networks), strict=True):
        scale = float(plain.grad.abs().max())
        torch.testing.assert_close(fused.grad, plain.grad, rtol=0, atol=1e-4 * scale)


def test_other_number_formats_take_the_separate_operations(sounds):
    network = ArticleNetwork.from_keras(recipe.weights())
    with torch.inference_mode():
        exact = network.double()(sounds.double()).softmax(1)
        single = network.float()(sounds).softmax(1)
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-5)


def test_onnx_file_predicts_alike(tmp_path, sounds):
    weights = recipe.weights()
    path = tmp_path / "article.onnx"
    export_onnx(
        ArticleNetwork.from_keras(weights), path, {"source": "a test", "licence": "Apache-2.0"}
    )
    assert path.stat().st_size < 4_300_000
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {
        "source": "a test",
        "licence": "Apache-2.0",
        "sample_rate": "16000",
    }
    # The file rounds the two dense kernels to float16; so does this network.
    rounded = [
        a.astype(np.float16).astype(np.float32) if a.shape[0] > 256 and a.ndim == 2 else a
        for a in weights
    ]
    with torch.inference_mode():
        exact = ArticleNetwork.from_keras(rounded)(sounds).softmax(1).numpy()
    for batch in (1, len(sounds)):
        (output,) = session.run(["probabilities"], {"audio": sounds[:batch].numpy()})
        np.testing.assert_allclose(output, exact[:batch], atol=1e-5, rtol=0)


def test_onnx_file_is_not_written_in_part(tmp_path):
    with pytest.raises(EarsError, match="cannot write"):
        export_onnx(ArticleNetwork(), tmp_path / "absent" / "article.onnx", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(64_000,), (1, 63_999), (1, 1, 64_000)])
def test_refuses_other_lengths(shape):
    with pytest.raises(ValueError, match=r"need \(batch, 64000\)"):
        ArticleNetwork()(torch.zeros(shape))


def test_refuses_weights_of_another_network():
    weights = recipe.weights()
    with pytest.raises(ValueError, match="10 arrays, need 12"):
        ArticleNetwork.from_keras(weights[:-2])
    weights[2] = weights[2][..., :-1]
    with pytest.raises(ValueError, match="layer 2: kernel"):
        ArticleNetwork.from_keras(weights)
