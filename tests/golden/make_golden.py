#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden models under data/: tiny random checkpoints and the logits that Hugging Face
transformers computes from them in float32.

    pip install torch transformers==5.23.0 safetensors gguf numpy
    python tests/golden/make_golden.py [NAME ...]

Needed only to remake the files; names choose some of them. Each folder holds config.json,
model.safetensors (and for some model.gguf, the same weights in GGUF's names and layouts),
golden.json with the prompt, and logits.f32: (n_tokens, vocab) little-endian float32.
"""
import json
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import GptOssConfig, GptOssForCausalLM, LlamaConfig, LlamaForCausalLM

import golden_architectures
from golden_common import DATA, TRANSFORMERS, finish, permuted, prompt, randomise, write, yarn

E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
MXFP4_VALUES = torch.tensor(E2M1 + [-v for v in E2M1])


def quantise_mxfp4(weights):
    """(.., cols) -> codes (.., cols) uint8, scale exponents (.., cols / 32) uint8: the OCP rule."""
    blocks = weights.reshape(*weights.shape[:-1], -1, 32)
    amax = blocks.abs().amax(-1, keepdim=True)
    exponent = torch.floor(torch.log2(amax)) - 2
    scaled = blocks / torch.exp2(exponent)
    codes = (scaled.unsqueeze(-1) - MXFP4_VALUES).abs().argmin(-1).to(torch.uint8)
    return codes, (exponent.squeeze(-1) + 127).to(torch.uint8)


def dequantise_mxfp4(codes, exponents):
    values = MXFP4_VALUES[codes.long()] * torch.exp2(exponents.float() - 127).unsqueeze(-1)
    return values.reshape(*values.shape[:-2], -1)


def gpt_oss(**overrides):
    config = GptOssConfig(attn_implementation="eager", max_position_embeddings=512, vocab_size=96, **overrides)
    model = GptOssForCausalLM(config).float().eval()
    model.set_attn_implementation("eager")
    return config, model


def gpt_oss_window():
    """Window 8 far shorter than the prompt of 40; YaRN x 32 of an original context of 16."""
    config, model = gpt_oss(hidden_size=32, intermediate_size=32, num_hidden_layers=4, num_attention_heads=4,
                            num_key_value_heads=2, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
                            sliding_window=8, rope_parameters=yarn(1000.0, 32.0, 16))
    randomise(model, 1, 1.5)
    state = model.state_dict()
    write("gpt_oss_window", model, prompt(1, 40, 96), state, config.to_dict())
    write_gpt_oss_original("gpt_oss_window", config, state, shards=2)


def gpt_oss_heads():
    """Odd sizes, 6 query heads on 3 key-value heads, 8 experts, top 3, a clamp that bites; bf16
    weights; the older spelling of the RoPE keys; layer types not alternating."""
    config, model = gpt_oss(hidden_size=48, intermediate_size=20, num_hidden_layers=3, num_attention_heads=6,
                            num_key_value_heads=3, head_dim=32, num_local_experts=8, num_experts_per_tok=3,
                            sliding_window=5, swiglu_limit=1.5, rope_parameters=yarn(150000.0, 8.0, 64),
                            layer_types=["full_attention", "sliding_attention", "sliding_attention"])
    randomise(model, 2, 1.5)
    state = {}
    for name, p in model.named_parameters():
        state[name] = p.data.bfloat16()
        p.data = state[name].float()
    spelled = config.to_dict()
    scaling = dict(spelled.pop("rope_parameters"))
    spelled["rope_theta"] = scaling.pop("rope_theta")
    spelled["rope_scaling"] = scaling
    write("gpt_oss_heads", model, prompt(2, 25, 96), state, spelled)


def pack_experts(config, model):
    """Rounds the model's experts to MXFP4. Returns the state with blocks and scales, and codes and exponents."""
    state = dict(model.state_dict())
    packed = {}
    for layer in range(config.num_hidden_layers):
        for matrix in ("gate_up_proj", "down_proj"):
            name = f"model.layers.{layer}.mlp.experts.{matrix}"
            parameter = model.get_parameter(name)
            codes, exponents = quantise_mxfp4(parameter.data.transpose(1, 2).contiguous())
            parameter.data = dequantise_mxfp4(codes, exponents).transpose(1, 2).contiguous()
            packed[layer, matrix] = codes, exponents
            del state[name]
            state[name + "_blocks"] = codes[..., 0::2] | codes[..., 1::2] << 4
            state[name + "_scales"] = exponents
    return state, packed


def gpt_oss_mxfp4():
    """MXFP4 experts and BF16 matrices, as in the published checkpoints, and the same model as GGUF."""
    config, model = gpt_oss(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                            num_key_value_heads=2, head_dim=16, num_local_experts=5, num_experts_per_tok=2,
                            sliding_window=8, rope_parameters=yarn(10000.0, 4.0, 32))
    randomise(model, 3)
    state, packed = pack_experts(config, model)
    for name, p in model.named_parameters():
        if name in state and p.dim() == 2 and not name.endswith("bias"):
            state[name] = p.data.bfloat16()
            p.data = state[name].float()
    spelled = config.to_dict()
    spelled["quantization_config"] = {"quant_method": "mxfp4"}
    tokens = prompt(3, 30, 96)
    write("gpt_oss_mxfp4", model, tokens, state, spelled)
    write_gpt_oss_gguf(config, state, packed)
    write_gpt_oss_original("gpt_oss_mxfp4", config, state)


def gpt_oss_openai():
    """Within what OpenAI's own program takes (its YaRN bounds must lie inside the head), for
    make_openai_golden.py; the prompt goes past the original context."""
    rope = yarn(10000.0, 4.0, 32) | {"beta_fast": 2.0}
    config, model = gpt_oss(hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                            num_key_value_heads=2, head_dim=16, num_local_experts=5, num_experts_per_tok=2,
                            sliding_window=8, rope_parameters=rope)
    randomise(model, 6, 1.5)
    state, _ = pack_experts(config, model)
    spelled = config.to_dict()
    spelled["quantization_config"] = {"quant_method": "mxfp4"}
    write("gpt_oss_openai", model, prompt(6, 48, 96), state, spelled)
    write_gpt_oss_original("gpt_oss_openai", config, state)


ORIGINAL_ENDS = {"model.embed_tokens.weight": "embedding.weight", "model.norm.weight": "norm.scale",
                 "lm_head.weight": "unembedding.weight"}
ORIGINAL_PARTS = {"input_layernorm.weight": "attn.norm.scale", "self_attn.sinks": "attn.sinks",
                  "self_attn.o_proj.weight": "attn.out.weight", "self_attn.o_proj.bias": "attn.out.bias",
                  "post_attention_layernorm.weight": "mlp.norm.scale", "mlp.router.weight": "mlp.gate.weight",
                  "mlp.router.bias": "mlp.gate.bias", "mlp.experts.gate_up_proj_bias": "mlp.mlp1_bias",
                  "mlp.experts.down_proj_bias": "mlp.mlp2_bias",
                  "mlp.experts.gate_up_proj_blocks": "mlp.mlp1_weight.blocks",
                  "mlp.experts.gate_up_proj_scales": "mlp.mlp1_weight.scales",
                  "mlp.experts.down_proj_blocks": "mlp.mlp2_weight.blocks",
                  "mlp.experts.down_proj_scales": "mlp.mlp2_weight.scales"}


def write_gpt_oss_original(name, config, state, shards=1):
    """The same model as OpenAI's own program reads it; in shards numbered from 0, as gpt-oss-20b has them."""
    out = {target: state[source] for source, target in ORIGINAL_ENDS.items()}
    for layer in range(config.num_hidden_layers):
        source, target = f"model.layers.{layer}.", f"block.{layer}."
        for kind in ("weight", "bias"):
            out[f"{target}attn.qkv.{kind}"] = torch.cat([state[f"{source}self_attn.{p}_proj.{kind}"] for p in "qkv"])
        for a, b in ORIGINAL_PARTS.items():
            if source + a in state:
                out[target + b] = state[source + a]
        for a, b in (("gate_up_proj", "mlp1_weight"), ("down_proj", "mlp2_weight")):
            if f"{source}mlp.experts.{a}" in state:  # transformers has (in, out) here
                out[f"{target}mlp.{b}"] = state[f"{source}mlp.experts.{a}"].transpose(1, 2)
    out = {k: v.contiguous() for k, v in out.items()}
    rope = config.rope_parameters
    spelled = {"num_hidden_layers": config.num_hidden_layers, "num_experts": config.num_local_experts,
               "experts_per_token": config.num_experts_per_tok, "vocab_size": config.vocab_size,
               "hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size, "swiglu_limit": 7.0,
               "head_dim": config.head_dim, "num_attention_heads": config.num_attention_heads,
               "num_key_value_heads": config.num_key_value_heads, "sliding_window": config.sliding_window,
               "initial_context_length": rope["original_max_position_embeddings"], "rope_theta": rope["rope_theta"],
               "rope_scaling_factor": rope["factor"], "rope_ntk_alpha": 1, "rope_ntk_beta": rope["beta_fast"]}
    folder = DATA / name / "original"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(spelled, indent=1) + "\n")
    if shards == 1:
        save_file(out, folder / "model.safetensors")
        return
    names = {t: f"model-{i % shards:05}-of-{shards:05}.safetensors" for i, t in enumerate(out)}
    for file in set(names.values()):
        save_file({t: v for t, v in out.items() if names[t] == file}, folder / file)
    index = {"metadata": {"total_size": sum(v.nbytes for v in out.values())}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=0) + "\n")


