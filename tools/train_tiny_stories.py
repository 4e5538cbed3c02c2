#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the bundled checkpoints examples/models/tiny-stories and tiny-stories-draft.

All text comes from the story grammar below and a seed; nothing is downloaded.  One CPU thread, fixed seeds: the
text, the tokenizer and the order of the batches repeat exactly, the weights to rounding on the same kind of CPU.

    python tools/train_tiny_stories.py                    # tokenizer, both models, held-out text
    python tools/train_tiny_stories.py --sample 3         # print some of the training text
"""

import argparse
import json
import math
import os
import pathlib
import random
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODELS = ROOT / "examples/models"
SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
BOS, EOS, PAD, SYSTEM, USER, ASSISTANT, END = range(len(SPECIAL))
VOCAB = 1536
CONTEXT = 512

# ---------------------------------------------------------------------------------------------------------------
# The grammar. Templates are filled from a story's facts:
#   {N} {kind} {desc}        the hero: name, kind, adjective      {he} {him} {his} {He} {His}   pronouns
#   {F} {fkind} {fdesc}      the friend                            {fhe} {fhim} {fhis} {fHe} {fHis}
#   {place} {inplace}        "park", "in the park"                 {obj} {aobj}   "red ball", "a red ball"
#   {elder} {Elder}          "his mom" / "old Owl"                 {food} {afood} {weather} {time} {feel} ...
# A list inside a plot is one sentence with variants; None is an optional sentence left out.

BOYS = "Tim Max Ben Sam Tom Leo Jack Finn Oscar Milo".split()
GIRLS = "Lily Mia Anna Sue Lucy Luna Ella Rosie Daisy Bella".split()
KINDS = "dog cat rabbit fox bear bird frog mouse duck turtle squirrel owl horse pig hedgehog penguin".split()
CHILDREN = {"m": "boy", "f": "girl"}
DESCS = "little small young kind brave happy curious clever quiet shy cheerful gentle playful funny".split()
FDESCS = "friendly old wise big tiny kind grumpy gentle clever cheerful lonely quiet".split()
PLACES = [("park", "in"), ("forest", "in"), ("garden", "in"), ("village", "in"), ("meadow", "in"), ("town", "in"),
          ("valley", "in"), ("farm", "on"), ("island", "on"), ("hill", "on"), ("beach", "on"), ("river", "by"),
          ("lake", "by"), ("sea", "by"), ("pond", "by"), ("mountain", "near"), ("castle", "near"), ("mill", "near")]
COLORS = "red blue green yellow golden silver purple orange white shiny".split()
OBJECTS = "ball kite hat key boat bell drum scarf box stone coin basket lamp cup ring book flute button".split()
FOODS = ["apple", "cake", "pie", "pear", "cookie", "carrot", "loaf of bread", "bowl of soup", "plum", "pancake",
         "bag of nuts", "jar of honey"]
WEATHERS = ["sunny", "warm", "bright", "windy", "cloudy", "cool", "quiet", "beautiful"]
HIDING = ["under a big tree", "behind a rock", "in the tall grass", "near the old bridge", "beside the road",
          "under a bench", "behind the fence", "in a hole", "between two stones", "at the bottom of the hill"]
GAMES = ["hide and seek", "tag", "catch", "with a ball", "in the leaves", "in the sand", "by the water"]
TIMES = ["morning", "afternoon", "day"]
FLOWERS = ["flower", "sunflower", "rose", "pumpkin", "tomato", "tree", "bean plant", "strawberry"]
BUILDS = ["house", "bridge", "boat", "tower", "nest", "swing", "tent", "cart", "raft"]
FEARS = [("the dark", "The night was full of shadows", "the stars were shining"),
         ("the water", "The water looked deep and cold", "the water was cool and soft"),
         ("thunder", "The thunder was very loud", "the rain sounded like a song"),
         ("high places", "The ground looked far away", "the view was wonderful"),
         ("loud noises", "Every sound was like a roar", "the noise was only the wind"),
         ("big animals", "Everyone seemed so big", "big animals could be gentle")]
RACES = ["race", "swimming race", "running race", "singing contest", "dancing contest", "baking contest",
         "drawing contest", "jumping contest"]
ELDERS = ["mom", "dad", "grandma", "grandpa"]


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def pronouns(gender, prefix=""):
    he, him, his = ("he", "him", "his") if gender == "m" else ("she", "her", "her")
    return {prefix + "he": he, prefix + "him": him, prefix + "his": his, prefix + "He": he.capitalize(),
            prefix + "His": his.capitalize(), prefix + "himself": him + "self" if gender == "f" else "himself"}


def facts(rng):
    gender = rng.choice("mf")
    fgender = rng.choice("mf")
    name = rng.choice(BOYS if gender == "m" else GIRLS)
    friend = rng.choice([n for n in (BOYS if fgender == "m" else GIRLS) if n != name])
    kind = CHILDREN[gender] if rng.random() < 0.3 else rng.choice(KINDS)
    fkind = CHILDREN[fgender] if rng.random() < 0.25 else rng.choice([k for k in KINDS if k != kind])
    if fkind == kind:
        fkind = rng.choice([k for k in KINDS if k != kind])
    place, preposition = rng.choice(PLACES)
    color, thing = rng.choice(COLORS), rng.choice(OBJECTS)
    fear, scary, calm = rng.choice(FEARS)
    hiding = rng.choice(HIDING)
    desc = rng.choice(DESCS)
    child = fkind in CHILDREN.values()
    fdesc = rng.choice([d for d in FDESCS if d != desc and not (child and d in ("old", "wise"))])
    food = rng.choice(FOODS)
    f = {"N": name, "kind": kind, "desc": desc, "adesc": article(desc), "F": friend, "fkind": fkind, "fdesc": fdesc,
         "afdesc": article(fdesc), "afkind": article(fkind), "place": place, "inplace": f"{preposition} the {place}",
         "obj": f"{color} {thing}", "thing": thing, "aobj": article(f"{color} {thing}"),
         "food": food, "afood": article(food), "weather": rng.choice(WEATHERS), "hiding": hiding,
         "hiding2": rng.choice([h for h in HIDING if h != hiding]),
         "game": rng.choice(GAMES), "time": rng.choice(TIMES), "flower": rng.choice(FLOWERS),
         "build": rng.choice(BUILDS), "fear": fear, "scary": scary, "calm": calm, "race": rng.choice(RACES),
         "elder": rng.choice(ELDERS)}
    f.update(pronouns(gender))
    f.update(pronouns(fgender, "f"))
    f["aflower"], f["abuild"], f["arace"] = article(f["flower"]), article(f["build"]), article(f["race"])
    return f


OPENINGS = [
    "Once upon a time, there was {adesc} {kind} named {N}.",
    "Once upon a time, there was {adesc} {kind} named {N}.",
    "Once upon a time, {adesc} {kind} named {N} lived {inplace}.",
    "Once upon a time, {inplace}, there lived {adesc} {kind} named {N}.",
    "Once there was {adesc} {kind} whose name was {N}.",
    "{N} was {adesc} {kind} who lived {inplace}.",
    "Long ago, {adesc} {kind} named {N} lived {inplace}.",
    "One {weather} {time}, {adesc} {kind} named {N} woke up early.",
    "There was once {adesc} {kind} called {N}.",
    "In a small house {inplace} lived {adesc} {kind} named {N}.",
]
HABITS = [
    "{He} loved to play {game} every day.",
    "{He} liked to walk {inplace} and look at the clouds.",
    "Every {time}, {he} went outside to play {game}.",
    "{N} lived with {his} {elder} and was very happy.",
    "{He} had a warm bed and a big smile.",
    "Everyone liked {N} because {he} was so {desc}.",
    None, None,
]
SETTINGS = [
    "One {weather} {time}, {N} went for a walk {inplace}.",
    "One {time}, the sky was blue and {N} wanted to go out.",
    "It was a {weather} {time}, and {N} was playing {inplace}.",
    "One day, {N} and {his} {elder} went to the {place}.",
    "On a {weather} {time}, {N} was sitting {inplace}.",
]
ENDINGS = [
    "From that day on, {N} and {F} were best friends.",
    "{N} and {F} played together until the sun went down.",
    "That night, {N} went to bed with a big smile.",
    "{N} went home and told {his} {elder} everything.",
    "And they all lived happily ever after.",
    "{N} was very happy, and so was {F}.",
    "The sun went down, and everyone was happy.",
    "After that day, {N} came back to see {F} every {time}.",
]
MEETINGS = [
    "Then {he} met {afdesc} {fkind} named {F}.",
    "Just then, {afdesc} {fkind} named {F} came by.",
    "Soon, {afdesc} {fkind} named {F} walked up to {him}.",
    "Near the path, {he} saw {F}, {afdesc} {fkind}.",
]
SAD = ["{N} was very sad.", "{N} began to cry.", "{N} did not know what to do.", "{N} felt sad and sat down.",
       "A tear rolled down {his} face.", "{N} felt worried."]
ASKS = ['"Why are you sad?" asked {F}.', '"What is wrong, {N}?" {F} asked.', '"Are you all right?" {fhe} asked.',
        '"Can I help you?" said {F}.']
THANKS = ['"Thank you, {F}!" said {N}.', '"You are so kind," {N} said.', '"Thank you for your help," said {N}.',
          "{N} gave {F} a big hug.", '{N} smiled and said, "Thank you!"']

PLOTS = {
    "lost": {
        "about": ["who lost {aobj}", "who looked for {aobj}"],
        "beats": [
            SETTINGS,
            ["{He} had {aobj} that {he} loved very much.", "{His} {elder} had given {him} {aobj}.",
             "{He} took {his} {obj} everywhere.", "{N} was very proud of {his} {obj}."],
            ["But when {he} looked around, the {obj} was gone!", "Suddenly, {he} could not find {his} {obj}.",
             "But then the wind blew, and the {obj} was gone.", "After lunch, {he} saw that {his} {obj} was missing."],
            SAD, MEETINGS, ASKS,
            ['"I lost my {obj}," said {N}.', '"I cannot find my {obj}," {N} said in a small voice.',
             '"My {obj} is gone," {he} said.'],
            ['"Do not worry. We can look for it together," said {F}.', '"Let us look for it," said {F}.',
             '"I will help you find it," {F} said.'],
            ["They looked {hiding2}, but it was not there.", "They looked here and there for a long time.",
             "First they looked by the house, and then they looked by the road.", None],
            ["At last, they found the {obj} {hiding}.", "Then {F} saw something {hiding}. It was the {obj}!",
             "Finally, {N} saw the {obj} {hiding}."],
            THANKS,
            ["{N} learned that it is good to ask for help.", "{N} learned that friends make hard things easy.",
             "{N} learned to take good care of {his} things."],
            ENDINGS,
        ],
        "qa": [("What did {N} lose?", "{N} lost {aobj}."), ("Who helped {N}?", "{F} the {fkind} helped {N}."),
               ("Where was the {thing}?", "It was {hiding}.")],
    },
    "found": {
        "about": ["who found {aobj}", "and {aobj}"],
        "beats": [
            SETTINGS,
            ["{He} saw something {hiding}.", "Something was shining {hiding}.", "There was something strange {hiding}."],
            ["It was {aobj}!", "{N} ran to it and picked it up. It was {aobj}.", "When {he} came closer, {he} saw {aobj}."],
            ['"What a nice {thing}!" said {N}.', '"I want to keep it," {he} thought.', "{N} wanted to keep it.",
             '"It is so pretty," {he} said.'],
            ["But then {he} heard someone crying.", "But then {he} thought that someone must have lost it.",
             "On the way home, {he} heard a sad voice."],
            ["It was {F}, {afdesc} {fkind}.", "{He} saw {afdesc} {fkind} named {F} sitting alone."],
            ['"I lost my {obj}," said {F}.', '"My {obj} is gone, and I miss it," {fhe} said.'],
            ["{N} thought for a moment.", "{N} wanted the {thing}, but {he} knew what was right.", None],
            ['"Here it is," said {N}. "I found it {hiding}."', '{N} gave the {thing} back. "This is yours," {he} said.',
             '"Is this your {thing}?" {N} asked, and {he} gave it to {F}.'],
            ["{F} was so happy that {fhe} jumped up and down.", '"Thank you! You are very honest," said {F}.',
             "{F} smiled and gave {N} {afood}.", "{F} hugged {N} for a long time."],
            ["{N} felt warm inside.", "{N} learned that it is good to be honest.",
             "{N} knew that giving it back was the right thing to do."],
            ENDINGS,
        ],
        "qa": [("What did {N} find?", "{N} found {aobj}."), ("Whose {thing} was it?", "It was {F}'s {thing}."),
               ("Where was the {thing}?", "It was {hiding}.")],
    },
    "stuck": {
        "about": ["who helped a friend", "who saved {afkind}"],
        "beats": [
            SETTINGS,
            ["Suddenly, {he} heard a cry.", '"Help! Help!" someone called.', "Then {he} heard a small voice."],
            ["{He} ran to see what it was.", "{N} looked around to see who it was.", "{N} followed the sound."],
            ["{afdescCap} {fkind} named {F} was stuck {hiding}.", "It was {afdesc} {fkind} named {F}, and {fhe} was stuck {hiding}.",
             "{He} found {F}, {afdesc} {fkind}, stuck {hiding}."],
            ['"Please help me," said {F}.', '"I cannot get out," {F} cried.', '"I have been here all day," said {F}.'],
            ['"Do not be afraid. I will help you," said {N}.', "{N} was small, but {he} wanted to help.",
             '"Hold on, {F}!" said {N}.'],
            ["{He} pulled and pulled, but {F} did not move.", "{He} tried once, but it was too hard.",
             "{N} tried and tried.", None],
            ["Then {N} had an idea. {He} found a long stick.", "Then {N} had an idea and ran to get {his} {elder}.",
             "{N} thought hard, and then {he} found a strong rope."],
            ["With one big push, {F} was free!", "They pulled together, and soon {F} was free.",
             "At last, {F} came out. {fHe} was safe!"],
            ['"You saved me!" said {F}.', '"You are very brave, {N}," said {F}.', "{F} danced with joy.",
             "{F} gave {N} {afood} to say thank you."],
            ["{N} learned that even someone small can help.", "{N} was proud and happy.",
             "{N} learned that it feels good to help others."],
            ENDINGS,
        ],
        "qa": [("Who was stuck?", "{F} the {fkind} was stuck."), ("Where was {F} stuck?", "{F} was stuck {hiding}."),
               ("Who helped {F}?", "{N} the {kind} helped {F}.")],
    },
    "fear": {
        "about": ["who was afraid of {fear}", "who learned to be brave"],
        "beats": [
            ["But {N} had a secret. {He} was afraid of {fear}.", "{N} was afraid of {fear}.",
             "There was only one problem. {N} was afraid of {fear}."],
            ["The others laughed at {him}.", "{He} did not tell anyone about it.", "{He} always stayed close to {his} {elder}.",
             None],
            SETTINGS,
            ["There {he} met {afdesc} {fkind} named {F}.", "{He} met {F}, {afdesc} {fkind}."],
            ['"Come with me," said {F}. "I want to show you something."', '"Do you want to play with me?" asked {F}.',
             '"Let us go on an adventure," said {F}.'],
            ["But {N} stopped. {scary}.", "{scary}, and {N} began to shake.", "{N} looked around. {scary}."],
            ['"I am afraid of {fear}," {he} said.', '"I cannot go. I am afraid of {fear}," said {N}.'],
            ['"I was afraid, too," said {F}. "Take my hand."', '"It is all right to be afraid," said {F}.',
             '"We can go slowly," said {F}. "I will stay with you."'],
            ["{N} took a deep breath.", "{N} closed {his} eyes and took one small step.", "{N} held on to {F} and took a step."],
            ["Then {he} saw that {calm}.", "Step by step, {he} saw that {calm}.", "Soon {he} found that {calm}."],
            ['"I did it!" said {N}.', '"I am not afraid any more!" {he} said.', '"Look at me!" said {N} with a big smile.'],
            ["{F} was very proud of {him}.", "{N} learned that being brave means trying.",
             "{N} learned that it is easy to be brave with a friend."],
            ENDINGS,
        ],
        "qa": [("What was {N} afraid of?", "{N} was afraid of {fear}."), ("Who helped {N}?", "{F} the {fkind} helped {N}.")],
    },
    "share": {
        "about": ["who learned to share", "and {afood}"],
        "beats": [
            SETTINGS,
            ["{His} {elder} gave {him} {afood}.", "{N} had {afood} in {his} bag.", "{He} had {afood} for lunch."],
            ["It smelled so good!", "It was big and sweet.", "{He} could not wait to eat it.", None],
            ["Then {F}, {afdesc} {fkind}, came by.", "Then {he} saw {afdesc} {fkind} named {F}."],
            ['"I am so hungry," said {F}.', '"I have not eaten all day," {F} said.', '"May I have some?" asked {F}.'],
            ['"No, it is mine!" said {N}.', "{N} wanted to eat it all alone.", "{N} did not want to share."],
            ["{F} looked sad and walked away.", "{F} looked down and did not say a word.", "{F} sat down {hiding} and was quiet."],
            ["{N} looked at {F} and felt bad.", "Then {N} remembered what {his} {elder} had said about sharing.",
             "{N} took one bite, but it did not taste good."],
            ['"Wait, {F}!" said {N}. "You can have half."', '"I am sorry," said {N}. "Let us share."',
             '{N} gave half to {F}. "This is for you," {he} said.'],
            ['"Thank you so much!" said {F}.', "{F} smiled a big smile.", "They sat down and ate together."],
            ["It tasted much better with a friend.", "{N} learned that sharing makes everyone happy.",
             "{N} learned that there is always enough for two."],
            ENDINGS,
        ],
        "qa": [("What did {N} share?", "{N} shared {afood}."), ("Who was hungry?", "{F} the {fkind} was hungry.")],
    },
    "broke": {
        "about": ["who told the truth", "who broke {aobj}"],
        "beats": [
            SETTINGS,
            ["{He} was playing with {aobj}. It was not {his} {thing}. It was {F}'s.",
             "{He} saw {aobj} that belonged to {F}, {afdesc} {fkind}."],
            ["{N} threw it up high, and it fell to the ground.", "{N} ran too fast and fell on it.",
             "{N} held it too hard."],
            ["Crack! The {thing} broke.", "Oh no! The {thing} was broken.", "The {thing} broke into two pieces."],
            ["{N} was scared and wanted to hide it.", "{N} put the pieces {hiding}.", "{N} did not want anyone to know."],
            ["Soon {F} came back and looked for the {thing}.", 'Then {F} came. "Where is my {obj}?" {fhe} asked.'],
            ["{N} felt bad all over.", "{N} looked at the ground.", "{His} heart beat fast.", None],
            ['"I broke it," said {N}. "I am very sorry."', '"It was me," {he} said. "I am sorry, {F}."',
             "At last, {N} told {F} the truth."],
            ['{F} was sad, but then {fhe} smiled. "Thank you for telling me," {fhe} said.',
             '"It is all right," said {F}. "We can fix it."', '"You are brave to tell the truth," said {F}.'],
            ["Together they fixed the {thing}.", "{N} and {F} worked together, and soon the {thing} was like new.",
             "{N} helped {F} to make a new {thing}."],
            ["{N} learned that it is best to tell the truth.", "{N} felt much better.",
             "{N} learned that a good friend can forgive."],
            ENDINGS,
        ],
        "qa": [("What did {N} break?", "{N} broke {aobj}."), ("Whose {thing} was it?", "It was {F}'s {thing}.")],
    },
    "gift": {
        "about": ["who made a gift", "who made {aobj}"],
        "beats": [
            ["{N} had a good friend named {F}, {afdesc} {fkind}.", "{His} best friend was {F}, {afdesc} {fkind}."],
            ["One day, it was {F}'s birthday.", "It was almost {F}'s birthday.", "One {weather} {time}, {F} was sick in bed."],
            ["{N} wanted to give {fhim} something nice.", '"What can I give to {F}?" {N} thought.',
             "{N} wanted to make {F} happy."],
            ["But {he} had no money.", "{He} looked in the shop, but everything cost too much.", "{He} thought and thought.", None],
            ['"You can make something," said {his} {elder}.', "Then {he} had an idea.",
             '"The best gifts come from the heart," said {his} {elder}.'],
            ["So {N} made {aobj}.", "{He} worked all day and made {aobj}.", "{N} found some old things and made {aobj}."],
            ["It was not perfect, but it was made with love.", "It was small, but it was very pretty.",
             "It took a long time, but {he} did not stop.", None],
            ["Then {he} walked to {F}'s house.", "{He} put it in a box and took it to {F}.", "In the evening, {he} gave it to {F}."],
            ['"For me?" asked {F}.', '"This is for you," said {N}.', '"Surprise!" said {N}.'],
            ["{F} opened the box, and {fhis} eyes were bright.", '"It is the best gift ever!" said {F}.',
             "{F} was so happy that {fhe} began to sing."],
            ["{N} learned that a gift from the heart is the best gift.", "{N} was glad that {he} had made it {himself}.",
             "They ate {afood} together."],
            ENDINGS,
        ],
        "qa": [("What did {N} make?", "{N} made {aobj}."), ("Who was the gift for?", "It was for {F} the {fkind}.")],
    },
    "race": {
        "about": ["who wanted to win {arace}", "and {arace}"],
        "beats": [
            ["One {weather} {time}, there was {arace} {inplace}.", "One day, everyone came to the {place} for {arace}."],
            ["{N} wanted to win.", '"I want to win!" said {N}.', "The winner would get {aobj}."],
            ["{F}, {afdesc} {fkind}, wanted to win, too.", "{afdescCap} {fkind} named {F} was there, too."],
            ['"You are too slow," said {F}. "I will win."', '"Good luck, {N}!" said {F}.', "{F} was very good at it."],
            ["{N} practiced every day.", "{N} was nervous, but {he} wanted to try.", '{His} {elder} said, "Just do your best."'],
            ["Then it was time to start.", '"One, two, three, go!" someone called.', "Everyone was ready."],
            ["{N} was doing very well.", "{N} was in front of everyone.", "At first, {F} was the best."],
            ["But then {F} fell down and hurt {fhis} leg.", "But suddenly, {F} fell to the ground.",
             'Then {F} stopped. "My leg hurts!" {fhe} cried.'],
            ["{N} stopped to help {F}.", "{N} could win now, but {he} went back to help.", '"Let me help you," said {N}.'],
            ["They finished last, but they finished together.", "Arm in arm, they walked to the end.",
             "They did not win, but they did not care."],
            ["Everyone clapped for {N}.", '"You are the real winner," said {F}.', "{F} gave {N} {afood} to say thank you."],
            ["{N} learned that being kind is better than winning.", "{N} learned that a friend is better than a prize."],
            ENDINGS,
        ],
        "qa": [("Who fell down?", "{F} the {fkind} fell down."), ("Did {N} win?", "No, {N} stopped to help {F}.")],
    },
    "seed": {
        "about": ["who planted a seed", "and {aflower}"],
        "beats": [
            ["One {time}, {N} found a tiny seed {hiding}.", "{His} {elder} gave {him} a tiny seed.",
             "One {weather} {time}, a bird dropped a seed in front of {N}."],
            ['"What will it be?" {he} asked.', "{N} wanted to see what it would be.", '"I will plant it," said {N}.'],
            ["{He} put it in the ground and gave it water.", "{He} made a small hole {inplace} and planted it there."],
            ["The next day, nothing was there.", "{He} waited and waited, but nothing happened.", "Days went by, and nothing came up."],
            ["{afdescCap} {fkind} named {F} came to look.", "Then {F}, {afdesc} {fkind}, came by."],
            ['"It will never grow," said {N}.', '"Why does it not grow?" asked {N}.', '"Maybe it is a bad seed," {N} said.'],
            ['"You must wait," said {F}. "Good things take time."', '"Give it water and sun," said {F}.',
             '"Do not give up," {F} said.'],
            ["So {N} gave it water every day.", "So every {time}, {N} and {F} took care of the seed.",
             "{N} sang to the seed every {time}."],
            ["Then, one {time}, there was a small green leaf!", "At last, something green came out of the ground.",
             "One {time}, {N} saw a tiny leaf."],
            ["It grew and grew, and soon it was {aflower}.", "Soon it was the biggest {flower} {inplace}.",
             "By summer, there was a beautiful {flower}."],
            ['"Look, {F}! It grew!" said {N}.', "{N} jumped up and down with joy.", '"You were right, {F}," said {N}.'],
            ["{N} learned to wait.", "{N} learned that good things take time.", "{N} learned never to give up."],
            ENDINGS,
        ],
        "qa": [("What grew from the seed?", "It grew into {aflower}."), ("Who told {N} to wait?", "{F} the {fkind} told {N} to wait.")],
    },
    "home": {
        "about": ["who got lost", "who could not find the way home"],
        "beats": [
            SETTINGS,
            ["{He} saw a butterfly and ran after it.", "{He} walked and walked and did not look back.",
             "{He} was looking for {afood}, and {he} went too far."],
            ["Soon {he} did not know where {he} was.", "When {he} looked around, nothing looked like home.",
             "Then it began to get dark, and {he} was lost."],
            SAD,
            ['"I want to go home," {he} said.', '"Where is my house?" {he} cried.', "{He} missed {his} {elder}.", None],
            MEETINGS, ASKS,
            ['"I am lost," said {N}.', '"I cannot find my way home," said {N}.'],
            ['"Where do you live?" asked {F}.', '"I know every path here," said {F}.', '"Follow me," said {F}.'],
            ["They walked past the {place2} and over a bridge.", "They walked along the {place2} for a long time.",
             "{F} told funny stories, and {N} was not afraid any more."],
            ["At last, {N} saw a light. It was {his} home!", "Then {N} saw {his} house on the hill.",
             'Then they heard a voice. "{N}! {N}!" It was {his} {elder}.'],
            ["{His} {elder} ran out and gave {him} a big hug.", '"We were so worried!" said {his} {elder}.',
             "{His} {elder} was so happy to see {him}."],
            ["{F} stayed for dinner, and they ate {afood}.", '"Thank you for bringing {him} home," {his} {elder} said to {F}.',
             '"Please come again," {N} said to {F}.'],
            ["{N} learned not to go too far alone.", "{N} learned to stay close to home."],
            ENDINGS,
        ],
        "qa": [("Who helped {N} get home?", "{F} the {fkind} helped {N} get home."), ("Who was waiting at home?", "{N}'s {elder} was waiting at home.")],
    },
    "build": {
        "about": ["who built {abuild}", "and {abuild}"],
        "beats": [
            ["One {weather} {time}, {N} wanted to build {abuild}.", "One day, {N} had a big idea. {He} wanted to build {abuild}."],
            ["{He} found some wood {hiding}.", "{He} took some wood and some rope.", "{He} looked for wood {inplace}."],
            ["{N} worked all {time}, but the {build} fell down.", "{He} worked very hard, but then the {build} fell down."],
            SAD,
            ["{F}, {afdesc} {fkind}, saw it.", "{afdescCap} {fkind} named {F} was watching."],
            ['"Do you need help?" asked {F}.', '"May I help you?" {fhe} asked.', '"Two can do more than one," said {F}.'],
            ['"No, I can do it alone," said {N}.', '"Yes, please!" said {N}.', "{N} wanted to do it alone, but {he} was tired."],
            ["Then it fell down again, so {N} asked {F} to help.", "So they began to work together.",
             "{F} held the wood, and {N} tied the rope.", None],
            ["They worked until the sun went down.", "{F} was strong, and {N} was clever.", "They laughed and sang while they worked."],
            ["At last, the {build} was ready.", "When they were done, they had the best {build} {inplace}.",
             "In the evening, the {build} was done."],
            ['"We did it!" they said.', '"It is wonderful!" said {F}.', '"It is our {build}," said {N}.'],
            ["{N} learned that it is better to work together.", "{N} learned that many hands make work easy."],
            ENDINGS,
        ],
        "qa": [("What did {N} build?", "{N} built {abuild}."), ("Who helped {N}?", "{F} the {fkind} helped {N}.")],
    },
    "newfriend": {
        "about": ["who wanted a friend", "who made a new friend"],
        "beats": [
            ["But {N} had no one to play with.", "{N} was lonely and wanted a friend.", "{N} had many toys but no friends."],
            SETTINGS,
            ["{He} saw a butterfly. \"Will you be my friend?\" {he} asked. But it flew away.",
             "{He} asked the wind to play, but the wind only blew.", "{He} saw some ducks, but they were too busy to play.", None],
            ["Then {he} saw {F}, {afdesc} {fkind}, sitting alone {hiding}.", "Then {he} saw {afdesc} {fkind} named {F} {hiding}."],
            ['"Hello," said {N}. "My name is {N}."', '"Hello! What is your name?" asked {N}.'],
            ['"My name is {F}," said the {fkind}.', '"I am {F}," {fhe} said quietly.'],
            ['"Do you want to play {game}?" asked {N}.', '"I have {aobj}. Do you want to see it?" asked {N}.',
             '"Why are you alone?" asked {N}.'],
            ['"Yes! I was lonely, too," said {F}.', '"I would love to," said {F}.', '"I am new here," said {F}. "I have no friends."'],
            ["So they played {game} all {time}.", "They ran, jumped, and laughed.", "They looked at the clouds and told stories."],
            ["They ate {afood} together.", "Then they sat under a tree and shared {afood}.", None],
            ['"You are my best friend," said {N}.', '"Will you come back tomorrow?" asked {F}.', '"This was the best day ever," said {F}.'],
            ["{N} was not lonely any more.", "{N} learned that a friend can be anywhere.",
             "{N} learned that a kind word can make a friend."],
            ENDINGS,
        ],
        "qa": [("Who was {N}'s new friend?", "{F} the {fkind} was {N}'s new friend."), ("Where did {N} see {F}?", "{N} saw {F} {hiding}.")],
    },
    "storm": {
        "about": ["and a storm", "and a rainy day"],
        "beats": [
            SETTINGS,
            ["Suddenly, the sky turned dark.", "Then big clouds came, and the sun was gone.", "Then it began to rain."],
            ["The wind blew, and the rain came down hard.", "The rain fell and fell.", "Everything was wet and cold."],
            ["{N} ran to {his} house and closed the door.", "{N} looked for a dry place and found a small cave."],
            ["Then there was a knock.", "Then {he} heard someone outside.", "Soon {he} heard a small voice."],
            ["It was {F}, {afdesc} {fkind}, and {fhe} was very wet.", "{afdescCap} {fkind} named {F} stood in the rain."],
            ['"May I come in?" asked {F}.', '"I am so cold," said {F}.', '"The rain took my house," said {F}.'],
            ['"Of course! Come in," said {N}.', '"Come in and get warm," said {N}.', "{N} let {fhim} in right away."],
            ["{N} gave {F} {afood} and a warm blanket.", "{N} made a small fire and gave {F} {afood}."],
            ["They told stories while the rain fell.", "They sang songs and were not afraid of the storm.",
             "They played games all {time}."],
            ["In the morning, the sun came out.", "At last, the rain stopped, and the sky was blue.",
             "When the storm was over, there was a rainbow."],
            ['"Thank you for letting me in," said {F}.', '"You are a good friend," said {F}.', '"Look at the rainbow!" said {N}.'],
            ["{N} learned that it is good to open the door to others.", "{N} learned that a storm is not so bad with a friend."],
            ENDINGS,
        ],
        "qa": [("Who came to the door?", "{F} the {fkind} came in from the rain."), ("What did {N} give to {F}?", "{N} gave {F} {afood}.")],
    },
}


def story(rng):
    """Returns (text, facts, plot name)."""
    f = facts(rng)
    plot = rng.choice(sorted(PLOTS))
    f["afdescCap"] = f["afdesc"][0].upper() + f["afdesc"][1:]
    f["place2"] = rng.choice([p for p in ("river", "forest", "road", "lake", "field") if p != f["place"]])
    opening = rng.choice(OPENINGS)
    sentences = [opening, rng.choice(HABITS)]
    for beat in PLOTS[plot]["beats"]:
        options = beat
        if beat is SETTINGS and "One {weather} {time}" in opening:
            options = ["Soon {he} was playing {inplace}.", "{He} went for a walk {inplace}.",
                       "{N} and {his} {elder} went to the {place}."]
        sentences.append(rng.choice(options))
    sentences = [s for s in sentences if s]
    # nearer to the end, stories may stop with the lesson
    if rng.random() < 0.15:
        sentences.pop()
    words = [s.format_map(f) for s in sentences]
    if rng.random() < 0.5:
        return " ".join(words), f, plot
    # paragraphs: beginning, middle, end
    a, b = rng.choice([2, 3]), len(words) - rng.choice([2, 3])
    return "\n".join([" ".join(words[:a]), " ".join(words[a:b]), " ".join(words[b:])]), f, plot


REQUESTS = [
    "Tell me a story about {akind} named {N}.", "Tell me a story about {akind} named {N}.",
    "Tell me a story about {adesc} {kind} named {N}.", "Tell me a story about {akind}.",
    "Can you tell me a story about {akind} named {N}?", "Write a story about {akind} called {N}.",
    "Please tell me a story about {N} the {kind}.", "I want to hear a story about {adesc} {kind}.",
    "Tell me a story about {akind} named {N} and {afkind} named {F}.", "Write a short story about {N} and {F}.",
    "Tell me a story about {akind} {about}.", "Write a story about {akind} named {N} {about}.",
    "Can you tell me a story about {adesc} {kind} {about}?", "Tell me a story that happens {inplace}.",
    "Tell me a story.", "Please tell me a bedtime story.",
]
SYSTEMS = ["You are a friendly storyteller.", "You tell short stories for children.", "You are a helpful assistant."]
SMALL_TALK = [
    (["Hello!", "Hi!", "Hello, how are you?", "Hi there!", "Good morning!"],
     ["Hello! Would you like to hear a story?", "Hello! I can tell you a story.", "Hi! What story would you like to hear?"]),
    (["Who are you?", "What are you?", "What is your name?", "What can you do?"],
     ["I am a little storyteller. I can tell you a story.", "I am a tiny model that tells stories."]),
    (["Thank you!", "Thank you for the story.", "That was a nice story.", "Good night!"],
     ["You are welcome! Would you like to hear another story?", "You are welcome! Good night, and sweet dreams.",
      "I am glad that you liked it."]),
]


def chat(rng, encode):
    """A conversation, as token ids."""
    ids = [BOS]

    def say(role, text):
        ids.extend([role, *encode(text), END])

    if rng.random() < 0.15:
        say(SYSTEM, rng.choice(SYSTEMS))
    if rng.random() < 0.08:
        questions, answers = rng.choice(SMALL_TALK[:2])
        say(USER, rng.choice(questions))
        say(ASSISTANT, rng.choice(answers))
        if rng.random() < 0.3:
            return ids + [EOS]
    text, f, plot = story(rng)
    about = rng.choice(PLOTS[plot]["about"]).format_map(f)
    say(USER, rng.choice(REQUESTS).format_map({**f, "akind": article(f["kind"]), "about": about}))
    say(ASSISTANT, text)
    if rng.random() < 0.4:
        for question, answer in rng.sample(PLOTS[plot]["qa"], rng.choice([1, 2])):
            say(USER, question.format_map(f))
            say(ASSISTANT, answer.format_map(f))
    if rng.random() < 0.15:
        questions, answers = SMALL_TALK[2]
        say(USER, rng.choice(questions))
        say(ASSISTANT, rng.choice(answers))
    return ids + [EOS]


def held_out_stories(seed, size=50_000):
    rng = random.Random(f"held-out {seed}")
    stories, total = [], 0
    while total < size:
        text = story(rng)[0]
        stories.append(text)
        total += len(text) + 2
    return stories


# ---------------------------------------------------------------------------------------------------------------
# Tokenizer

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<|system|>' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|assistant|>' }}"
    "{% else %}{{ raise_exception('Unknown role: ' + message['role']) }}{% endif %}"
    "{{ message['content'] | trim }}{{ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(seed):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    rng = random.Random(f"tokenizer {seed}")
    texts = [story(rng)[0] for _ in range(6000)]
    for questions, answers in SMALL_TALK:
        texts += (questions + answers) * 20
    for _ in range(1500):
        _, f, plot = story(rng)
        about = rng.choice(PLOTS[plot]["about"]).format_map(f)
        texts.append(rng.choice(REQUESTS).format_map({**f, "akind": article(f["kind"]), "about": about}))
        texts += [q.format_map(f) + "\n" + a.format_map(f) for q, a in PLOTS[plot]["qa"]]
    texts += SYSTEMS * 50
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", pair="<|bos|> $A $B", special_tokens=[("<|bos|>", BOS)])
    assert [tokenizer.token_to_id(t) for t in SPECIAL] == list(range(len(SPECIAL)))
    return tokenizer


def write_tokenizer(tokenizer, path):
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    config = {
        "added_tokens_decoder": {str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False,
                                          "single_word": False, "special": True} for i, t in enumerate(SPECIAL)},
        "bos_token": "<|bos|>",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|eos|>",
        "model_max_length": CONTEXT,
        "pad_token": "<|pad|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (path / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


# ---------------------------------------------------------------------------------------------------------------
# Training

SIZES = {
    "tiny-stories": dict(hidden_size=192, intermediate_size=512, num_hidden_layers=6, num_attention_heads=6,
                         num_key_value_heads=2, head_dim=32),
    "tiny-stories-draft": dict(hidden_size=96, intermediate_size=256, num_hidden_layers=4, num_attention_heads=3,
                               num_key_value_heads=1, head_dim=32),
}


def build_model(name, vocab_size):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    config = LlamaConfig(vocab_size=vocab_size, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
                         bos_token_id=BOS, eos_token_id=[EOS, END], pad_token_id=PAD, rms_norm_eps=1e-5,
                         initializer_range=0.06, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
                         **SIZES[name])
    return LlamaForCausalLM._from_config(config, attn_implementation="sdpa")


def copy_heads(model, tokenizer):
    """Start the upper half of the layers with heads that look back at names (or at other facts) and copy them.

    Copying from the context is what a story needs most and what so short a training would hardly find alone.
    Embeddings get one direction that all tokens share, one for names and one for other facts; queries read the
    first, keys the second or third, both on slow rotary dimensions; the output projection is the transpose of the
    value projection, so a token's own embedding is written back.  Training is free to change all of it.
    """
    import torch

    config = model.config
    gen = torch.Generator().manual_seed(8)
    width, head, heads, groups = config.hidden_size, config.head_dim, config.num_attention_heads, config.num_key_value_heads
    directions, _ = torch.linalg.qr(torch.randn(width, 3, generator=gen))
    shared, name_like, fact_like = directions.T

    def ids(words):
        encoded = [tokenizer.encode(p + w, add_special_tokens=False).ids for w in words for p in ("", " ")]
        return sorted({e[0] for e in encoded if len(e) == 1})

    facts_words = [*KINDS, "boy", "girl", *COLORS, *OBJECTS, *FLOWERS, *BUILDS, *DESCS, *FDESCS, *ELDERS,
                   *(p for p, _ in PLACES), *(w for food in FOODS for w in food.split() if len(w) > 2)]
    with torch.no_grad():
        embedding = model.model.embed_tokens.weight
        embedding.normal_(0, 0.05, generator=gen)
        embedding -= embedding @ directions @ directions.T
        embedding += 0.5 * shared
        embedding[ids(BOYS + GIRLS)] += 0.5 * name_like
        embedding[ids(sorted(set(facts_words)))] += 0.5 * fact_like
        for layer in model.model.layers:  # embeddings must stay visible among what the layers add
            layer.self_attn.o_proj.weight *= 0.05
            layer.mlp.down_proj.weight *= 0.05
        slow = torch.zeros(head)
        slow[11:16] = 0.3
        for layer in model.model.layers[config.num_hidden_layers // 2:]:
            a = layer.self_attn
            for group in range(groups):
                source = name_like if group == 0 else fact_like
                if groups == 1:
                    source = (name_like + 0.7 * fact_like) / 1.2
                rows = slice(group * head, (group + 1) * head)
                value = torch.randn(width, head, generator=gen)
                value -= directions @ (directions.T @ value)
                value = torch.linalg.qr(value)[0].T
                a.v_proj.weight[rows] = value
                a.k_proj.weight[rows] = 0.3 * a.k_proj.weight[rows] + slow[:, None] * source[None]
                for h in range(group * heads // groups, (group + 1) * heads // groups):
                    columns = slice(h * head, (h + 1) * head)
                    a.q_proj.weight[columns] = 0.3 * a.q_proj.weight[columns] + slow[:, None] * shared[None]
                    a.o_proj.weight[:, columns] = 0.02 * value.T


def export(model, path):
    import torch

    half = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()
            if k != "lm_head.weight"}
    from safetensors.torch import save_file

    path.mkdir(parents=True, exist_ok=True)
    save_file(half, path / "model.safetensors.tmp", metadata={"format": "pt"})
    os.replace(path / "model.safetensors.tmp", path / "model.safetensors")
    os.chmod(path / "model.safetensors", 0o644)
    c = model.config
    # the form of public Llama checkpoints (rope_theta and torch_dtype at the top level)
    config = {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": BOS, "eos_token_id": [EOS, END], "head_dim": c.head_dim, "hidden_act": "silu",
        "hidden_size": c.hidden_size, "initializer_range": c.initializer_range,
        "intermediate_size": c.intermediate_size, "max_position_embeddings": CONTEXT, "mlp_bias": False,
        "model_type": "llama", "num_attention_heads": c.num_attention_heads,
        "num_hidden_layers": c.num_hidden_layers, "num_key_value_heads": c.num_key_value_heads,
        "pad_token_id": PAD, "rms_norm_eps": c.rms_norm_eps, "rope_scaling": None, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": c.vocab_size,
    }
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    # Greedy until somebody asks for a temperature, so that the first command prints the same story everywhere.
    generation = {"bos_token_id": BOS, "do_sample": False, "eos_token_id": [EOS, END], "pad_token_id": PAD,
                  "temperature": 0.7, "top_k": 40, "top_p": 0.95}
    (path / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


class Stream:
    """An endless stream of token ids from fresh documents; a story of the held-out text never appears."""

    def __init__(self, seed, tokenizer, held_out):
        self.rng = random.Random(f"train {seed}")
        self.held_out = set(held_out)
        self.tokenizer = tokenizer

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def story(self):
        while True:
            text = story(self.rng)[0]
            if text not in self.held_out:
                return text

    def document(self):
        roll = self.rng.random()
        if roll < 0.35:
            return chat(self.rng, self.encode)
        if roll < 0.5:  # several stories with an empty line between, as in the held-out file
            text = "\n\n".join(self.story() for _ in range(3)) + "\n"
        else:
            text = self.story()
        return [BOS, *self.encode(text), EOS]

    def batches(self, budget):
        """Batches of about `budget` tokens: whole documents of similar length, padded; -100 marks padding."""
        import torch

        while True:
            documents = sorted((self.document()[:CONTEXT + 1] for _ in range(384)), key=len)
            groups, group = [], []
            for ids in documents:
                if group and (len(group) + 1) * (len(ids) - 1) > budget:
                    groups.append(group)
                    group = []
                group.append(ids)
            groups.append(group)
            self.rng.shuffle(groups)
            for group in groups:
                width = max(map(len, group))
                x = torch.full((len(group), width), PAD)
                y = torch.full((len(group), width), -100)
                for row, ids in enumerate(group):
                    x[row, :len(ids)] = torch.tensor(ids)
                    y[row, :len(ids)] = torch.tensor(ids)
                yield x[:, :-1], y[:, 1:]


def perplexity(model, ids, window=256, stride=128):
    """Perplexity of a token stream; every token is predicted with at least `window - stride` tokens before it."""
    import torch
    import torch.nn.functional as F

    loss, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for start in range(0, len(ids) - 1, stride):
            piece = torch.tensor(ids[start:start + window + 1])
            logits = model(piece[None, :-1]).logits[0].float()
            skip = 0 if start == 0 else window - stride
            if len(piece) - 1 > skip:
                loss += F.cross_entropy(logits[skip:], piece[1 + skip:], reduction="sum").item()
                count += len(piece) - 1 - skip
            if start + window + 1 >= len(ids):
                break
    model.train()
    return math.exp(loss / count), count


def fast_logits(model, x, y):
    """Logits (float32) at the positions that y scores; the same mathematics as the model, in bfloat16.

    On a CPU this is about twice as fast as the general implementation: grouped heads share their keys without
    copies, weights that read the same input are one product, and padding is dropped before the output layer.
    """
    import torch
    import torch.nn.functional as F

    c = model.config
    half = torch.bfloat16
    batch, length = x.shape
    groups, head = c.num_key_value_heads, c.head_dim
    share = c.num_attention_heads // groups
    freqs = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, head, 2) / head)
    cos, sin = (torch.cat([t, t], -1).to(half) for t in (freqs.cos(), freqs.sin()))
    mask = torch.full((length, length), float("-inf"), dtype=half).triu(1)
    embedding = model.model.embed_tokens.weight.to(half)

    def rotate(t):
        a, b = t.chunk(2, -1)
        return t * cos + torch.cat([-b, a], -1) * sin

    def norm(t, module):
        return F.rms_norm(t, (c.hidden_size,), module.weight.to(half), c.rms_norm_eps)

    h = F.embedding(x, embedding)
    for layer in model.model.layers:
        a = layer.self_attn
        weight = torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]).to(half)
        qkv = F.linear(norm(h, layer.input_layernorm), weight).view(batch, length, -1, head).transpose(1, 2)
        q, k, v = qkv.split([groups * share, groups, groups], 1)
        q = rotate(q).reshape(batch, groups, share * length, head)
        k = rotate(k) * head**-0.5
        scores = (q @ k.transpose(-1, -2)).view(batch, groups, share, length, length) + mask
        mixed = scores.softmax(-1).view(batch, groups, share * length, length) @ v
        mixed = mixed.view(batch, groups * share, length, head).transpose(1, 2).reshape(batch, length, -1)
        h = h + F.linear(mixed, a.o_proj.weight.to(half))
        m = layer.mlp
        both = F.linear(norm(h, layer.post_attention_layernorm),
                        torch.cat([m.gate_proj.weight, m.up_proj.weight]).to(half))
        gate, up = both.chunk(2, -1)
        h = h + F.linear(F.silu(gate) * up, m.down_proj.weight.to(half))
    return F.linear(norm(h[y >= 0], model.model.norm), embedding).float()


def train(name, tokenizer, held_out, args):
    import torch
    import torch.nn.functional as F

    path = args.out / name
    steps = args.steps or {"tiny-stories": 1000, "tiny-stories-draft": 600}[name]
    model = build_model(name, tokenizer.get_vocab_size())
    copy_heads(model, tokenizer)
    count = sum(p.numel() for p in model.parameters())
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    optimizers = [(torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.98), weight_decay=0.0), 1.5e-3),
                  (torch.optim.Muon(matrices, lr=1.0, momentum=0.95, weight_decay=0.01), 0.015)]
    warmup, decay = 40, 0.4
    stream = Stream(args.seed, tokenizer, held_out)
    held_ids = [BOS, *stream.encode("\n\n".join(held_out) + "\n")]
    write_tokenizer(tokenizer, path)
    print(f"{name}: {count} parameters, {steps} steps", flush=True)
    batches = stream.batches(8 * CONTEXT)
    begin, tokens, running = time.time(), 0, None
    for step in range(1, steps + 1):
        scale = min(1.0, step / warmup, 0.02 + (steps - step) / (decay * steps))
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * scale
        x, y = next(batches)
        loss = F.cross_entropy(fast_logits(model, x, y), y[y >= 0])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        tokens += (y >= 0).sum().item()
        running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
        if step % 20 == 0:
            print(f"{name} step {step} loss {running:.3f} {tokens / (time.time() - begin):.0f} tokens/s "
                  f"{time.time() - begin:.0f} s", flush=True)
        if step % 100 == 0 or step == steps:
            export(model, path)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                ppl, _ = perplexity(model, held_ids[:4000])
            print(f"{name} step {step}: held-out perplexity {ppl:.3f}", flush=True)
    from transformers import AutoModelForCausalLM

    final = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    ppl, scored = perplexity(final, held_ids)
    fresh = Stream(args.seed, tokenizer, held_out)
    seen = [BOS, *fresh.encode("\n\n".join(fresh.story() for _ in range(60)) + "\n")]
    train_ppl, _ = perplexity(final, seen)
    info = {"parameters": count, "steps": steps, "tokens": tokens, "seconds": round(time.time() - begin),
            "training_loss": round(running, 4), "training_story_perplexity": round(train_ppl, 4),
            "held_out_perplexity": round(ppl, 4), "held_out_tokens": scored,
            "bytes": sum(f.stat().st_size for f in path.iterdir())}
    print(name, json.dumps(info), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=MODELS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="instead of the numbers the bundled models were trained with")
    parser.add_argument("--models", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--sample", type=int, help="only print this many stories and conversations")
    args = parser.parse_args()
    if args.sample:
        rng = random.Random(args.seed)
        for _ in range(args.sample):
            text, f, plot = story(rng)
            print(f"[{plot}] {text}\n")
        return
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # only costs time here
    held_out = held_out_stories(args.seed)
    tokenizer = train_tokenizer(args.seed)
    (args.out / "tiny-stories").mkdir(parents=True, exist_ok=True)
    (args.out / "tiny-stories/held-out.txt").write_text("\n\n".join(held_out) + "\n")
    for name in args.models:
        train(name, tokenizer, held_out, args)


if __name__ == "__main__":
    main()
