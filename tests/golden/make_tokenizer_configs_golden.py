#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/data/tokenizers/configs.json: what Hugging Face's `tokenizers` and llama.cpp make of
adversarial texts under every pre-tokenizer, normaliser and added token that the engine accepts.

    python tests/golden/make_tokenizer_configs_golden.py [--gemma3 models/gemma-3-270m.Q4_K_M.gguf]

Two small vocabularies are trained without any pre-tokenizer, so that tokens reach across every border a
pre-tokenizer may draw ("'s t", "12 3", "\\n\\n x"): a wrong border then shows in the ids. A configuration is
a JSON merge patch of one of them. For llama.cpp the byte-level vocabulary is written as GGUF under each
value of tokenizer.ggml.pre. With --gemma3 also gemma3.vectors.jsonl: what llama.cpp makes of the same texts
with the vocabulary of that file. Needs the PyPI packages tokenizers, gguf and llama-cpp-python; nothing is
downloaded.
"""
import argparse
import itertools
import json
import pathlib
import random
import tempfile
import unicodedata

import gguf
import llama_cpp
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from make_tokenizer_golden import O200K, OUT, QWEN2, TEXTS, split

CL100K = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
QWEN35 = QWEN2.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
TEKKEN = O200K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")

PARTS = ["a", "the", "Bc", "XML", "Z", "'s", "'LL", "'", "'ſ", "'re", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000",
         "1", "23", "4567", "½", "Ⅷ", "٣", "日", "本語", "é", "e\u0301", "\u0301", "\u0b95\u0bbf", "/", "//", ".", "...", "!?", "_",
         "(", "🙂", "👩‍👧", "\u200b", "\u200d", "ǅ", "ʰ", "ẞ", "К", "ж", "\u1112\u1161", "\ufeff", "𝔘", "\x00"]
WORDS = " Don't we'll it's 12 345 6789 foo_bar XMLHttp don't\n\n x = 3.14;\n// the end.\r\n"
UNMERGED = ["QzQ", "zzQ", "ĠqZq", "qxqx"]
ADDED = ["<mask>", "<mask", "<r>", "<both>", "<raw>", "<one>", "word", "  ", "caf\u00e9", "<n>", "éx"]


def texts(parts, count, seed):
    choose = random.Random(seed)
    out = []
    while len(out) < count:
        text = "".join(choose.choice(parts) for _ in range(choose.randint(1, 12)))
        if text not in out:
            out.append(text)
    return out


TRAINING = texts(PARTS, 176, 1) + TEXTS[3:23]
PLAIN = TRAINING + ["QzQ", "a zzQ\nzzQ", "9 qZq!", "qxqx\tqxqx"]
MIXED_PARTS = ADDED * 2 + ["a", "_", " ", "\n ", "e\u0301", "é", "x", "1", "½", "Ⓐ", "\u200d", ".", "\u0301", "\u3000", "日", "word",
                           "swords", "cafe\u0301", "<", "mask>"]
MIXED = texts(MIXED_PARTS, 120, 2)


def added(first):
    rules = {"<mask>": ("lstrip", "special"), "<mask": (), "<r>": ("rstrip", "special"), "<both>": ("lstrip", "rstrip", "special"),
             "<raw>": ("special",), "<one>": ("single_word", "special"), "word": ("single_word", "normalized"), "  ": (),
             "caf\u00e9": ("normalized", "rstrip"), "<n>": ("normalized", "special", "lstrip"), "éx": ("single_word", "lstrip", "normalized")}
    return [{"id": first + i, "content": token} | {f: f in rules[token] for f in ("single_word", "lstrip", "rstrip", "normalized", "special")}
            for i, token in enumerate(ADDED)]


def document(tokenizer):
    return json.loads(tokenizer.to_str())


def train():
    corpus = TRAINING + [WORDS * 3, "\r\n /", "  \n", "e\u0301 1 '"] * 3
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    byte_level.decoder = decoders.ByteLevel()
    options = {"min_frequency": 2, "show_progress": False}
    byte_level.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options))
    byte_level = document(byte_level)
    for word in UNMERGED:  # tokens that only a vocabulary with ignore_merges produces
        byte_level["model"]["vocab"].setdefault(word, len(byte_level["model"]["vocab"]))
    pieces = Tokenizer(models.BPE())
    pieces.normalizer = normalizers.Replace(" ", "\u2581")
    pieces.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=400, limit_alphabet=80, **options))
    pieces = document(pieces)
    names = ["<unk>"] + [f"<0x{b:02X}>" for b in range(256)]
    vocab = {name: i for i, name in enumerate(names)}
    for letters in sorted(pieces["model"]["vocab"], key=pieces["model"]["vocab"].get):
        vocab.setdefault(letters, len(vocab))
    pieces["model"] |= {"vocab": vocab, "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    bases = {"bytes": byte_level, "pieces": pieces}
    for base in bases.values():
        del base["normalizer"], base["pre_tokenizer"]  # each configuration brings its own
    return bases


def component(part):
    """The JSON of one pre-tokenizer or normaliser, or of a list of them."""
    parts = part if isinstance(part, list) else [part]
    listed = [json.loads(p.__getstate__()) for p in parts]
    if len(listed) == 1:
        return listed[0]
    key = "normalizers" if isinstance(parts[0], normalizers.Normalizer) else "pretokenizers"
    return {"type": "Sequence", key: listed}


def configurations(bases):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    removed = [pre_tokenizers.Split(Regex(CL100K), "removed", invert=True),
               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    nfc = component(normalizers.NFC())
    prepend = component([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])

    def metaspace(scheme):
        return {"pre_tokenizer": component(pre_tokenizers.Metaspace("\u2581", scheme, split=False))}

    def bytes_as(part, **more):
        return {"pre_tokenizer": component(part)} | more

    plain = {
        "gpt2": ("bytes", bytes_as(byte_level)),
        "olmo": ("bytes", bytes_as(byte_level, normalizer=nfc)),
        "llama-bpe": ("bytes", bytes_as(split(CL100K), model={"ignore_merges": True})),
        "dbrx": ("bytes", bytes_as(removed)),
        "qwen2": ("bytes", bytes_as(split(QWEN2), normalizer=nfc)),
        "qwen35": ("bytes", bytes_as(split(QWEN35), normalizer=nfc)),
        "gpt-4o": ("bytes", bytes_as(split(O200K), model={"ignore_merges": True})),
        "tekken": ("bytes", bytes_as(split(TEKKEN), model={"ignore_merges": True})),
        "smollm": ("bytes", bytes_as([pre_tokenizers.Digits(individual_digits=True), byte_level])),
        "gemma": ("pieces", bytes_as(pre_tokenizers.Split(" ", "merged_with_previous"),
                                     normalizer=component(normalizers.Replace(" ", "\u2581")))),
        "llama2": ("pieces", {"normalizer": prepend}),
        "metaspace first": ("pieces", metaspace("first")),
        "metaspace always": ("pieces", metaspace("always")),
        "metaspace never": ("pieces", metaspace("never")),
    }
    result = [(name, base, patch, "plain") for name, (base, patch) in plain.items()]
    for name in ("gpt2", "olmo", "gemma", "llama2", "metaspace first", "metaspace always"):
        base, patch = plain[name]
        first = len(bases[base]["model"]["vocab"])
        result.append((name + " with added tokens", base, patch | {"added_tokens": added(first)}, "mixed"))
    return result


def merge(target, patch):
    """RFC 7386, where nothing is removed."""
    return target | {k: merge(target.get(k, {}), v) if isinstance(v, dict) else v for k, v in patch.items()}


def load(base, patch):
    return Tokenizer.from_str(json.dumps({"normalizer": None, "pre_tokenizer": None} | merge(base, patch)))


def hugging_face(bases):
    out, ids = [], {}
    for name, base, patch, kind in configurations(bases):
        tokenizer = load(bases[base], patch)
        entry = {"name": name, "base": base, "patch": patch, "texts": kind}
        samples = PLAIN if kind == "plain" else MIXED
        entry["ids"] = [tokenizer.encode(t, add_special_tokens=False).ids for t in samples]
        ids[name] = entry["ids"]
        if name == "gpt-4o":  # llama.cpp has no ignore_merges there, which o200k itself does not show
            ids["gpt-4o merged"] = [load(bases[base], merge(patch, {"model": {"ignore_merges": False}})).encode(
                t, add_special_tokens=False).ids for t in samples]
        if kind == "mixed":
            tokenizer.encode_special_tokens = True  # special tokens are text
            entry["as_text"] = [tokenizer.encode(t, add_special_tokens=False).ids for t in samples]
        out.append(entry)
    return out, ids


def vocabulary_gguf(path, base, pre):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    vocab = base["model"]["vocab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(sorted(vocab, key=vocab.get))
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocab))
    writer.add_token_merges([" ".join(m) for m in base["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


NAMES = {"gpt2": ["gpt-2", "phi-2", "mpt"], "olmo": ["olmo"], "llama-bpe": ["llama-bpe", "llama3", "llama-v3", "glm4"],
         "dbrx": ["dbrx", "smaug-bpe", "chatglm-bpe"], "qwen2": ["qwen2", "deepseek-r1-qwen"], "qwen35": ["qwen35"],
         "gpt-4o": ["gpt-4o", "llama4"], "tekken": ["tekken"], "smollm": ["smollm", "starcoder", "refact"]}
NORMALISED = {"olmo", "qwen2", "qwen35"}  # llama.cpp does not normalise: it gets the text in NFC


def llama(base, expected):
    out = []
    for group, names in NAMES.items():
        for name in names:
            with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
                vocabulary_gguf(file.name, base, name)
                model = llama_cpp.Llama(file.name, vocab_only=True, verbose=False)
                differing = []
                for i, text in enumerate(PLAIN):
                    if group in NORMALISED:
                        text = unicodedata.normalize("NFC", text)
                    if model.tokenize(text.encode(), add_bos=False, special=False) != expected.get(group + " merged", expected[group])[i]:
                        differing.append(i)
                print(f"{name}: {len(differing)} of {len(PLAIN)} differ", [PLAIN[i] for i in differing][:6])
                out.append({"pre": name, "same_as": group, "differing": differing})
    return out


def gemma3(path):
    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    heldout = pathlib.Path(__file__).resolve().parents[2] / "datasets/demo/heldout.jsonl"
    by_group = {}
    for line in heldout.read_text().splitlines():
        row = json.loads(line)
        by_group.setdefault(row["group"], row["text"][:400])
    with open(OUT / "gemma3.vectors.jsonl", "w") as out:
        for text in [*PLAIN, *MIXED, *TEXTS, *by_group.values(), " " * 40, "\n" * 40, "\t" * 9, "<0x0A><unused7><end_of_turn>"]:
            ids = model.tokenize(text.encode(), add_bos=False, special=False)
            out.write(json.dumps({"text": text, "ids": ids}, ensure_ascii=True, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gemma3", help="GGUF of Gemma 3 270M")
    arguments = parser.parse_args()
    if arguments.gemma3:
        return gemma3(arguments.gemma3)
    bases = train()
    configs, ids = hugging_face(bases)
    for name, other in itertools.combinations([*NAMES, "gpt-4o merged"], 2):
        if ids[name] == ids[other]:
            raise SystemExit(f"the texts do not tell {name} from {other}")
    result = {"bases": bases, "plain": PLAIN, "mixed": MIXED, "configs": configs, "llama.cpp": llama(bases["bytes"], ids)}
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    (OUT / "configs.json").write_text(text)
    print(f"configs.json: {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