def ggml_mxfp4(codes, exponents):
    """17-byte records: scale, then code j low and code j + 16 high."""
    nibbles = codes[..., :16] | codes[..., 16:] << 4
    records = torch.cat([exponents.unsqueeze(-1), nibbles], -1)
    return records.reshape(*records.shape[:-2], -1).numpy()


def write_gpt_oss_gguf(config, state, packed):
    writer = gguf.GGUFWriter(DATA / "gpt_oss_mxfp4" / "model.gguf", "gpt-oss")
    writer.add_name("golden gpt-oss")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_expert_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_sliding_window(config.sliding_window)
    writer.add_expert_count(config.num_local_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope["factor"])
    writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    plain = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "post_attention_layernorm": "post_attention_norm", "mlp.router": "ffn_gate_inp"}
    for layer in range(config.num_hidden_layers):
        source, target = f"model.layers.{layer}.", f"blk.{layer}."
        plain |= {source + a: target + b for a, b in parts.items()}
        writer.add_tensor(target + "attn_sinks.weight", state[source + "self_attn.sinks"].numpy())
        experts = source + "mlp.experts."
        bias = state[experts + "gate_up_proj_bias"]
        codes, exponents = packed[layer, "gate_up_proj"]
        down = packed[layer, "down_proj"]
        for name, code, exponent, offset in (
                ("gate", codes[:, 0::2], exponents[:, 0::2], bias[:, 0::2]),
                ("up", codes[:, 1::2], exponents[:, 1::2], bias[:, 1::2]),
                ("down", *down, state[experts + "down_proj_bias"])):
            writer.add_tensor(f"{target}ffn_{name}_exps.weight", ggml_mxfp4(code, exponent),
                              raw_dtype=gguf.GGMLQuantizationType.MXFP4)
            writer.add_tensor(f"{target}ffn_{name}_exps.bias", offset.contiguous().numpy())
    for source, target in plain.items():
        for kind in (".weight", ".bias"):
            if source + kind not in state:
                continue
            tensor = state[source + kind]
            if tensor.dtype == torch.bfloat16:
                writer.add_tensor(target + kind, tensor.view(torch.uint8).numpy(),
                                  raw_dtype=gguf.GGMLQuantizationType.BF16)
            else:
                writer.add_tensor(target + kind, tensor.numpy())
    finish(writer)


