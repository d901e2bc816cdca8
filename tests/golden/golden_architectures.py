# SPDX-License-Identifier: Apache-2.0
"""Golden models of Qwen3, Qwen3-MoE, OLMoE, OLMo 2, OLMo 3, GPT-2 and Gemma 3. transformers itself
writes config.json and model.safetensors, so that names and layouts are those of published folders.
Weights are rounded to bfloat16 before the logits are computed, unless a model says float32.
"""
import json
import re

import gguf
import torch
import transformers as tf
from gguf.quants import quantize
from safetensors.torch import load_file

from golden_common import DATA, finish, prompt, write_logits, yarn

MAKERS = {}
FULL, SLIDING = "full_attention", "sliding_attention"


def golden(seed, length=24, gguf_file=False, float32=False, respell=None):
    """The decorated function returns config and model class; its docstring says what is special."""
    def decorate(function):
        def make():
            config, model_class = function()
            config._attn_implementation = "eager"
            make_folder(function.__name__, config, model_class, seed, length, gguf_file, float32, respell)
        MAKERS[function.__name__] = make
        return make
    return decorate


def randomise(model, seed, plus_one):
    """Like golden_common's, for more names: Gemma's norms add one to what is stored."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if name.endswith("bias"):
            p.data = 0.3 * noise
        elif "norm" in name or re.search(r"\bln_", name):
            p.data = 0.3 * noise + (0 if plus_one else 1)
        elif re.search(r"embed_tokens|wte|wpe", name):
            p.data = noise
        else:
            conv1d = re.search(r"c_attn|c_proj|c_fc", name)  # stored (in, out)
            p.data = 1.5 * noise / p.shape[0 if conv1d else -1] ** 0.5


def make_folder(name, config, model_class, seed, length, gguf_file, float32, respell):
    model = model_class(config).float().eval()
    randomise(model, seed, config.model_type == "gemma3_text")
    if not float32:
        model = model.bfloat16()
    folder = DATA / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    spelled = json.loads((folder / "config.json").read_text())
    if respell is not None:
        respell(spelled)
    (folder / "config.json").write_text(json.dumps(spelled, indent=1, sort_keys=True) + "\n")
    # Loaded back with the spelling on disk: both must describe the same model.
    model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    write_logits(name, model, prompt(seed, length, config.vocab_size))
    if gguf_file:
        write_gguf(folder, config, float32)


# GGUF

GGUF_NAMES = {"qwen3": "qwen3", "qwen3_moe": "qwen3moe", "olmoe": "olmoe", "olmo2": "olmo2", "olmo3": "olmo2",
              "gpt2": "gpt2", "gemma3_text": "gemma3"}
PRE_NORM = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
POST_NORM = {"post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm"}
SANDWICH = {"input_layernorm": "attn_norm", "pre_feedforward_layernorm": "ffn_norm"} | POST_NORM
NORMS = {"olmo2": POST_NORM, "olmo3": POST_NORM, "gemma3_text": SANDWICH}
PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
         "ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
         "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
ENDS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
        "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm"}


def gguf_name(name, model_type):
    stem, kind = name.rsplit(".", 1)
    if stem in ENDS:
        return f"{ENDS[stem]}.{kind}"
    layer, part = re.fullmatch(r"(?:model\.layers|transformer\.h)\.(\d+)\.(.*)", stem).groups()
    return f"blk.{layer}.{(PARTS | NORMS.get(model_type, PRE_NORM))[part]}.{kind}"


def gguf_tensors(folder, config):
    """(name, float32 tensor) in GGUF's names and layouts: experts stacked, Conv1D transposed, Gemma's one added."""
    state = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    stacks = {}
    for name, tensor in state.items():
        expert = re.fullmatch(r"model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)_proj\.weight", name)
        if expert:
            layer, number, part = expert.groups()
            stacks.setdefault(f"blk.{layer}.ffn_{part}_exps.weight", {})[int(number)] = tensor
            continue
        if re.search(r"(c_attn|c_proj|c_fc)\.weight", name):
            tensor = tensor.T.contiguous()
        if config.model_type == "gemma3_text" and name.endswith("norm.weight"):
            tensor = tensor + 1
        yield gguf_name(name, config.model_type), tensor
    for name, experts in stacks.items():
        yield name, torch.stack([experts[i] for i in range(len(experts))])


def add_rope(writer, config):
    rope = config.rope_parameters
    if FULL in rope:
        if config.model_type == "gemma3_text" and rope[SLIDING]["rope_theta"] != 10000.0:
            writer.add_rope_freq_base_swa(rope[SLIDING]["rope_theta"])
        rope = rope[FULL]
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "default":
        return
    writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
    writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if "attention_factor" in rope:
            writer.add_rope_scaling_attn_factors(rope["attention_factor"])


def write_gguf(folder, config, float32):
    arch = GGUF_NAMES[config.model_type]
    writer = gguf.GGUFWriter(folder / "model.gguf", arch)
    writer.add_name(folder.name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_head_count_kv(config.num_key_value_heads)
        add_rope(writer, config)
    if getattr(config, "head_dim", None):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if config.model_type in ("qwen3_moe", "olmoe"):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_weights_norm(config.norm_topk_prob)
    if config.model_type == "qwen3_moe":
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if config.model_type == "gemma3_text" and config.query_pre_attn_scalar != config.head_dim:
        writer.add_attention_scale(config.query_pre_attn_scalar**-0.5)
    if config.model_type in ("gemma3_text", "olmo3"):
        writer.add_sliding_window(config.sliding_window)
    # llama.cpp's files leave Gemma's pattern to the reader.
    if config.model_type == "olmo3" or config.model_type == "gemma3_text" and config.num_hidden_layers != 6:
        writer.add_sliding_window_pattern([kind == SLIDING for kind in config.layer_types])
    for name, tensor in gguf_tensors(folder, config):
        values = tensor.numpy()
        if values.ndim == 1 or float32:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    finish(writer)


# Qwen3

def truncated(theta, factor, original):
    """YaRN as files have it that do not say whether its bounds are rounded: they are."""
    return {k: v for k, v in yarn(theta, factor, original).items() if k != "truncate"}


@golden(11, gguf_file=True, float32=True)
def qwen3_tied():
    """Grouped queries, heads wider than hidden / heads, tied."""
    return tf.Qwen3Config(vocab_size=80, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                          num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
                          tie_word_embeddings=True), tf.Qwen3ForCausalLM


@golden(12, length=48, gguf_file=True)
def qwen3_yarn():
    """YaRN three times past the original context, own head, biases on attention, as many keys as queries."""
    return tf.Qwen3Config(vocab_size=88, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
                          num_attention_heads=4, num_key_value_heads=4, head_dim=16, max_position_embeddings=64,
                          attention_bias=True, rope_parameters=truncated(100.0, 4.0, 16)), tf.Qwen3ForCausalLM


@golden(13, length=30)
def qwen3_window():
    """The second of three layers on slides over 6 keys; eight queries on one key; theta of the long models."""
    return tf.Qwen3Config(vocab_size=72, hidden_size=48, intermediate_size=36, num_hidden_layers=3,
                          num_attention_heads=8, num_key_value_heads=1, head_dim=12, max_position_embeddings=128,
                          use_sliding_window=True, sliding_window=6, max_window_layers=1,
                          rope_parameters={"rope_type": "default", "rope_theta": 1e6}), tf.Qwen3ForCausalLM


def qwen3_moe(**overrides):
    values = dict(vocab_size=80, hidden_size=32, intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=3,
                  num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
                  num_experts=12, num_experts_per_tok=3, norm_topk_prob=True)
    return tf.Qwen3MoeConfig(**(values | overrides)), tf.Qwen3MoeForCausalLM


@golden(21, gguf_file=True)
def qwen3_moe_renormalised():
    """Top 3 of 12 experts, divided by their sum; more than ten, so that names sort unlike numbers."""
    return qwen3_moe()


@golden(22)
def qwen3_moe_plain():
    """Probabilities as they are; the middle layer is dense; tied; biases on attention."""
    return qwen3_moe(num_experts=5, num_experts_per_tok=2, norm_topk_prob=False, mlp_only_layers=[1],
                     tie_word_embeddings=True, attention_bias=True)


@golden(23, length=40, float32=True)
def qwen3_moe_sparse():
    """Every second layer dense, one expert a token, YaRN past the original context."""
    return qwen3_moe(num_hidden_layers=4, decoder_sparse_step=2, num_experts=4, num_experts_per_tok=1,
                     rope_parameters=truncated(5000.0, 8.0, 8))


# OLMo

def olmoe(**overrides):
    values = dict(vocab_size=80, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=4, max_position_embeddings=64, num_experts=12, num_experts_per_tok=4)
    return tf.OlmoeConfig(**(values | overrides)), tf.OlmoeForCausalLM


@golden(31, gguf_file=True)
def olmoe_plain():
    """Top 4 of 12 experts with the probabilities as they are, as many keys as queries, own head."""
    return olmoe()


@golden(32)
def olmoe_renormalised():
    """Probabilities divided by their sum, grouped queries, tied, biases on attention."""
    return olmoe(num_experts=6, num_experts_per_tok=2, norm_topk_prob=True, num_key_value_heads=2,
                 tie_word_embeddings=True, attention_bias=True)


@golden(33, length=40, float32=True)
def olmoe_yarn():
    """YaRN past the original context; every expert chosen."""
    return olmoe(num_experts=3, num_experts_per_tok=3, rope_parameters=truncated(100.0, 4.0, 12))


def olmo(config_class, model_class, **overrides):
    values = dict(vocab_size=80, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
                  num_key_value_heads=4, max_position_embeddings=64)
    return config_class(**(values | overrides)), model_class


@golden(41, gguf_file=True, float32=True)
def olmo2_heads():
    """As many keys as queries, own head."""
    return olmo(tf.Olmo2Config, tf.Olmo2ForCausalLM)


@golden(42, gguf_file=True)
def olmo2_grouped():
    """Grouped queries (norms of q and k differ in width), as in the 32B model; another theta."""
    return olmo(tf.Olmo2Config, tf.Olmo2ForCausalLM, num_key_value_heads=1, rms_norm_eps=1e-6,
                rope_parameters={"rope_type": "default", "rope_theta": 500000.0})


@golden(43, length=40)
def olmo2_yarn():
    """YaRN in every layer, tied, biases on attention."""
    return olmo(tf.Olmo2Config, tf.Olmo2ForCausalLM, tie_word_embeddings=True, attention_bias=True,
                rope_parameters=truncated(100.0, 8.0, 8))


def olmo3_rope(full):
    return {SLIDING: {"rope_type": "default", "rope_theta": full["rope_theta"]}, FULL: full}


@golden(51, length=48, gguf_file=True)
def olmo3_pattern():
    """Window 8 in three of four layers, YaRN three times past the original context in the fourth."""
    full = truncated(100.0, 8.0, 16) | {"attention_factor": 1.2079441541679836}
    return olmo(tf.Olmo3Config, tf.Olmo3ForCausalLM, num_hidden_layers=4, sliding_window=8,
                rope_parameters=olmo3_rope(full))


@golden(52, length=30, gguf_file=True, float32=True)
def olmo3_types():
    """Layer types of its own, grouped queries, an attention factor that no formula gives."""
    full = truncated(50.0, 4.0, 8) | {"attention_factor": 1.5}
    return olmo(tf.Olmo3Config, tf.Olmo3ForCausalLM, layer_types=[FULL, SLIDING, FULL], num_key_value_heads=2,
                sliding_window=5, rope_parameters=olmo3_rope(full))


def older_olmo3(config):
    """The spelling before transformers 5: theta and scaling side by side, layer types left out."""
    scaling = config.pop("rope_parameters")[FULL]
    config["rope_theta"] = scaling.pop("rope_theta")
    config["rope_scaling"] = scaling
    del config["layer_types"]


@golden(53, length=40, respell=older_olmo3)
def olmo3_older():
    """Tied, biases on attention, five layers of which the fourth is full."""
    return olmo(tf.Olmo3Config, tf.Olmo3ForCausalLM, num_hidden_layers=5, sliding_window=7, attention_bias=True,
                tie_word_embeddings=True, rope_parameters=olmo3_rope(truncated(500000.0, 8.0, 24)))


# GPT-2

def gpt2(**overrides):
    values = dict(vocab_size=80, n_positions=64, n_embd=32, n_layer=2, n_head=4)
    return tf.GPT2Config(**(values | overrides)), tf.GPT2LMHeadModel


@golden(61, gguf_file=True, float32=True)
def gpt2_tied():
    return gpt2()


@golden(62, gguf_file=True)
def gpt2_untied():
    """Own head, an MLP narrower than four times the width."""
    return gpt2(tie_word_embeddings=False, n_inner=40, n_layer=3, n_head=2)


@golden(63, length=40)
def gpt2_full():
    """The prompt fills all positions; six heads; another epsilon and name of the activation."""
    return gpt2(n_positions=40, n_embd=48, n_head=6, layer_norm_epsilon=1e-2, activation_function="gelu_pytorch_tanh")


# Gemma 3

def gemma3(**overrides):
    values = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=6, num_attention_heads=4,
                  num_key_value_heads=1, head_dim=16, max_position_embeddings=64, sliding_window=8,
                  query_pre_attn_scalar=16)
    return tf.Gemma3TextConfig(**(values | overrides)), tf.Gemma3ForCausalLM


@golden(71, length=40, gguf_file=True)
def gemma3_pattern():
    """Window 8 and its own theta in five of six layers; four queries on one key, as in the 270M model."""
    return gemma3()


@golden(72, length=30, gguf_file=True, float32=True)
def gemma3_scaled():
    """Linear RoPE scaling in the full layers, queries not scaled by the head's width, own head."""
    full = {"rope_type": "linear", "rope_theta": 1000.0, "factor": 8.0}
    return gemma3(num_hidden_layers=3, layer_types=[SLIDING, FULL, SLIDING], query_pre_attn_scalar=24,
                  num_key_value_heads=2, tie_word_embeddings=False,
                  rope_parameters={FULL: full, SLIDING: {"rope_type": "default", "rope_theta": 50.0}})


def older_gemma3(config):
    """The spelling before transformers 5; untold are the layer types and that the head is tied."""
    ropes = config.pop("rope_parameters")
    config["rope_theta"] = ropes[FULL]["rope_theta"]
    config["rope_local_base_freq"] = ropes[SLIDING]["rope_theta"]
    config["sliding_window_pattern"] = 2
    for key in ("layer_types", "tie_word_embeddings", "_sliding_window_pattern"):
        config.pop(key, None)


@golden(73, length=30, respell=older_gemma3)
def gemma3_older():
    """Every second layer full, as many keys as queries, biases on attention."""
    return gemma3(num_hidden_layers=4, layer_types=[SLIDING, FULL, SLIDING, FULL], num_key_value_heads=4,
                  sliding_window=4, attention_bias=True,
                  rope_parameters={FULL: {"rope_type": "default", "rope_theta": 2000.0},
                                   SLIDING: {"rope_type": "default", "rope_theta": 100.0}})
