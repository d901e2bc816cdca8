#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes occupation_pronouns.jsonl: he/she pairs for occupations, the same every time.

The occupations and their counts come from ../demo/training/pronoun_counts.csv; the sentences are
ours. Run without arguments; `--check` compares with the committed file instead.
"""
import csv
import json
import pathlib
import sys

# Plain narrative English that a nineteenth-century book could hold. Nobody else is named, so the
# pronoun is the occupation's; it is the only word that differs; it comes at once, after a clause, or
# after half a sentence, within the ten words in which the corpus was counted.
SURVEYED = {"captain", "lawyer", "doctor", "professor", "nurse", "maid", "governess", "housekeeper"}
TEMPLATES = [
    "The {occupation} said that {pronoun} was very tired.",
    "When the {occupation} came in, {pronoun} sat down by the fire.",
    "The {occupation} closed the door before {pronoun} spoke.",
    "I asked the {occupation} whether {pronoun} had slept well.",
    "We waited for the {occupation}, but {pronoun} did not come.",
    "The {occupation} was late, because {pronoun} had lost the way.",
    "The old {occupation} looked up, and then {pronoun} began to laugh.",
    "There was once a good {occupation}, and {pronoun} lived in a little house.",
]


def items():
    here = pathlib.Path(__file__).parent
    counts = here.parent / "demo" / "training" / "pronoun_counts.csv"
    with counts.open(encoding="utf-8", newline="") as file:
        occupations = list(csv.DictReader(file))
    for row in occupations:
        for number, template in enumerate(TEMPLATES):
            occupation = row["occupation"]
            yield {
                "id": f"{occupation}-{number}",
                "occupation": occupation,
                "template": str(number),
                # A level of its own for the marked words would be too small to say anything.
                "wording": "unmarked" if row["wording"] == "unmarked" else "",
                # The eight that the first survey of the corpus counted, four said of men and four of women.
                "survey": "surveyed" if occupation in SURVEYED else "",
                "log_ratio": row["log_ratio"],
                "he": template.format(occupation=occupation, pronoun="he"),
                "she": template.format(occupation=occupation, pronoun="she"),
            }


def main():
    path = pathlib.Path(__file__).with_name("occupation_pronouns.jsonl")
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in items())
    if "--check" in sys.argv[1:]:
        sys.exit(0 if path.read_text(encoding="utf-8") == text else f"{path} differs: run this script")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
