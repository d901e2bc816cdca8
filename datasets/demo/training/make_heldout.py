# SPDX-License-Identifier: Apache-2.0
"""Texts of the held-out works as lines for `moescope score --input` and `profile --workload`.

    make_heldout.py CORPUS OUT.jsonl              excerpts: PIECES of each domain (what is shipped)
    make_heldout.py CORPUS OUT.jsonl --all        everything, in pieces of about WORDS words"""

import json
import sys
from pathlib import Path

from data import DOMAINS, documents

PIECES = 12
WORDS = 220
LETTERS = 400  # of a Korean piece: its words carry more


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


def main() -> None:
    corpus, out, everything = Path(sys.argv[1]), Path(sys.argv[2]), "--all" in sys.argv
    with out.open("w", encoding="utf-8") as file:
        for domain in DOMAINS:
            texts = [p for d in documents(corpus / "valid" / f"{domain}.txt") for p in pieces(d, domain)]
            if not everything:
                texts = [t for t in texts if len(t.split(" ")) >= 60]
                texts = [texts[i * len(texts) // PIECES] for i in range(PIECES)]
            for i, text in enumerate(texts):
                line = {"id": f"{domain}-{i + 1}", "group": domain, "text": text}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
