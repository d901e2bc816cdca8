#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes basics.jsonl: simple four-way questions, the same every time.

The list below is the source; the place of the right answer is shuffled (by hash, so the same
everywhere) and each letter is right equally often within a topic. Run without arguments; `--check`
compares with the committed file.
"""
import hashlib
import json
import pathlib
import sys

# topic -> (question, right, wrong, wrong, wrong)
ITEMS = {
    "nature": [
        ("Which animal gives milk that people often drink?", "cow", "hen", "frog", "bee"),
        ("What do bees make?", "honey", "wool", "butter", "paper"),
        ("Which of these is a fish?", "salmon", "dolphin", "crab", "whale"),
        ("What do plants need from the sun?", "light", "salt", "wind", "sound"),
        ("Which season comes after winter?", "spring", "autumn", "summer", "midnight"),
        ("What is frozen water called?", "ice", "steam", "sand", "oil"),
        ("Which animal hatches from an egg?", "a chicken", "a dog", "a horse", "a rabbit"),
        ("Where do most fish live?", "in water", "in trees", "in caves of ice", "in the sky"),
        ("What part of a plant is usually under the ground?", "the root", "the flower", "the leaf", "the fruit"),
        ("What falls from clouds when it rains?", "water", "dust", "feathers", "smoke"),
        ("Which of these can fly?", "an eagle", "a snake", "a cow", "a turtle"),
        ("What do we breathe?", "air", "milk", "stone", "light"),
        ("Which gas do animals need to breathe in to live?", "oxygen", "helium", "neon", "hydrogen"),
        ("A caterpillar turns into what?", "a butterfly", "a spider", "a bird", "a worm"),
        ("Which of these is made by a spider?", "a web", "a nest of mud", "a dam", "a hive"),
        ("What happens to ice in a warm room?", "it melts", "it grows", "it burns", "it sings"),
    ],
    "world": [
        ("On which continent is Egypt?", "Africa", "Europe", "Asia", "South America"),
        ("What is the capital of France?", "Paris", "Rome", "Madrid", "Berlin"),
        ("What is the capital of Japan?", "Tokyo", "Beijing", "Seoul", "Bangkok"),
        ("Which ocean lies between Europe and North America?", "the Atlantic", "the Pacific", "the Indian", "the Arctic"),
        ("Which planet do people live on?", "Earth", "Mars", "Venus", "Jupiter"),
        ("What does the Earth travel around?", "the sun", "the moon", "Mars", "a comet"),
        ("Which of these is a desert?", "the Sahara", "the Amazon", "the Nile", "the Alps"),
        ("Which of these is a river?", "the Nile", "the Sahara", "Mount Everest", "Greenland"),
        ("Which country is famous for the pyramids of Giza?", "Egypt", "Canada", "Norway", "Brazil"),
        ("What language is mainly spoken in Brazil?", "Portuguese", "German", "Chinese", "Greek"),
        ("Which of these is the tallest kind of land?", "a mountain", "a valley", "a beach", "a plain"),
        ("How many days are there in a week?", "seven", "five", "nine", "twelve"),
        ("Which month comes first in the year?", "January", "March", "June", "October"),
        ("How many months are there in a year?", "twelve", "ten", "seven", "twenty"),
        ("In which direction does the sun rise?", "in the east", "in the west", "in the north", "in the south"),
        ("What is the capital of Italy?", "Rome", "Paris", "Lisbon", "Vienna"),
    ],
    "arithmetic": [
        ("What is 2 + 3?", "5", "6", "4", "8"),
        ("What is 10 - 4?", "6", "7", "5", "14"),
        ("What is 3 times 4?", "12", "7", "14", "10"),
        ("What is 20 divided by 5?", "4", "5", "15", "25"),
        ("What is half of 18?", "9", "8", "6", "36"),
        ("What is 7 + 8?", "15", "16", "14", "13"),
        ("What is 100 - 1?", "99", "101", "90", "98"),
        ("Which number is the largest?", "41", "14", "39", "4"),
        ("Which number is even?", "8", "7", "5", "9"),
        ("What is 6 times 6?", "36", "12", "66", "30"),
        ("How many sides does a triangle have?", "three", "four", "five", "two"),
        ("What comes next: 2, 4, 6, 8?", "10", "9", "12", "16"),
        ("What is 50 plus 50?", "100", "55", "500", "150"),
        ("A box holds 6 eggs. How many eggs are in 3 boxes?", "18", "9", "63", "12"),
        ("Anna has 9 apples and gives away 2. How many are left?", "7", "11", "8", "2"),
        ("How many legs do two dogs have together?", "eight", "four", "six", "two"),
    ],
    "words": [
        ("Which word means the opposite of hot?", "cold", "warm", "dry", "red"),
        ("Which word means the same as big?", "large", "tiny", "quick", "soft"),
        ("Which word means the opposite of up?", "down", "over", "left", "high"),
        ("Which word means the same as begin?", "start", "stop", "wait", "lose"),
        ("Which word is a colour?", "blue", "chair", "quickly", "seven"),
        ("Which word is the plural of child?", "children", "childs", "childes", "childrens"),
        ("Which word means the opposite of happy?", "sad", "glad", "loud", "kind"),
        ("Which word means a person who writes books?", "author", "baker", "pilot", "tailor"),
        ("Which word rhymes with cat?", "hat", "cow", "cut", "dog"),
        ("Which word means the same as quick?", "fast", "slow", "heavy", "late"),
        ("Which word means the opposite of empty?", "full", "hollow", "open", "bare"),
        ("What is a young dog called?", "a puppy", "a kitten", "a calf", "a chick"),
        ("What is a young cat called?", "a kitten", "a puppy", "a foal", "a lamb"),
        ("Which word is the past tense of go?", "went", "goed", "gone away", "going"),
        ("Which word names a feeling?", "anger", "table", "river", "window"),
        ("Which word means the opposite of always?", "never", "often", "soon", "again"),
    ],
    "everyday": [
        ("What do you use to cut paper?", "scissors", "a spoon", "a pillow", "a cup"),
        ("Where do people sleep?", "in a bed", "in an oven", "on a stove", "in a cupboard"),
        ("What do you wear on your feet?", "shoes", "gloves", "a hat", "a scarf"),
        ("What do you use to open a locked door?", "a key", "a fork", "a candle", "a comb"),
        ("Who works in a school?", "a teacher", "a sailor", "a farmer", "a pilot"),
        ("What is bread mostly made from?", "flour", "sand", "fish", "grass"),
        ("Where do you keep milk cold?", "in a refrigerator", "in an oven", "on a shelf in the sun", "in a drawer"),
        ("What do you use to tell the time?", "a clock", "a scale", "a ladder", "a broom"),
        ("What do you use when it rains?", "an umbrella", "sunglasses", "a fan", "a sled"),
        ("Who puts out fires?", "a firefighter", "a barber", "a waiter", "a painter"),
        ("Where do you go to borrow books?", "a library", "a bakery", "a stable", "a garage"),
        ("What do you eat soup with?", "a spoon", "a knife", "a needle", "a straw broom"),
        ("Which of these has wheels?", "a bicycle", "a table", "a boat", "a ladder"),
        ("What do you use to write on paper?", "a pencil", "a hammer", "a towel", "a plate"),
        ("Who flies an aeroplane?", "a pilot", "a nurse", "a cook", "a judge"),
        ("What do people put on a letter to send it?", "a stamp", "a button", "a leaf", "a coin"),
    ],
    "reasoning": [
        ("Tom is taller than Ben. Who is shorter?", "Ben", "Tom", "both", "neither"),
        ("All cats are animals. Max is a cat. What is Max?", "an animal", "a plant", "a stone", "a bird"),
        ("It is raining and Lea has no umbrella. What will happen to her outside?", "she will get wet", "she will get taller", "she will fall asleep", "she will stay dry"),
        ("Today is Monday. What day is tomorrow?", "Tuesday", "Sunday", "Wednesday", "Friday"),
        ("If the lamp is switched off, the room is what?", "dark", "bright", "wet", "loud"),
        ("A glass falls onto a stone floor. What will it probably do?", "break", "fly", "melt", "grow"),
        ("Which is heavier?", "an elephant", "a mouse", "a feather", "a leaf"),
        ("Sam ate breakfast, then lunch. Which did he eat first?", "breakfast", "lunch", "dinner", "both at once"),
        ("Which does not belong: apple, pear, hammer, plum?", "hammer", "apple", "pear", "plum"),
        ("Which does not belong: red, green, blue, dog?", "dog", "red", "green", "blue"),
        ("A train is faster than a bicycle. Which arrives later over the same way?", "the bicycle", "the train", "both", "the rails"),
        ("You want to stay warm in the snow. What do you wear?", "a coat", "a swimsuit", "sandals", "nothing"),
        ("Mia is ten. Her brother is two years older. How old is he?", "twelve", "eight", "ten", "two"),
        ("If you add sugar to tea, the tea becomes what?", "sweeter", "colder", "blacker", "louder"),
        ("Yesterday was Friday. What day is today?", "Saturday", "Thursday", "Sunday", "Monday"),
        ("A plant got no water for a month. What happened to it?", "it dried out", "it flew away", "it froze", "it sang"),
    ],
    "science": [
        ("What pulls things down to the ground?", "gravity", "sound", "colour", "heat"),
        ("Which of these is a metal?", "iron", "wood", "glass", "wool"),
        ("What do we use to see very small things?", "a microscope", "a telescope", "a compass", "a thermometer"),
        ("What do we use to look at stars?", "a telescope", "a microscope", "a ruler", "a stethoscope"),
        ("What does a thermometer measure?", "temperature", "weight", "length", "time"),
        ("Water boils and becomes what?", "steam", "ice", "sand", "salt"),
        ("Which organ pumps blood through the body?", "the heart", "the stomach", "the skin", "the ear"),
        ("With which organ do we think?", "the brain", "the knee", "the lung", "the nose"),
        ("Which of these attracts iron?", "a magnet", "a sponge", "a cork", "a candle"),
        ("What is the hardest of these?", "diamond", "butter", "chalk", "wax"),
        ("What carries electricity well?", "copper wire", "rubber", "dry wood", "plastic"),
        ("Which of these gives off its own light?", "the sun", "the moon", "a mirror", "a planet"),
        ("What do lungs take in?", "air", "food", "blood only", "bones"),
        ("Which of these floats on water?", "a cork", "a stone", "an iron nail", "a coin"),
        ("What is the centre of our solar system?", "the sun", "the Earth", "the moon", "Mars"),
        ("Which sense do we use our ears for?", "hearing", "smell", "taste", "sight"),
    ],
}


def shuffled_places(questions):
    """Places 0 to 3, equally often, in the order of the questions' hashes."""
    order = sorted(range(len(questions)),
                   key=lambda i: hashlib.sha256(questions[i][0].encode()).digest())
    return {number: rank % 4 for rank, number in enumerate(order)}


def items():
    for topic, questions in ITEMS.items():
        places = shuffled_places(questions)
        for number, (question, right, *wrong) in enumerate(questions):
            place = places[number]
            choices = wrong[:place] + [right] + wrong[place:]
            assert len(set(choices)) == 4, question
            yield {"id": f"{topic}-{number:02d}", "topic": topic, "question": question,
                   "choices": choices, "answer": "ABCD"[place]}


def main():
    path = pathlib.Path(__file__).with_name("basics.jsonl")
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in items())
    if "--check" in sys.argv[1:]:
        sys.exit(0 if path.read_text(encoding="utf-8") == text else f"{path} differs: run this script")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
