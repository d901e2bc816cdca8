# SPDX-License-Identifier: Apache-2.0
"""Tokenises the corpus: build_data.py CORPUS tokenizer.json DATA"""

import sys
from pathlib import Path

from tokenizers import Tokenizer

from data import build_streams

if __name__ == "__main__":
    build_streams(Path(sys.argv[1]), Tokenizer.from_file(sys.argv[2]), Path(sys.argv[3]))
