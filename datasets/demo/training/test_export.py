# SPDX-License-Identifier: Apache-2.0
"""Tests of the export and of the reference on models too small to train: python -m unittest."""

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import torch

import export
from model import CONFIGS, Model
from mxfp4 import fake_quantize
from reference import Reference

Q8_0, BF16 = export.Type.Q8_0, export.Type.BF16


def tiny_state() -> dict:
    """A model none of whose parameters is at its initial zero, so that each one matters."""
    torch.manual_seed(3)
    net = Model(CONFIGS["tiny"])
    for name, p in net.named_parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.3 if p.dim() < 2 or name.endswith(("b1", "b2")) else 0.15)
    return {"config": net.config.to_dict(), "model": net.state_dict(), "step": 5, "tokens": 40960,
            "arguments": {"steps": 5, "finish": 0.2, "seed": 3}}


def vocabulary() -> SimpleNamespace:
    return SimpleNamespace(tokens=[f"t{i}" for i in range(5120)], types=[1] * 5120, merges=["t 1"],
                           bos=5104, eos=5106, pad=5105)


class Packing(unittest.TestCase):
    def setUp(self):
        codes = np.arange(32, dtype=np.uint8)[None, None] % 16  # element i has code i mod 16
        self.stack = export.Quantised(codes, np.array([[[130]]], dtype=np.uint8))

    def test_gguf_record_is_scale_then_elements_sixteen_apart(self):
        expected = [130] + [j | j << 4 for j in range(16)]
        self.assertEqual(self.stack.records()[0, 0].tolist(), expected)

    def test_gpt_oss_pairs_are_neighbours_low_half_first(self):
        expected = [(2 * i) % 16 | (2 * i + 1) % 16 << 4 for i in range(16)]
        self.assertEqual(self.stack.pairs()[0, 0, 0].tolist(), expected)

    def test_gguf_reads_the_values_that_the_codes_stand_for(self):
        values = gguf.dequantize(self.stack.records(), export.Type.MXFP4)[0, 0]
        self.assertEqual(values[:8].tolist(), [0, 4, 8, 12, 16, 24, 32, 48])  # times 2^(130 - 127)
        self.assertEqual(values[9:16].tolist(), [-4, -8, -12, -16, -24, -32, -48])

    def test_gates_take_the_even_rows(self):
        gate, up = np.array([[1, 2, 3]]), np.array([[10, 20, 30]])
        self.assertEqual(export.interleaved(gate, up).tolist(), [[1, 10, 2, 20, 3, 30]])


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.state = tiny_state()
        path = Path(cls.folder.name)
        for kind, quantised in ((Q8_0, True), (BF16, True), (Q8_0, False)):
            weights = export.Weights(cls.state, kind)
            name = f"{kind.name if quantised else 'float'}.gguf"
            export.write_gguf(path / name, weights, cls.state, vocabulary(), "tiny", quantised)
        cls.models = {p.stem: Reference(p) for p in path.glob("*.gguf")}
        cls.tokens = torch.randint(0, 5104, (300,)).tolist()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def training_loss(self, quantised: bool) -> float:
        net = Model(CONFIGS["tiny"])
        net.load_state_dict(self.state["model"])
        weights = {n: fake_quantize(p.detach()) for n, p in net.named_parameters()
                   if n.endswith((".w1", ".w2"))} if quantised else {}
        t = torch.tensor([self.tokens])
        with torch.no_grad():
            return net(t[:, :-1], t[:, 1:], torch.zeros(2, 8), weights)[0].item()

    def loss(self, name: str) -> float:
        return -self.models[name].log_probabilities(self.tokens).mean().item()

    def test_loss_is_the_training_codes(self):
        # More tokens than the window of 128, so that sliding and full layers differ.
        self.assertAlmostEqual(self.loss("Q8_0"), self.training_loss(True), delta=0.005)
        self.assertAlmostEqual(self.loss("BF16"), self.training_loss(True), delta=0.005)
        self.assertAlmostEqual(self.loss("float"), self.training_loss(False), delta=0.005)

    def test_every_tensor_bears_on_the_loss(self):
        model, before = self.models["float"], self.loss("float")
        for name, tensor in model.tensors.items():
            model.tensors[name] = tensor + 0.1 * torch.randn_like(tensor)
            self.assertGreater(abs(self.loss("float") - before), 1e-6, name)
            model.tensors[name] = tensor

    def test_sliding_layer_sees_128_positions_with_its_own(self):
        model, tokens = self.models["Q8_0"], self.tokens[:140]
        model.keys["gpt-oss.block_count"] = 1  # the first layer, which slides
        last = model.logits(tokens)[-1]
        for distance, seen in ((127, True), (128, False)):
            other = list(tokens)
            other[-1 - distance] ^= 1
            self.assertEqual(not torch.equal(model.logits(other)[-1], last), seen, distance)
        model.keys["gpt-oss.block_count"] = 2

    def test_float_file_holds_the_master(self):
        tensors = self.models["float"].tensors
        w1 = torch.cat((tensors["blk.1.ffn_gate_exps.weight"], tensors["blk.1.ffn_up_exps.weight"]), 1)
        self.assertTrue(torch.equal(w1, self.state["model"]["layers.1.w1"]))
        self.assertTrue(torch.equal(tensors["output.weight"], self.state["model"]["unembed"]))

    def test_hf_tensors_hold_the_ggufs_values(self):
        tensors = export.hf_tensors(export.Weights(self.state, BF16))
        ours = self.models["BF16"].tensors
        self.assertTrue(torch.equal(tensors["model.embed_tokens.weight"], ours["token_embd.weight"]))
        k = tensors["model.layers.1.self_attn.k_proj.weight"]
        self.assertEqual(k.dtype, torch.bfloat16)
        self.assertTrue(torch.equal(k.float(), ours["blk.1.attn_k.weight"]))
        bias = tensors["model.layers.0.mlp.experts.gate_up_proj_bias"]
        self.assertTrue(torch.equal(bias[:, 1::2], ours["blk.0.ffn_up_exps.bias"]))

    def test_metadata_tells_the_training(self):
        keys = self.models["Q8_0"].keys
        self.assertEqual(keys["moescope.training.tokens"], 40960)
        self.assertTrue(keys["moescope.training.mxfp4_aware"])
        self.assertEqual(keys["general.license"], "CC0-1.0")
        self.assertEqual(keys["gpt-oss.attention.sliding_window"], 128)

    def test_greedy_ends_at_a_stop_token_and_counts(self):
        model = self.models["Q8_0"]
        free, _ = model.greedy(self.tokens[:20], 4)
        self.assertEqual(len(free), 4)
        first = free[0]
        model.stop = {first}
        self.assertEqual(model.greedy(self.tokens[:20], 4)[0], [first])


if __name__ == "__main__":
    unittest.main()
