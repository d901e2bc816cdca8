# SPDX-License-Identifier: Apache-2.0
"""Writes a trained demo model as GGUF, and on demand as a Hugging Face folder.

    export.py RUN/checkpoint.pt tokenizer.json OUT.gguf [--name NAME] [--attention q8_0|bf16]
              [--hf FOLDER] [--float OUT_F32.gguf]

Experts are MXFP4 with the codes and scales of mxfp4.quantize, the same that the finish of the
training saw; embedding, head and attention are Q8_0; norms, router, biases and sinks stay float32.

The Hugging Face folder holds the numbers of the GGUF, not a second rounding of the master: Q8_0
values are stored dequantised in float32, which is exact (8 bits of code times 11 of scale; bfloat16
would round them again). The two files are thus one model and must give one result.

--float writes every weight in float32 as the training left it, to test quantisers on; 4 times the
size, not part of the repository."""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file
from tokenizers import Tokenizer, models
from torch import Tensor

import mxfp4

LICENSE = "CC0-1.0"
DESCRIPTION = ("A small mixture of experts of the gpt-oss architecture, trained from scratch by the "
               "MoEScope project on public-domain text. See MODEL_CARD.md.")
BOS, EOS, PAD = "<|startoftext|>", "<|return|>", "<|endoftext|>"
FILE_TYPE_F32, FILE_TYPE_MXFP4 = 0, 38  # llama.cpp's LLAMA_FTYPE_*
NORMAL, CONTROL = 1, 3  # llama.cpp's llama_token_type
# Renders plain conversations; names the tokens by which programs recognise harmony.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|start|>{{ message.role }}"
    "{%- if message.role == 'assistant' -%}<|channel|>final{%- endif -%}"
    "<|message|>{{ message.content }}<|end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}")


class Vocabulary:
    """tokenizer.json in the terms of GGUF."""

    def __init__(self, path: Path):
        self.path = path
        root = json.loads(path.read_text(encoding="utf-8"))
        model = root["model"]
        ids = dict(model["vocab"]) | {t["content"]: t["id"] for t in root["added_tokens"]}
        control = {t["content"] for t in root["added_tokens"] if t["special"]}
        self.tokens = sorted(ids, key=ids.get)
        if [ids[t] for t in self.tokens] != list(range(len(ids))):
            raise SystemExit(f"{path}: ids are not 0..{len(ids) - 1}")
        self.types = [CONTROL if t in control else NORMAL for t in self.tokens]
        self.merges = [" ".join(pair) for pair in model["merges"]]
        self.bos, self.eos, self.pad = ids[BOS], ids[EOS], ids[PAD]
        self._check_whole_pieces(model)

    def _check_whole_pieces(self, model: dict) -> None:
        """GGUF's "gpt-4o" looks a whole piece up before it merges; tokenizer.json says it merges.
        The two agree as long as every token is what its own letters merge to."""
        bpe = Tokenizer(models.BPE(model["vocab"], [tuple(m) for m in model["merges"]]))
        for token, kind in zip(self.tokens, self.types):
            if kind == NORMAL and bpe.encode(token).tokens != [token]:
                raise SystemExit(f"{self.path}: token {token!r} is not reached by the merges")


class Quantised:
    """A stack of expert matrices (E, rows, K) in MXFP4."""

    def __init__(self, codes: np.ndarray, scales: np.ndarray):
        self.codes, self.scales = codes, scales

    @classmethod
    def of(cls, master: Tensor) -> "Quantised":
        codes, scales = mxfp4.quantize(master)
        return cls(codes.numpy(), scales.numpy())

    def records(self) -> np.ndarray:
        """GGUF's 17-byte blocks: the scale, then elements j in the low and j + 16 in the high half."""
        blocks = self.codes.reshape(*self.scales.shape, mxfp4.BLOCK)
        pairs = blocks[..., :16] | blocks[..., 16:] << 4
        records = np.concatenate((self.scales[..., None], pairs), -1)
        return records.reshape(*self.codes.shape[:-1], -1)

    def pairs(self) -> np.ndarray:
        """gpt-oss's own order: elements 2i in the low, 2i + 1 in the high half; scales apart."""
        blocks = self.codes.reshape(*self.scales.shape, mxfp4.BLOCK)
        return blocks[..., 0::2] | blocks[..., 1::2] << 4


