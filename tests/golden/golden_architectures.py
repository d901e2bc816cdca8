# SPDX-License-Identifier: Apache-2.0
"""Golden models of Mistral, Mixtral, Qwen2, Qwen3, Qwen3-MoE, OLMoE, OLMo 2, OLMo 3, GPT-2 and Gemma 3, alone and beside
an image encoder. transformers itself writes config.json and model.safetensors, so that names and layouts are those of
published folders. Weights are rounded to bfloat16 before the logits are computed, unless a model says float32.
"""
import json
import re

import gguf
import torch
import transformers as tf
from gguf.quants import quantize
from safetensors.torch import load_file

from golden_common import DATA, finish, permuted, prompt, write_logits, yarn

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
    randomise(model, seed, config.model_type.startswith("gemma3"))
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
    write_logits(name, model, prompt(seed, length, config.get_text_config().vocab_size))
    if gguf_file:
        write_gguf(folder, config, float32)


# GGUF

GGUF_NAMES = {"mistral": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe",
              "olmoe": "olmoe", "olmo2": "olmo2", "olmo3": "olmo2", "gpt2": "gpt2", "gemma3_text": "gemma3"}
PRE_NORM = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
POST_NORM = {"post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm"}
SANDWICH = {"input_layernorm": "attn_norm", "pre_feedforward_layernorm": "ffn_norm"} | POST_NORM
NORMS = {"olmo2": POST_NORM, "olmo3": POST_NORM, "gemma3_text": SANDWICH}
PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
         "block_sparse_moe.gate": "ffn_gate_inp",
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
    """(name, float32 tensor) in GGUF's names and layouts: experts stacked, Conv1D transposed, Gemma's one added,
    rows of q and k permuted in what GGUF calls llama."""
    state = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    stacks = {}
    for name, tensor in state.items():
        expert = re.fullmatch(r"model\.layers\.(\d+)\.\w+\.experts\.(\d+)\.(?:(\w+)_proj|(w\d))\.weight", name)
        if expert:
            layer, number, part, mixtral = expert.groups()
            part = part or {"w1": "gate", "w2": "down", "w3": "up"}[mixtral]
            stacks.setdefault(f"blk.{layer}.ffn_{part}_exps.weight", {})[int(number)] = tensor
            continue
        if re.search(r"(c_attn|c_proj|c_fc)\.weight", name):
            tensor = tensor.T.contiguous()
        if config.model_type == "gemma3_text" and name.endswith("norm.weight"):
            tensor = tensor + 1
        if GGUF_NAMES[config.model_type] == "llama" and re.search(r"[qk]_proj", name):
            tensor = permuted(tensor, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
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
    if config.model_type in ("qwen3_moe", "olmoe", "mixtral"):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if config.model_type in ("qwen3_moe", "olmoe"):
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


# Mistral, Mixtral and Qwen2

def small(config_class, model_class, **overrides):
    values = dict(vocab_size=16, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
                  num_key_value_heads=1, max_position_embeddings=64)
    return config_class(**(values | overrides)), model_class


def mistral(**overrides):
    return small(tf.MistralConfig, tf.MistralForCausalLM, **overrides)


@golden(81, length=12)
def mistral_window():
    """Window 5; heads wider than hidden / heads."""
    return mistral(sliding_window=5, hidden_size=12, num_attention_heads=4, num_key_value_heads=2, head_dim=4,
                   num_hidden_layers=1)


@golden(82, length=12, gguf_file=True)
def mistral_null():
    """No window, tied, theta of the later models."""
    return mistral(sliding_window=None, tie_word_embeddings=True,
                   rope_parameters={"rope_type": "default", "rope_theta": 1e6})


def older_rope(config):
    """Theta beside the other keys, as before transformers 5."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    del rope["rope_type"]
    if rope:
        config["rope_scaling"] = rope | {"type": "yarn"}


def silent_mistral(config):
    older_rope(config)
    for key in ("sliding_window", "head_dim"):
        del config[key]


@golden(83, length=12, respell=silent_mistral)
def mistral_silent():
    """A config.json without a window (4096 then) and without the width of a head; as many keys as queries."""
    return mistral(hidden_size=12, num_key_value_heads=2, num_hidden_layers=1,
                   rope_parameters={"rope_type": "default", "rope_theta": 50.0})


def mixtral(**overrides):
    return small(tf.MixtralConfig, tf.MixtralForCausalLM, **overrides)


@golden(84, length=12, gguf_file=True)
def mixtral_pair():
    """Top 2 of 3 experts."""
    return mixtral(num_local_experts=3)


def theta_left_out(config):
    del config["rope_parameters"]


@golden(85, length=12, respell=theta_left_out)
def mixtral_many():
    """Top 3 of 11 experts, so that names sort unlike numbers; tied; no theta in config.json, which means 1e6."""
    return mixtral(num_local_experts=11, num_experts_per_tok=3, num_hidden_layers=1, num_key_value_heads=2,
                   intermediate_size=4, tie_word_embeddings=True)


@golden(86, length=12, respell=older_rope)
def mixtral_window():
    """One expert a token, window 6, one key head for three queries, heads wider than hidden / heads."""
    return mixtral(num_local_experts=3, num_experts_per_tok=1, sliding_window=6, hidden_size=12,
                   num_attention_heads=3, num_key_value_heads=1, head_dim=6, num_hidden_layers=1,
                   rope_parameters={"rope_type": "default", "rope_theta": 100.0})


def qwen2(**overrides):
    return small(tf.Qwen2Config, tf.Qwen2ForCausalLM, **overrides)


@golden(91, length=12, gguf_file=True)
def qwen2_tied():
    """Tied, two queries on one key, theta of the published models."""
    return qwen2(tie_word_embeddings=True,
                 rope_parameters={"rope_type": "default", "rope_theta": 1e6})


@golden(92, length=12)
def qwen2_window():
    """The second of two layers slides over 4 keys; four queries on two keys."""
    return qwen2(use_sliding_window=True, sliding_window=4, max_window_layers=1, num_attention_heads=4,
                 num_key_value_heads=2)


@golden(93, length=30, respell=older_rope)
def qwen2_yarn():
    """YaRN as Qwen2.5's model cards have users add it, past the original context; as many keys as queries."""
    return qwen2(hidden_size=12, num_key_value_heads=2, num_hidden_layers=1, intermediate_size=10,
                 rope_parameters={k: v for k, v in truncated(100.0, 4.0, 12).items() if "beta" not in k})


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


def with_images(**text):
    values = dict(vocab_size=16, hidden_size=12, intermediate_size=10, num_attention_heads=2, num_key_value_heads=1,
                  head_dim=4, max_position_embeddings=64, query_pre_attn_scalar=4)
    vision = dict(model_type="siglip_vision_model", hidden_size=4, intermediate_size=4, num_hidden_layers=0,
                  num_attention_heads=1, image_size=4, patch_size=2, vision_use_head=False)
    config = tf.Gemma3Config(text_config=values | text, vision_config=vision, mm_tokens_per_image=4,
                             image_token_index=50)
    return config, tf.Gemma3ForConditionalGeneration


def like_published(config):
    """google/gemma-3-4b-it: what equals the defaults of the text model is left out, scaling is spelled as of old."""
    text = config["text_config"]
    config["text_config"] = {k: text[k] for k in (
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "query_pre_attn_scalar", "sliding_window", "vocab_size", "model_type")}
    config["text_config"]["rope_scaling"] = {"factor": 8.0, "rope_type": "linear"}
    config["text_config"]["sliding_window_pattern"] = 2
    config.pop("tie_word_embeddings")


@golden(74, length=12, respell=like_published)
def gemma3_images():
    """Beside an image encoder, tensors under language_model.model; linear scaling by 8 in the second of two layers."""
    full = {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}
    return with_images(num_hidden_layers=2, sliding_window=7, layer_types=[SLIDING, FULL],
                         max_position_embeddings=131072,
                         rope_parameters={FULL: full, SLIDING: {"rope_type": "default", "rope_theta": 10000.0}})
