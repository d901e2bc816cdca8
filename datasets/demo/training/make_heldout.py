# SPDX-License-Identifier: Apache-2.0
"""The held-out works as lines for `moescope score --input` and `moescope profile --workload`.

    make_heldout.py CORPUS OUT.jsonl             short excerpts of each domain (what is shipped)
    make_heldout.py --windows DATA OUT.jsonl     everything, as windows of 1,024 tokens

Windows overlap by one token, so that each token but a domain's first is predicted once."""

import json
import sys
from pathlib import Path

import numpy as np

from data import DOMAINS, documents

PIECES = 12
WORDS = 220
LETTERS = 400  # of a Korean piece: its words carry more
WINDOW = 1024


def pieces(document: str, domain: str) -> list[str]:
    """Whole paragraphs up to the wanted length; a longer paragraph is cut at a space."""
    limit = LETTERS if domain == "korean" else WORDS
    size = (lambda s: len(s)) if domain == "korean" else (lambda s: len(s.split(" ")))
    result, part = [], ""
    for paragraph in document.split("\n"):
        while size(paragraph) > limit:
            words = paragraph.split(" ")
            take = WORDS // 2 if domain == "korean" else WORDS
            result.append(" ".join(words[:take]))
            paragraph = " ".join(words[take:])
        if part and size(part) + size(paragraph) > limit:
            result.append(part)
            part = ""
        part += ("\n" if part else "") + paragraph
    return result + ([part] if part else [])


def excerpts(corpus: Path) -> list[dict]:
    lines = []
    for domain in DOMAINS:
        texts = [p for d in documents(corpus / "valid" / f"{domain}.txt") for p in pieces(d, domain)]
        texts = [t for t in texts if len(t.split(" ")) >= 60]
        texts = [texts[i * len(texts) // PIECES] for i in range(PIECES)]
        lines += [{"id": f"{domain}-{i + 1}", "group": domain, "text": t} for i, t in enumerate(texts)]
    return lines


def windows(data: Path) -> list[dict]:
    lines = []
    for domain in DOMAINS:
        stream = np.load(data / f"valid_{domain}.npy").tolist()
        parts = [stream[i : i + WINDOW] for i in range(0, len(stream) - 1, WINDOW - 1)]
        lines += [{"id": f"{domain}-{i + 1}", "group": domain, "tokens": p} for i, p in enumerate(parts)]
    return lines


def main() -> None:
    lines = windows(Path(sys.argv[2])) if sys.argv[1] == "--windows" else excerpts(Path(sys.argv[1]))
    with Path(sys.argv[-1]).open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