def interleaved(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(E, ff, ...) twice -> (E, 2 ff, ...) with gates in the even rows, as gpt-oss stores them."""
    return np.stack((gate, up), 2).reshape(gate.shape[0], -1, *gate.shape[2:])


class Weights:
    """The checkpoint's parameters under GGUF's names, each with the type it is stored in."""

    def __init__(self, state: dict, attention: Type):
        self.config = state["config"]
        self.attention = attention
        self.master = {n: p.detach().float().cpu() for n, p in state["model"].items()}
        self.plain: dict[str, tuple[Type, np.ndarray]] = {}
        self.experts: dict[str, Tensor] = {}
        self._plain("token_embd.weight", Type.Q8_0, "embed")
        self._plain("output_norm.weight", Type.F32, "norm")
        self._plain("output.weight", Type.Q8_0, "unembed")
        for layer in range(self.config["n_layer"]):
            self._attention(f"blk.{layer}.", f"layers.{layer}.")
            self._experts(f"blk.{layer}.", f"layers.{layer}.")

    def _plain(self, name: str, kind: Type, source: str) -> None:
        self.plain[name] = (kind, self.master[source].numpy())

    def _attention(self, out: str, source: str) -> None:
        c = self.config
        widths = [heads * c["head_dim"] for heads in (c["n_head"], c["n_kv_head"], c["n_kv_head"])]
        self._plain(out + "attn_norm.weight", Type.F32, source + "attn_norm")
        matrices = self.master[source + "qkv"].split(widths)
        biases = self.master[source + "qkv_bias"].split(widths)
        for name, matrix, bias in zip(("attn_q", "attn_k", "attn_v"), matrices, biases):
            self.plain[f"{out}{name}.weight"] = (self.attention, matrix.numpy())
            self.plain[f"{out}{name}.bias"] = (Type.F32, bias.numpy())
        self._plain(out + "attn_output.weight", self.attention, source + "o")
        self._plain(out + "attn_output.bias", Type.F32, source + "o_bias")
        self._plain(out + "attn_sinks.weight", Type.F32, source + "sinks")
        self._plain(out + "post_attention_norm.weight", Type.F32, source + "mlp_norm")

    def _experts(self, out: str, source: str) -> None:
        self._plain(out + "ffn_gate_inp.weight", Type.F32, source + "router")
        self._plain(out + "ffn_gate_inp.bias", Type.F32, source + "router_bias")
        w1, b1 = self.master[source + "w1"], self.master[source + "b1"]
        for name, w, b in zip(("ffn_gate_exps", "ffn_up_exps"), w1.chunk(2, 1), b1.chunk(2, 1)):
            self.experts[f"{out}{name}.weight"] = w
            self.plain[f"{out}{name}.bias"] = (Type.F32, b.contiguous().numpy())
        self.experts[out + "ffn_down_exps.weight"] = self.master[source + "w2"]
        self._plain(out + "ffn_down_exps.bias", Type.F32, source + "b2")

    def stored(self, name: str) -> np.ndarray:
        """What a reader of the GGUF sees: float32 (rows, cols)."""
        kind, values = self.plain[name]
        return gguf.dequantize(gguf.quantize(values, kind), kind)


def write_gguf(path: Path, weights: Weights, state: dict, vocabulary: Vocabulary, name: str,
               quantised: bool) -> None:
    writer = gguf.GGUFWriter(path, "gpt-oss")
    add_general_keys(writer, state, name, quantised)
    add_model_keys(writer, weights.config)
    add_tokenizer_keys(writer, vocabulary)
    for tensor, (kind, values) in weights.plain.items():
        kind = kind if quantised else Type.F32
        writer.add_tensor(tensor, np.ascontiguousarray(gguf.quantize(values, kind)), raw_dtype=kind)
    for tensor, master in weights.experts.items():
        if quantised:
            writer.add_tensor(tensor, Quantised.of(master).records(), raw_dtype=Type.MXFP4)
        else:
            writer.add_tensor(tensor, master.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_general_keys(writer: gguf.GGUFWriter, state: dict, name: str, quantised: bool) -> None:
    arguments = state["arguments"]
    finished = state["step"] > round(arguments["steps"] * (1 - arguments["finish"]))
    writer.add_type("model")
    writer.add_name(name if quantised else name + " (float)")
    writer.add_description(DESCRIPTION)
    writer.add_license(LICENSE)
    writer.add_languages(["en", "ko"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_file_type(FILE_TYPE_MXFP4 if quantised else FILE_TYPE_F32)
    writer.add_string("moescope.training.model", state["config"]["name"])
    writer.add_uint64("moescope.training.tokens", state["tokens"])
    writer.add_uint32("moescope.training.steps", state["step"])
    writer.add_uint32("moescope.training.steps_planned", arguments["steps"])
    writer.add_uint32("moescope.training.seed", arguments["seed"])
    writer.add_bool("moescope.training.mxfp4_aware", finished)


def add_model_keys(writer: gguf.GGUFWriter, c: dict) -> None:
    writer.add_block_count(c["n_layer"])
    writer.add_context_length(c["context"])
    writer.add_embedding_length(c["d_model"])
    writer.add_feed_forward_length(c["d_ff"])
    writer.add_head_count(c["n_head"])
    writer.add_head_count_kv(c["n_kv_head"])
    writer.add_key_length(c["head_dim"])
    writer.add_value_length(c["head_dim"])
    writer.add_layer_norm_rms_eps(c["norm_eps"])
    writer.add_sliding_window(c["window"])
    writer.add_rope_freq_base(c["rope_theta"])
    writer.add_rope_dimension_count(c["head_dim"])
    writer.add_expert_count(c["n_expert"])
    writer.add_expert_used_count(c["top_k"])
    writer.add_expert_feed_forward_length(c["d_ff"])


def add_tokenizer_keys(writer: gguf.GGUFWriter, v: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-4o")
    writer.add_token_list(v.tokens)
    writer.add_token_types(v.types)
    writer.add_token_merges(v.merges)
    writer.add_bos_token_id(v.bos)
    writer.add_eos_token_id(v.eos)
    writer.add_eot_token_id(v.pad)  # documents end with it: a plain continuation stops there too
    writer.add_pad_token_id(v.pad)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def hf_config(c: dict, v: Vocabulary) -> dict:
    layers = ["full_attention" if i % 2 else "sliding_attention" for i in range(c["n_layer"])]
    return {
        "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "dtype": "float32",
        "vocab_size": c["vocab"], "hidden_size": c["d_model"], "intermediate_size": c["d_ff"],
        "num_hidden_layers": c["n_layer"], "num_attention_heads": c["n_head"],
        "num_key_value_heads": c["n_kv_head"], "head_dim": c["head_dim"], "attention_bias": True,
        "num_local_experts": c["n_expert"], "num_experts_per_tok": c["top_k"],
        "experts_per_token": c["top_k"], "hidden_act": "silu", "swiglu_alpha": c["swiglu_alpha"],
        "swiglu_limit": c["swiglu_limit"], "rms_norm_eps": c["norm_eps"],
        "max_position_embeddings": c["context"], "initial_context_length": c["context"],
        "sliding_window": c["window"], "layer_types": layers, "tie_word_embeddings": False,
        # Written out because transformers' default for this architecture is YaRN.
        "rope_parameters": {"rope_type": "default", "rope_theta": c["rope_theta"]},
        "bos_token_id": v.bos, "eos_token_id": v.eos, "pad_token_id": v.pad,
        "quantization_config": {
            "quant_method": "mxfp4",
            "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                       "model.embed_tokens", "lm_head"]},
    }


def hf_tensors(weights: Weights) -> dict[str, Tensor]:
    ends = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}
    inner = {"input_layernorm.weight": "attn_norm.weight", "self_attn.sinks": "attn_sinks.weight",
             "post_attention_layernorm.weight": "post_attention_norm.weight"}
    for part in ("weight", "bias"):
        for hf, ours in (("q", "q"), ("k", "k"), ("v", "v"), ("o", "output")):
            inner[f"self_attn.{hf}_proj.{part}"] = f"attn_{ours}.{part}"
        inner[f"mlp.router.{part}"] = f"ffn_gate_inp.{part}"
    out = {name: torch.from_numpy(weights.stored(source)) for name, source in ends.items()}
    for layer in range(weights.config["n_layer"]):
        for name, source in inner.items():
            kind = weights.plain[f"blk.{layer}.{source}"][0]
            values = torch.from_numpy(weights.stored(f"blk.{layer}.{source}"))
            out[f"model.layers.{layer}.{name}"] = values.bfloat16() if kind == Type.BF16 else values
        for name, values in hf_experts(weights, f"blk.{layer}.").items():
            out[f"model.layers.{layer}.mlp.experts.{name}"] = torch.from_numpy(values)
    return out


def hf_experts(weights: Weights, prefix: str) -> dict[str, np.ndarray]:
    gate, up, down = (Quantised.of(weights.experts[f"{prefix}ffn_{part}_exps.weight"])
                      for part in ("gate", "up", "down"))
    gate_bias, up_bias, down_bias = (weights.stored(f"{prefix}ffn_{part}_exps.bias")
                                     for part in ("gate", "up", "down"))
    return {"gate_up_proj_blocks": interleaved(gate.pairs(), up.pairs()),
            "gate_up_proj_scales": interleaved(gate.scales, up.scales),
            "gate_up_proj_bias": interleaved(gate_bias, up_bias),
            "down_proj_blocks": down.pairs(), "down_proj_scales": down.scales,
            "down_proj_bias": down_bias}


def write_hf(folder: Path, weights: Weights, v: Vocabulary) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def write_json(name: str, value: dict) -> None:
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

    write_json("config.json", hf_config(weights.config, v))
    write_json("generation_config.json", {"bos_token_id": v.bos, "eos_token_id": [v.eos, v.pad],
                                          "pad_token_id": v.pad, "do_sample": True})
    write_json("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
        "pad_token": PAD, "model_max_length": weights.config["context"],
        "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE})
    (folder / "tokenizer.json").write_bytes(v.path.read_bytes())
    save_file({n: t.contiguous() for n, t in hf_tensors(weights).items()},
              folder / "model.safetensors", metadata={"format": "pt"})


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint", type=Path)
    p.add_argument("tokenizer", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--name", default="MoEScope demo")
    p.add_argument("--attention", choices=("q8_0", "bf16"), default="q8_0",
                   help="bf16 is 1 MB larger for each model, more than the three may have together")
    p.add_argument("--hf", type=Path, metavar="FOLDER")
    p.add_argument("--float", type=Path, metavar="OUT_F32.gguf", dest="float_out")
    a = p.parse_args()
    state = torch.load(a.checkpoint, map_location="cpu", weights_only=False)
    vocabulary = Vocabulary(a.tokenizer)
    if len(vocabulary.tokens) != state["config"]["vocab"]:
        raise SystemExit(f"{a.tokenizer}: {len(vocabulary.tokens)} tokens, the model has "
                         f"{state['config']['vocab']}")
    weights = Weights(state, Type[a.attention.upper()])
    write_gguf(a.out, weights, state, vocabulary, a.name, quantised=True)
    print(f"{a.out}: {a.out.stat().st_size} bytes, step {state['step']}, {state['tokens']} tokens")
    if a.hf:
        write_hf(a.hf, weights, vocabulary)
        print(f"{a.hf}: {sum(f.stat().st_size for f in a.hf.iterdir())} bytes")
    if a.float_out:
        write_gguf(a.float_out, weights, state, vocabulary, a.name, quantised=False)
        print(f"{a.float_out}: {a.float_out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
