"""Words of which one excludes the others: kin, callings, colours, places to be, things of a kind.

A line is one class and goes on where the next begins with blanks; a comma parts its members, and
the words of a member stand for each other. An output that names one member where the source names
another of the same matter has swapped them.
"""

from __future__ import annotations

from evaluators.checks.contradictions.opposites import Pole
from evaluators.checks.facts.known_names import PLACES
from evaluators.checks.text.statements import stem_word

CLASSES = """
red crimson scarlet, blue navy, green, yellow, black, white, purple violet, orange, pink, brown,
  grey gray
brother, sister
son, daughter
wife, husband
girlfriend, boyfriend
grandmother grandma, grandfather grandpa
teacher professor instructor lecturer, doctor physician surgeon, nurse, lawyer attorney
  solicitor barrister, engineer, pilot, chef cook, plumber, electrician, carpenter, mechanic,
  farmer, banker, accountant, dentist, pharmacist, journalist reporter, actor actress, singer,
  dancer, painter, author writer novelist, poet, soldier, sailor, policeman policewoman,
  firefighter fireman, baker, butcher, tailor, barber hairdresser, waiter waitress, librarian,
  architect, psychologist psychiatrist therapist, veterinarian vet, secretary, clerk, janitor
  cleaner, photographer, musician, footballer, goalkeeper, midfielder, striker forward, coach
  manager, referee
president, governor, mayor, senator, ambassador, chancellor, emperor, prince, princess, duke,
  bishop, priest, monk, pope, congressman congresswoman, councillor councilman
car automobile sedan, bus coach, train, bicycle bike, motorcycle motorbike, truck lorry, plane
  airplane aircraft jet, helicopter, boat, ship vessel, ferry, tram, taxi cab, van, scooter,
  submarine, yacht, subway
dog puppy, cat kitten, horse pony, cow cattle, pig, sheep lamb, goat, chicken, duck, bird, fish,
  rabbit, elephant, lion, tiger, bear, wolf, fox, monkey, snake, mouse, rat, shark, whale,
  turtle, hamster, parrot
breakfast, lunch, dinner supper, brunch
spring, summer, autumn, winter
football soccer, basketball, baseball, tennis, cricket, rugby, hockey, golf, volleyball,
  swimming, boxing, wrestling, badminton, cycling, rowing, skiing, gymnastics, athletics
guitar, piano, violin, drum, flute, trumpet, saxophone, cello, harp
mathematics maths math, physics, chemistry, biology, geography, economics, philosophy,
  psychology, sociology, linguistics, astronomy
hospital clinic, school, university college, church, prison jail, hotel, restaurant, museum,
  library, airport, stadium, theatre theater, supermarket, bank, factory, mosque, temple,
  castle, courthouse, cinema
kitchen, bathroom, bedroom, garage, garden, basement, attic, balcony, hallway, bedside
coffee, tea, beer, wine, whisky whiskey, vodka, milk, juice, lemonade, champagne
apple, banana, orange, strawberry, cherry, lemon, grape, pear, peach, pineapple, mango, melon
pizza, pasta spaghetti, burger hamburger, sandwich, salad, soup, steak, sushi, curry, cake,
  cookie, chocolate, pancake, bread, cheese, lasagne lasagna, omelette
gold, silver, copper, iron, aluminium aluminum, steel, bronze, nickel, lead, zinc, lithium,
  cobalt, platinum
oil petroleum, gas, coal, solar, nuclear, hydro hydroelectric, wind
earthquake, flood flooding, hurricane, tornado, wildfire, drought, tsunami, avalanche,
  landslide, volcano
murder homicide, robbery burglary theft, fraud, rape, arson, kidnapping, bribery, assault
knife, gun pistol, rifle, bomb, sword, axe, hammer, grenade
paris, london, berlin, madrid, rome, vienna, tokyo, beijing, moscow, chicago, boston, sydney,
  toronto, dublin
france french, germany german, spain spanish, italy italian, england english, china chinese,
  japan japanese, russia russian, india indian, brazil brazilian, mexico mexican, canada
  canadian, australia australian, sweden swedish, norway norwegian, poland polish, greece greek,
  turkey turkish, egypt egyptian, ireland irish, scotland scottish, netherlands dutch, portugal
  portuguese, korea korean, vietnam vietnamese, israel israeli, iran iranian, iraq iraqi, syria
  syrian, pakistan pakistani, nigeria nigerian, kenya kenyan, ukraine ukrainian
christian christianity, muslim islam islamic, jewish judaism, buddhist buddhism, hindu hinduism
republican, democrat democratic, communist, socialist, conservative tory, labour, liberal
mri, ultrasound, radiograph, colonoscopy, mammogram, biopsy, endoscopy, echocardiogram
email mail, letter, phone telephone call, fax, text sms
laptop computer, tablet, smartphone phone, television tv, camera, printer, headphone, keyboard
novel book, film movie, song, album, play, poem, painting, podcast, documentary
shirt, dress, skirt, jacket coat, sweater jumper, hat, shoe boot, sock, scarf, glove, trousers
  pants jeans
senate, congress, parliament, cabinet
euro, dollar, pound, yen, franc, rupee, rouble ruble, yuan
weekly, monthly, annual yearly annually, quarterly, hourly
freshman, sophomore, kindergarten, preschool
"""


def _index() -> dict[str, tuple[Pole, ...]]:
    found: dict[str, list[Pole]] = {}
    for line in CLASSES.strip().replace("\n  ", " ").splitlines():
        members = [frozenset(map(stem_word, member.split())) for member in line.split(",")]
        every = frozenset().union(*members)
        for same in members:
            for stem in same:
                found.setdefault(stem, []).append(Pole("entity", same, every - same))
    return {stem: tuple(poles) for stem, poles in found.items()}


ALTERNATIVES: dict[str, tuple[Pole, ...]] = _index()


def speaks_of_people(word: str, source_words: frozenset[str]) -> bool:
    """Whether a source that lacks the name of a country speaks of its people: Germany, German."""
    lower = word.casefold()
    poles = ALTERNATIVES.get(stem_word(lower), ())
    told = any(stem_word(other) in pole.same for pole in poles for other in source_words)
    return told or (
        lower in PLACES and any(len(p) > 4 and p.startswith(lower[:5]) for p in source_words)
    )
