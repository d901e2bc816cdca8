#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/data/tokenizers/sentencepiece.*: a tiny SentencePiece BPE vocabulary and the
ids that three programs give with it: Google's own (PyPI `sentencepiece`), whose ids must be those of
Hugging Face's `tokenizers` for the same vocabulary written as tokenizer.json.

    python tests/golden/make_sentencepiece_golden.py

The training text is that of make_tokenizer_golden.py; nothing is downloaded.
"""
import io
import json

import sentencepiece as spm
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from make_tokenizer_golden import OUT, TEXTS

ADDED = ["\n", "\n\n", "<table>"]
CONTROL = ["<start_of_turn>", "<end_of_turn>"]
NORMAL, UNKNOWN, CONTROL_TYPE, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # llama_token_type
MORE = ["<0x0A> <bos> <start_of_turn>user", "\u2581\u2581a \u2581", "a<table>b\n\n\nc", "  lead", "trail  ",
        "\U000e0001 \u0b95\u0b95", "router routers routing"]


def train():
    model = io.BytesIO()
    # No normalisation, no space before the text, digits apart: as Gemma's model has it.
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([t for t in TEXTS * 3 if t.strip() and "\x00" not in t]), model_writer=model, model_type="bpe",
        vocab_size=620, byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
        user_defined_symbols=ADDED, control_symbols=CONTROL, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
        pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>", hard_vocab_limit=False,
        minloglevel=2)
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def kind(model, i):
    return (BYTE if model.is_byte(i) else CONTROL_TYPE if model.is_control(i) else UNKNOWN if model.is_unknown(i)
            else UNUSED if model.is_unused(i) else USER if model.id_to_piece(i) in ADDED else NORMAL)


def main():
    model = train()
    size = model.get_piece_size()
    pieces = [model.id_to_piece(i) for i in range(size)]
    kinds = [kind(model, i) for i in range(size)]
    scores = [model.get_score(i) for i in range(size)]
    ids = {p: i for i, p in enumerate(pieces)}
    merges = []  # every way to make a piece of two others, the best piece first
    for i, p in enumerate(pieces):
        if kinds[i] == NORMAL:
            merges += [(scores[i], ids[p[:k]], ids[p[k:]], p[:k], p[k:]) for k in range(1, len(p))
                       if kinds[ids.get(p[:k], 0)] == NORMAL and kinds[ids.get(p[k:], 0)] == NORMAL]
    merges.sort(key=lambda m: (-m[0], m[1], m[2]))
    bpe = models.BPE(vocab=ids, merges=[(m[3], m[4]) for m in merges], byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    other = Tokenizer(bpe)
    other.normalizer = normalizers.Replace(" ", "\u2581")
    other.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    other.add_special_tokens([AddedToken(pieces[i], normalized=False) for i in range(size) if kinds[i] in (UNKNOWN, CONTROL_TYPE)])
    other.add_tokens([AddedToken(p, normalized=False) for p in ADDED])
    (OUT / "sentencepiece.tokenizer.json").write_text(
        json.dumps(json.loads(other.to_str()), ensure_ascii=False, separators=(",", ":")))
    (OUT / "sentencepiece.gguf.json").write_text(json.dumps(
        {"tokens": pieces, "scores": scores, "types": kinds}, ensure_ascii=False, separators=(",", ":")))
    with open(OUT / "sentencepiece.vectors.jsonl", "w") as out:
        for text in TEXTS + MORE:
            expected = model.encode(text)
            special = any(c in text for c in CONTROL + ["<bos>"])  # `tokenizers` always parses those
            if not special and other.encode(text, add_special_tokens=False).ids != expected:
                raise SystemExit(f"the two programs differ on {text!r}")
            out.write(json.dumps({"text": text, "ids": expected}) + "\n")


if __name__ == "__main__":
    main()
