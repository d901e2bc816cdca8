# SPDX-License-Identifier: Apache-2.0
"""Trains the demo tokenizer: byte-level BPE of 5,120 entries with o200k's split pattern.

    train_tokenizer.py CORPUS OUT/tokenizer.json

The last 16 ids are control tokens in the order of o200k_harmony, closed up."""

import random
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB = 5120
CONTROL = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|reserved_4|>",
           "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|reserved_9|>", "<|reserved_10|>",
           "<|reserved_11|>", "<|call|>", "<|reserved_13|>", "<|reserved_14|>", "<|endofprompt|>"]
# tiktoken's o200k_base pattern (openai/tiktoken, tiktoken_ext/openai_public.py).
PATTERN = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
BYTES_PER_DOMAIN = 4_000_000  # equal shares, so that no domain takes all the merges


def sample(path: Path, rng: random.Random) -> list[str]:
    documents = path.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    rng.shuffle(documents)
    taken, size = [], 0
    for document in documents:
        if size >= BYTES_PER_DOMAIN:
            break
        taken.append(document)
        size += len(document.encode("utf-8"))
    return taken


def main() -> None:
    corpus, out = Path(sys.argv[1]), Path(sys.argv[2])
    rng = random.Random(1)
    documents = [d for path in sorted((corpus / "train").glob("*.txt")) for d in sample(path, rng)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=VOCAB - len(CONTROL), special_tokens=[], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens(CONTROL)
    ids = [tokenizer.token_to_id(t) for t in CONTROL]
    assert ids == list(range(VOCAB - len(CONTROL), VOCAB)), ids
    out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out))


if __name__ == "__main__":
    main()
