#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/data/tokenizers/*: tiny trained vocabularies, and ids that the PyPI package
`tokenizers` gives. With --smollm2 FILE.gguf also the ids llama.cpp gives for SmolLM2's vocabulary.

    python tests/golden/make_tokenizer_golden.py [--smollm2 models/SmolLM2-135M-Instruct.Q4_1.gguf]

The training text is built from the sentences below; nothing is downloaded.
"""
import argparse
import json
import pathlib

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).resolve().parent / "data/tokenizers"

O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")

TEXTS = [
    "", " ", "a", "Hello, world!", "The router sends each token to four experts out of thirty-two.",
    "don't DON'T we'll they've I'm he'd it's O'Reilly rock'n'roll", "  two  spaces   three    four",
    "line\nbreaks\r\nand\ttabs\n\n\n  indented\n", "1 12 123 1234 12345 3.14159 1,000,000 ½ Ⅷ ²",
    "XMLHttpRequest getHTTPResponseCode iPhone macOS CamelCase snake_case SCREAMING_CASE",
    "https://example.org/a/b?c=d&e=f#g", "for (int i = 0; i < n; ++i) { a[i] += b[i] * c; }",
    "Größe Straße ÄÖÜß Ça va? Où êtes-vous? Noël ¿Cómo estás? ¡Muy bien!",
    "e\u0301 cafe\u0301 A\u030a \u212b \u1e9b\u0323 a\u0302\u0323 \u0958", "Γειά σου Κόσμε Привет мир",
    "你好世界 こんにちは世界 안녕하세요 세계 \u1112\u1161\u11ab", "नमस्ते दुनिया مرحبا بالعالم שלום עולם สวัสดี",
    "👩‍👩‍👧‍👦 ❤️ 🇰🇷 👋🏽", "\u00a0nbsp\u2003em\u3000ideographic\u200bzero", "\x00\x01\x7f nul", "ẞ ſ ŉ ǅ ʰ 'ſ",
    "\u0301AB 日AB AB日c ÀB\u0301C", "...!!!???---===///\n//", "a" * 200, " " * 70 + "x", "\n" * 50,
    "<|end|> <think> <|im_start|>user", "٠١٢٣٤ ๑๒๓ 〇一二", "\ufeffBOM", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠮷野家",
]
SPECIAL_TEXTS = ["<|end|>", "<|start|>user<|end|>", "a<think>b</think>c", " <|start|> ", "<|start|<|end|>",
                 "<|end|><|end|>x<|startx|>"]
SPECIALS = ["<|start|>", "<|end|>"]
ADDED = ["<think>", "</think>"]


def split(pattern):
    return [pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


PRE = {
    "gpt2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "gpt-4o": split(O200K),
    "qwen2": split(QWEN2),
    "smollm": [pre_tokenizers.Digits(individual_digits=True),
               pre_tokenizers.ByteLevel(add_prefix_space=False)],
}


def make(name, parts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = parts[0] if len(parts) == 1 else pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(vocab_size=600, min_frequency=2, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.add_tokens(ADDED)
    document = json.loads(tokenizer.to_str())
    if name == "gpt2":  # files written before 2024 hold "a b" strings
        document["model"]["merges"] = [" ".join(m) for m in document["model"]["merges"]]
    if name == "gpt-4o":
        document["model"]["ignore_merges"] = True
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (OUT / f"{name}.tokenizer.json").write_text(text)
    with open(OUT / f"{name}.vectors.jsonl", "w") as out:
        check = Tokenizer.from_str(text)
        for special, texts in ((False, TEXTS), (True, SPECIAL_TEXTS)):
            for sample in texts:
                if not special and any(s in sample for s in SPECIALS):
                    continue  # this package always parses special tokens
                ids = check.encode(sample, add_special_tokens=False).ids
                out.write(json.dumps({"text": sample, "ids": ids, "special": special}) + "\n")


def smollm2(path):
    import jinja2
    import llama_cpp

    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    template = jinja2.Template(model.metadata["tokenizer.chat_template"])
    conversations = [
        [{"role": "user", "content": "What is the capital of France?"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "\nHi 123"},
         {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye\n"}],
    ]
    with open(OUT / "smollm2.vectors.jsonl", "w") as out:
        for special, texts in ((False, TEXTS), (True, ["<|im_start|>user\nHi<|im_end|>\n", "<|endoftext|>"])):
            for text in texts:
                ids = model.tokenize(text.encode(), add_bos=False, special=special)
                out.write(json.dumps({"text": text, "ids": ids, "special": special}) + "\n")
        for messages in conversations:
            text = template.render(messages=messages, add_generation_prompt=True)
            ids = model.tokenize(text.encode(), add_bos=False, special=True)
            out.write(json.dumps({"text": text, "ids": ids, "special": True, "messages": messages}) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--smollm2", help="GGUF of SmolLM2-135M-Instruct; needs llama-cpp-python")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name, parts in PRE.items():
        make(name, parts)
    if arguments.smollm2:
        smollm2(arguments.smollm2)


if __name__ == "__main__":
    main()
