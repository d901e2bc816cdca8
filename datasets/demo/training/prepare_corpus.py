# SPDX-License-Identifier: Apache-2.0
"""Unpacks the corpus archive into one text file per domain, without its share-alike parts.

    prepare_corpus.py corpus.tar.xz OUT

The archive's domain files hold their sources one after another and name none of them, so the parts
to leave out are ranges of documents, valid for the one archive whose hash is checked."""

import hashlib
import sys
import tarfile
from pathlib import Path

ARCHIVE_SHA256 = "427eecfdd15943a094f239f6a6966a2d4e46fbaeb96a1e0abba93bb7885bb695"

# CC BY-SA: OneStopEnglish (news); UD Korean Kaist, KorSTS, KLUE (korean). [first, last) documents.
SHARE_ALIKE = {
    "train/news.txt": [(2418, None)],
    "train/korean.txt": [(982, 1089), (1477, None)],
    "valid/news.txt": [(55, None)],
    "valid/korean.txt": [(7, 8), (32, 35)],
}


def main() -> None:
    archive, out = Path(sys.argv[1]), Path(sys.argv[2])
    if hashlib.sha256(archive.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        sys.exit(f"{archive}: not the archive these ranges were made for")
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if not (member.isfile() and name.startswith(("train/", "valid/")) and name.endswith(".txt")):
                continue
            documents = tar.extractfile(member).read().decode("utf-8").rstrip("\n").split("\n\n")
            for first, last in reversed(SHARE_ALIKE.get(name, [])):
                del documents[first:last]
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
            print(f"{name}: {len(documents)} documents, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
