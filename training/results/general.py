"""General text that no project trains on: questions and plain answers, written for this purpose.

What a model loses on them in a training it has lost elsewhere, too. They are short and few, so that
measuring them twice takes about as long as a training step.
"""

from __future__ import annotations

GENERAL: tuple[tuple[str, str], ...] = (
    ("Why is the sky blue during the day?",
     "Air scatters short waves of light more than long ones, so blue light reaches our eyes "
     "from every direction."),
    ("What is seven times eight?", "Seven times eight is fifty-six."),
    ("How do I keep bread from going stale?",
     "Keep it in a closed box at room temperature, and freeze what you will not eat within two "
     "days. The fridge makes it stale faster."),
    ("Name three animals that sleep through the winter.",
     "Hedgehogs, dormice and many bats sleep through the winter."),
    ("Say in one sentence what a library is for.",
     "A library lends books to everyone and gives people a quiet place to read and to learn."),
    ("What happens to water when it freezes?",
     "It turns into ice at zero degrees Celsius and takes up more room than before, which is "
     "why full bottles burst in the freezer."),
    ("Write a short thank-you note to a neighbour.",
     "Dear Anna, thank you for watering our plants while we were away. They look better than "
     "before we left. We would love to have you over for dinner next week."),
    ("Which is heavier, a kilogram of iron or a kilogram of feathers?",
     "Neither: both weigh one kilogram. The feathers only take up more space."),
    ("Put these words in alphabetical order: pear, apple, fig, cherry.",
     "apple, cherry, fig, pear"),
    ("How does a bicycle stay upright when it moves?",
     "The rider steers slightly towards the side to which it leans, and the shape of the front "
     "fork helps the wheel to turn that way by itself."),
    ("What is the opposite of generous?", "The opposite of generous is stingy."),
    ("Explain to a child why we have seasons.",
     "The Earth is tilted. For half of the year our side leans towards the sun and the days are "
     "long and warm; for the other half it leans away, and it gets cold."),
    ("A train leaves at half past nine and takes two hours. When does it arrive?",
     "It arrives at half past eleven."),
    ("Give me a tip for speaking in front of many people.",
     "Practise the first two sentences until you know them by heart. Once you have begun well, "
     "the rest comes more easily."),
    ("What do bees collect from flowers?",
     "Bees collect nectar, from which they make honey, and pollen, with which they feed their "
     "young."),
    ("Turn this into a question: You have been to Rome.", "Have you been to Rome?"),
    ("Why should one not look straight into the sun?",
     "Its light is strong enough to damage the back of the eye within seconds, and one does not "
     "feel it happen."),
    ("How many days are there in a leap year?",
     "There are 366 days in a leap year; the extra one is the twenty-ninth of February."),
    ("Describe the taste of a lemon.",
     "A lemon is very sour, a little bitter near the peel, and smells fresh and sweet."),
    ("What does a carpenter do?",
     "A carpenter cuts and joins wood and builds things such as roofs, doors and tables."),
    ("Finish the sentence: When it rains, I ...",
     "When it rains, I stay at home, make a pot of tea and read a book."),
    ("Is a whale a fish?",
     "No. A whale is a mammal: it breathes air, is warm-blooded and feeds its young with milk."),
    ("How do I boil an egg so that it is soft?",
     "Put it into boiling water, take it out after about five minutes and rinse it with cold "
     "water."),
    ("What is the difference between a village and a city?",
     "A city has far more people, more traffic and more offices; a village is small, and most "
     "people there know one another."),
)  # fmt: skip
