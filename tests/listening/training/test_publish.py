"""The published files of the listener."""

import numpy as np
import onnxruntime
import torch
from safetensors import safe_open

from mechanical_ears.listening.training.calibrate import CALIBRATED, PITCHED
from mechanical_ears.listening.training.network import Listener, example_inputs
from mechanical_ears.listening.training.publish import (
    INPUTS,
    OUTPUTS,
    CalibratedListener,
    export_listener,
    save_weights,
)


def test_the_onnx_file_predicts_as_torch_does(tmp_path):
    torch.manual_seed(0)
    listener = Listener().eval()
    instruments = torch.nn.functional.normalize(torch.randn(5, listener.shape.embedding), dim=1)
    temperatures = dict.fromkeys((*CALIBRATED, PITCHED), 1.3)
    calibrated = CalibratedListener(listener, temperatures, instruments)
    export_listener(calibrated, tmp_path / "model.onnx", {"instruments": ["a", "ü"]})
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map["instruments"] == '["a", "ü"]'
    for batch in (1, 3):
        inputs = example_inputs(batch)
        feed = {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)}
        outputs = session.run(list(OUTPUTS), feed)
        for name, torchs, onnxs in zip(OUTPUTS, calibrated(*inputs), outputs, strict=True):
            np.testing.assert_allclose(torchs.detach().numpy(), onnxs, atol=1e-5, err_msg=name)
    assert (tmp_path / "model.onnx").stat().st_size < 12 * 2**20


def test_weights_are_saved_in_half_precision_with_metadata(tmp_path):
    network = torch.nn.BatchNorm1d(3)
    save_weights(network, tmp_path / "w.safetensors", {"licence": "CC0-1.0"})
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert file.metadata() == {"licence": "CC0-1.0"}
        assert file.get_tensor("weight").dtype == torch.float16
        assert file.get_tensor("num_batches_tracked").dtype == torch.int64
