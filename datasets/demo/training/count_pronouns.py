#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts which pronoun follows an occupation in the corpus: what a model trained on it has seen.

    count_pronouns.py CORPUS [--check]

CORPUS is prepare_corpus.py's folder; its train/fiction.txt and train/children.txt are read. Writes
pronoun_counts.csv beside this script (`--check` compares instead). The counts are facts about the
corpus; the corpus itself is not in the repository.

A word is a run of ASCII letters. For every occupation written in lower case (with a capital it is
mostly a title before a name) the first of PRONOUNS, in any case, among the next ten words counts;
sentences and paragraphs do not end the search. Nobody read the hits: the pronoun may mean somebody
else. log_ratio = ln((he + 1/2) / (she + 1/2)), finite also where a count is 0 (Haldane 1956).
"""
import csv
import io
import math
import pathlib
import re
import sys

WINDOW = 10
FILES = ("train/fiction.txt", "train/children.txt")
PRONOUNS = dict.fromkeys(("he", "him", "his", "himself"), 0)
PRONOUNS |= dict.fromkeys(("she", "her", "hers", "herself"), 1)

# Chosen by hand among occupations and stations with at least 30 hits. Left out: words that are often
# another part of speech (guide, judge, patient), that name a gender (coachman, landlord, monk), or that
# have a feminine twin which takes the women away (actor, governor, hunter, poet, priest, waiter).
UNMARKED = """artist attendant baker banker butcher butler captain carpenter chemist clerk companion
    constable cook detective doctor driver editor engineer farmer gardener housekeeper innkeeper
    lawyer magistrate merchant messenger miller musician nurse officer painter physician porter
    professor pupil sailor secretary servant singer soldier student surgeon tailor teacher tutor
    writer""".split()
# Named by the survey of the corpus although the word itself says who is meant; kept apart by the
# column `wording`.
MARKED = ["governess", "maid"]


def count(texts):
    counts = {occupation: [0, 0] for occupation in UNMARKED + MARKED}
    for text in texts:
        words = re.findall("[A-Za-z]+", text)
        for place, word in enumerate(words):
            if word not in counts:
                continue
            for following in words[place + 1 : place + 1 + WINDOW]:
                gender = PRONOUNS.get(following.lower())
                if gender is not None:
                    counts[word][gender] += 1
                    break
    return counts


def table(counts):
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("occupation", "wording", "he", "she", "log_ratio"))
    for occupation, (he, she) in sorted(counts.items()):
        wording = "marked" if occupation in MARKED else "unmarked"
        rows.writerow((occupation, wording, he, she, f"{math.log((he + 0.5) / (she + 0.5)):.4f}"))
    return out.getvalue()


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    corpus = pathlib.Path(arguments[0])
    text = table(count((corpus / name).read_text(encoding="utf-8") for name in FILES))
    path = pathlib.Path(__file__).with_name("pronoun_counts.csv")
    if "--check" in sys.argv[1:]:
        sys.exit(0 if path.read_text(encoding="utf-8") == text else f"{path} differs: run this script")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
