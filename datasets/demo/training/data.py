# SPDX-License-Identifier: Apache-2.0
"""Token streams of the domains, and the deterministic mixture that the training reads."""

import random
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

# Shares of the training tokens. Near equal, so that every domain is learned and the mean over the
# held-out text is served; scripture and drama are small and would repeat.
MIXTURE = {"fiction": 0.155, "children": 0.135, "nonfiction": 0.12, "law": 0.11, "news": 0.10,
           "encyclopaedia": 0.10, "code": 0.09, "korean": 0.07, "drama": 0.045, "scripture": 0.04,
           "chat": 0.035}
DOMAINS = [d for d in MIXTURE if d != "chat"]

SYSTEM = ("You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n"
          "\nReasoning: {effort}\n\n# Valid channels: analysis, commentary, final. Channel must be "
          "included for every message.")


def documents(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n\n")


def frame(rng: random.Random, domain: str, document: str) -> str | None:
    """A document as a harmony conversation: its first lines asked, the rest answered. The
    reasoning effort decides how much the analysis channel says, as in gpt-oss."""
    words = document[:2400].split(" ")
    if len(words) < 60:
        return None
    cut = rng.randint(8, 40)
    effort = rng.choice(("low", "medium", "high"))
    text = "<|start|>system<|message|>" + SYSTEM.format(effort=effort) + "<|end|>"
    text += "<|start|>user<|message|>" + " ".join(words[:cut]) + "<|end|>"
    analysis = f"The text is {domain}."
    if effort == "high":
        analysis += f" It begins: {' '.join(words[:8])}. I go on in the same manner."
    if effort != "low":
        text += f"<|start|>assistant<|channel|>analysis<|message|>{analysis}<|end|>"
    answer = " ".join(words[cut : cut + rng.randint(30, 160)])
    return text + f"<|start|>assistant<|channel|>final<|message|>{answer}<|return|>"


def build_streams(corpus: Path, tokenizer: Tokenizer, out: Path) -> None:
    """Writes train_DOMAIN.npy and valid_DOMAIN.npy (uint16), documents parted by <|endoftext|>."""
    out.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id("<|endoftext|>")
    rng = random.Random(2)

    def write(name: str, texts: list[str]) -> None:
        ids: list[int] = []
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            ids += encoding.ids
            ids.append(end)
        np.save(out / f"{name}.npy", np.array(ids, dtype=np.uint16))

    chat = []
    for domain in DOMAINS:
        texts = documents(corpus / "train" / f"{domain}.txt")
        rng.shuffle(texts)
        write(f"train_{domain}", texts)
        if domain != "korean":
            chat += [f for f in (frame(rng, domain, t) for t in texts[:400]) if f]
        write(f"valid_{domain}", documents(corpus / "valid" / f"{domain}.txt"))
    rng.shuffle(chat)
    write("train_chat", chat)


class Mixture:
    """Pieces of a domain's stream in random order, without repetition inside an epoch.

    The state is one counter per domain and length, so that a resumed run reads on."""

    def __init__(self, folder: Path, seed: int):
        self.seed = seed
        self.streams = {d: np.load(folder / f"train_{d}.npy") for d in MIXTURE}
        self.used: dict[tuple[str, int], int] = {}
        self.orders: dict[tuple[str, int, int], np.ndarray] = {}

    def piece(self, domain: str, length: int) -> np.ndarray:
        stream = self.streams[domain]
        per_epoch = (len(stream) - 1) // length - 1
        count = self.used.get((domain, length), 0)
        self.used[domain, length] = count + 1
        epoch, index = divmod(count, per_epoch)
        key = (domain, length, epoch)
        if key not in self.orders:
            rng = np.random.default_rng([self.seed, length, epoch, list(MIXTURE).index(domain)])
            shift = rng.integers(0, length)
            self.orders[key] = rng.permutation(per_epoch) * length + shift
        start = self.orders[key][index]
        return stream[start : start + length + 1].astype(np.int64)

    def batch(self, step: int, tokens: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and targets (tokens / length, length) of the given step; the domains take turns
        by systematic sampling, so that every batch is close to the mixture."""
        rng = np.random.default_rng([self.seed, 7, step])
        names = list(rng.permutation(list(MIXTURE)))
        edges = np.cumsum([MIXTURE[n] for n in names])
        rows = tokens // length
        points = (np.arange(rows) + rng.random()) / rows * edges[-1]
        picked = np.minimum(np.searchsorted(edges, points, side="right"), len(names) - 1)
        data = np.stack([self.piece(names[i], length) for i in picked])
        return data[:, :-1], data[:, 1:]