def llama(name, seed, length=24, **overrides):
    config = LlamaConfig(attn_implementation="eager", max_position_embeddings=256, vocab_size=80,
                         num_hidden_layers=2, **overrides)
    model = LlamaForCausalLM(config).float().eval()
    randomise(model, seed, 1.5)
    state = dict(model.state_dict())
    if config.tie_word_embeddings:
        del state["lm_head.weight"]
    write(name, model, prompt(seed, length, 80), state, config.to_dict())
    return config, state


def llama_tied():
    config, state = llama("llama_tied", 4, hidden_size=48, intermediate_size=72, num_attention_heads=6,
                          num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-5)
    write_llama_gguf("llama_tied", config, state)


def write_llama_gguf(name, config, state, divisors=None):
    writer = gguf.GGUFWriter(DATA / name / "model.gguf", "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    if config.rope_parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])
    if divisors is not None:
        writer.add_tensor("rope_freqs.weight", divisors)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    if not config.tie_word_embeddings:
        names["lm_head"] = "output"
    parts = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    for layer in range(config.num_hidden_layers):
        names |= {f"model.layers.{layer}.{a}": f"blk.{layer}.{b}" for a, b in parts.items()}
    for source, target in names.items():
        weight = state[source + ".weight"]
        if target.endswith("attn_q"):
            weight = permuted(weight, config.num_attention_heads)
        elif target.endswith("attn_k"):
            weight = permuted(weight, config.num_key_value_heads)
        writer.add_tensor(target + ".weight", weight.numpy())
    finish(writer)


def llama_untied():
    llama("llama_untied", 5, hidden_size=40, intermediate_size=56, num_attention_heads=4, num_key_value_heads=4,
          head_dim=12, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-6)


def llama_linear():
    """Linear RoPE scaling, one key head for four queries, own head."""
    config, state = llama("llama_linear", 7, length=40, hidden_size=64, intermediate_size=48, num_attention_heads=4,
                          num_key_value_heads=1, tie_word_embeddings=False,
                          rope_parameters={"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0})
    write_llama_gguf("llama_linear", config, state)


def llama_llama3():
    """Llama 3.1's scaling: of eight frequencies some are kept, some divided, some between; the prompt goes past the
    original context. GGUF holds what each is divided by, as llama.cpp's converter computes it."""
    rope = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
    config, state = llama("llama_llama3", 8, length=48, hidden_size=64, intermediate_size=48, num_attention_heads=4,
                          num_key_value_heads=2, tie_word_embeddings=True, rope_parameters=rope)
    frequencies = 100.0 ** (-np.arange(0, 16, 2) / 16)
    wavelengths = 2 * np.pi / frequencies
    smooth = (32 / wavelengths - 1.0) / (4.0 - 1.0)
    divisors = np.where(wavelengths < 32 / 4.0, 1.0,
                        np.where(wavelengths > 32 / 1.0, 8.0, 1 / ((1 - smooth) / 8.0 + smooth)))
    assert (divisors == 1.0).any() and (divisors == 8.0).any() and len(set(divisors)) > 3
    write_llama_gguf("llama_llama3", config, state, divisors.astype(np.float32))


if __name__ == "__main__":
    if transformers.__version__ != TRANSFORMERS:
        raise SystemExit(f"needs transformers {TRANSFORMERS}, found {transformers.__version__}")
    models = [gpt_oss_window, gpt_oss_heads, gpt_oss_mxfp4, gpt_oss_openai, llama_tied, llama_untied,
              llama_linear, llama_llama3]
    makers = {m.__name__: m for m in models} | golden_architectures.MAKERS
    for name in sys.argv[1:] or makers:
        makers[name]()
