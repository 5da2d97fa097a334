"""Words that planted errors swap: things of one kind, opposites, directions, forms of verbs.

Our own lists. Whatever reads the same text for errors has lists of its own, so that a check is not
measured by the words that it was made of.
"""

from __future__ import annotations

from evaluators.checks.text.claims import listed, word_set

# Each row holds things of one kind in one grammatical form; `_` stands for a space.
THINGS = {
    "en": (
        "mother father brother sister son daughter uncle aunt grandmother grandfather",
        "wife sister mother daughter", "husband brother father son",
        "brothers sisters sons daughters", "doctor nurse surgeon pharmacist physiotherapist",
        "cardiologist dermatologist neurologist urologist gastroenterologist oncologist",
        "arm leg", "arms legs", "hand foot", "hands feet", "knee shoulder elbow hip ankle wrist",
        "knees shoulders elbows hips ankles wrists", "chest abdomen", "back neck", "eye ear",
        "eyes ears", "liver kidney lung heart stomach", "lungs kidneys", "finger toe",
        "fingers toes", "tongue lip", "lips tongue gums", "head neck face", "thigh calf forearm",
        "headache toothache backache", "headaches migraines backaches",
        "nausea dizziness fatigue vertigo", "vomiting diarrhea constipation bloating",
        "fever cough rash wheezing", "chills cramps palpitations",
        "diabetes hypertension asthma epilepsy arthritis osteoporosis anemia gout",
        "pneumonia bronchitis sinusitis influenza", "stroke seizure",
        "cancer tuberculosis diabetes", "appendectomy tonsillectomy hysterectomy cholecystectomy",
        "aspirin ibuprofen acetaminophen naproxen", "tylenol advil aspirin",
        "lisinopril metoprolol amlodipine losartan atenolol",
        "metformin insulin glipizide", "atorvastatin simvastatin rosuvastatin pravastatin",
        "amoxicillin azithromycin doxycycline ciprofloxacin cephalexin",
        "penicillin sulfa codeine morphine", "omeprazole pantoprazole famotidine",
        "sertraline fluoxetine citalopram escitalopram", "warfarin heparin clopidogrel",
        "prednisone dexamethasone hydrocortisone", "alcohol tobacco marijuana cocaine caffeine",
        "blood urine stool", "x-ray ultrasound mri", "cat dog", "cats dogs", "beer wine whiskey",
        "tea coffee juice", "eggs nuts shellfish milk", "pizza sushi pasta", "chicken beef pork",
        "car motorcycle bicycle truck", "bus train plane ferry", "airport station harbor",
        "phone laptop tablet printer", "email letter fax", "password username", "app website",
        "router modem switch", "keyboard mouse monitor", "battery charger cable",
        "refund replacement voucher", "invoice receipt contract", "debit credit",
        "customer supplier", "buyer seller", "landlord tenant", "employer employee",
        "plaintiff defendant", "lender borrower", "licensor licensee", "teacher student",
        "manager director chairman", "president minister governor mayor", "judge jury",
        "police army", "king queen prince princess", "actor singer painter writer",
        "bank insurer airline retailer", "city village",
        "north south east west", "northern southern eastern western", "river lake mountain",
        "football basketball tennis hockey", "summer winter", "gold silver copper iron",
        "oil gas coal", "red blue green yellow black white", "leather cotton wool plastic wood",
        "boots sandals sneakers", "shirt jacket dress", "kitchen bathroom bedroom garage",
        "breakfast lunch dinner", "men women", "man woman", "male female", "boy girl",
        "boys girls", "adults children", "earthquake flood wildfire hurricane",
        "murder fraud theft",
    ),
    "de": (
        "Mutter Schwester Tochter Tante Großmutter", "Vater Bruder Sohn Onkel Großvater",
        "Arm Fuß Kopf Hals Rücken Bauch", "Hand Schulter Hüfte", "Knie Auge Ohr Bein",
        "Leber Lunge Niere", "Kopfschmerzen Rückenschmerzen Bauchschmerzen Zahnschmerzen",
        "Übelkeit Müdigkeit Atemnot", "Fieber Erbrechen", "Husten Schwindel Durchfall Ausschlag",
        "Diabetes Bluthochdruck", "Rechnung Quittung Mahnung", "Brief Vertrag Antrag",
        "Gutschrift Erstattung Nachlieferung", "Kunde Lieferant", "Käufer Verkäufer",
        "Mieter Vermieter", "Arbeitgeber Arbeitnehmer", "Kläger Beklagte", "Arzt Apotheker Chirurg",
        "Ärztin Apothekerin Chirurgin", "Flughafen Bahnhof Hafen", "Auto Motorrad Fahrrad",
        "Drucker Monitor Router", "Stadt Gemeinde", "Schule Bibliothek Klinik",
        "Kreditkarte Überweisung Lastschrift", "Kaffee Tee Wein", "Norden Süden Osten Westen",
        "Männer Frauen", "Kinder Erwachsene", "Küche Garage", "Sommer Winter Herbst",
    ),
}  # fmt: skip
FIRST_NAMES = (
    listed("James John Robert Michael William David Richard Thomas Charles Daniel Paul Mark Peter "
           "Martin Stefan Klaus Jürgen Ben Carl Max Felix Jonas Lukas Ahmed Omar Carlos Luis Ivan"),
    listed("Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Anna Laura "
           "Julia Sabine Petra Monika Ursula Lena Emma Sophie Fatima Maria Elena Olga Emily Lisa"),
)  # fmt: skip
LAST_NAMES = listed(
    "Smith Johnson Brown Davis Miller Wilson Moore Taylor Anderson Thompson Harris Clark Lewis "
    "Walker Hall Young Wright Baker Nelson Carter Müller Schmidt Schneider Fischer Weber Meyer "
    "Wagner Becker Hoffmann Koch Bauer Richter Klein Wolf Schröder Neumann Braun Zimmermann"
)
PLACES = (
    listed("London Paris Berlin Madrid Rome Vienna Munich Hamburg Chicago Boston Seattle Dallas "
           "Houston Denver Toronto Sydney Tokyo Beijing Moscow Dublin Manchester Zürich Köln"),
    listed("Germany France Spain Italy Austria Switzerland Poland Sweden Norway Denmark Canada "
           "Australia Japan China India Brazil Mexico Russia Turkey Egypt Ireland England"),
    listed("Deutschland Frankreich Spanien Italien Österreich Polen Schweden Norwegen Dänemark "
           "Kanada Australien Japan China Indien Brasilien Mexiko Russland England Irland"),
    listed("California Texas Florida Ohio Nevada Oregon Virginia Georgia Arizona Colorado"),
    listed("American British French German Italian Spanish Russian Chinese Japanese Canadian "
           "Australian Indian Brazilian Mexican Turkish Swedish"),
)  # fmt: skip
FIRMS = listed(
    "Microsoft Google Apple Amazon Facebook Samsung Sony Toyota Siemens Bosch Volkswagen BMW "
    "Lufthansa Nestle Walmart Boeing Airbus Intel Netflix Tesla Adidas Nike"
)
# A first name or place after these is one, even where no list has it.
PLACE_LEADS = word_set("in from near to at nach aus")

OPPOSITES = {
    "en": (
        "normal/abnormal mild/severe positive/negative acute/chronic good/bad better/worse "
        "best/worst open/closed opens/closes opened/closed early/late hot/cold warm/cool "
        "easy/difficult safe/dangerous satisfied/dissatisfied happy/unhappy likely/unlikely "
        "able/unable available/unavailable comfortable/uncomfortable "
        "stable/unstable regular/irregular complete/incomplete correct/incorrect valid/invalid "
        "legal/illegal necessary/unnecessary known/unknown usual/unusual healthy/unhealthy "
        "accept/reject accepts/rejects accepted/rejected accepting/rejecting "
        "approve/refuse approves/refuses approved/refused approving/refusing "
        "allow/forbid allows/forbids allowed/forbidden permit/prohibit permits/prohibits "
        "permitted/prohibited "
        "agree/disagree agrees/disagrees agreed/disagreed include/exclude includes/excludes "
        "included/excluded including/excluding improve/worsen improves/worsens improved/worsened "
        "improving/worsening win/lose wins/loses won/lost buy/sell buys/sells bought/sold "
        "buying/selling start/stop starts/stops started/stopped starting/stopping begin/end "
        "begins/ends began/ended love/hate loves/hates loved/hated like/dislike likes/dislikes "
        "liked/disliked succeed/fail succeeds/fails succeeded/failed success/failure "
        "support/oppose supports/opposes supported/opposed supporting/opposing remember/forget "
        "remembers/forgets remembered/forgot cheap/expensive cheaper/costlier large/small "
        "larger/smaller largest/smallest big/small bigger/smaller biggest/smallest long/short "
        "longer/shorter longest/shortest fast/slow faster/slower fastest/slowest strong/weak "
        "stronger/weaker strongest/weakest heavy/light heavier/lighter thick/thin thicker/thinner "
        "wide/narrow wider/narrower tight/loose clean/dirty dry/wet full/empty rich/poor "
        "young/elderly public/private internal/external temporary/permanent minor/major "
        "benign/malignant bilateral/unilateral anterior/posterior symptomatic/asymptomatic "
        "married/divorced alive/dead present/absent same/different true/false guilty/innocent "
        "active/inactive sufficient/insufficient sharp/dull constant/intermittent "
        "always/never often/rarely frequently/rarely everyone/nobody everything/nothing "
        "advantage/disadvantage advantages/disadvantages profit/loss profits/losses "
        "strength/weakness strengths/weaknesses benefit/harm friend/enemy well/poorly "
        "voluntary/mandatory optional/mandatory inpatient/outpatient "
        "quickly/slowly easily/hardly productive/nonproductive tender/nontender "
        "hire/dismiss hired/dismissed import/export imports/exports import/export "
        "attack/defend attacked/defended arrested/released "
        "praised/criticized encourage/discourage encouraged/discouraged appropriate/inappropriate "
        "effective/ineffective consistent/inconsistent sturdy/flimsy durable/fragile "
        "spacious/cramped quiet/noisy friendly/rude helpful/unhelpful reliable/unreliable "
        "accurate/inaccurate smooth/rough bright/dim modern/outdated"
    ),
    "de": (
        "gültig/ungültig möglich/unmöglich richtig/falsch verfügbar/unverfügbar alt/neu "
        "zufrieden/unzufrieden bekannt/unbekannt sicher/unsicher leicht/schwer gut/schlecht "
        "besser/schlechter groß/klein größer/kleiner lang/kurz länger/kürzer früh/spät "
        "früher/später schnell/langsam schneller/langsamer billig/teuer offen/geschlossen "
        "geöffnet/geschlossen akut/chronisch positiv/negativ auffällig/unauffällig "
        "regelmäßig/unregelmäßig vollständig/unvollständig "
        "erlaubt/verboten erfolgreich/erfolglos "
        "stark/schwach warm/kalt voll/leer öffentlich/privat intern/extern "
        "kostenlos/kostenpflichtig "
        "immer/nie oft/selten häufig/selten Käufer/Verkäufer Vorteil/Nachteil "
        "Vorteile/Nachteile Gewinn/Verlust Gewinne/Verluste angenommen/abgelehnt "
        "genehmigt/abgelehnt "
        "bestätigt/bestritten bestätigte/bestritt akzeptiert/abgelehnt gewonnen/verloren "
        "gekauft/verkauft verbessert/verschlechtert Verbesserung/Verschlechterung "
        "berechtigt/unberechtigt zulässig/unzulässig zuständig/unzuständig anwesend/abwesend "
        "stationär/ambulant gutartig/bösartig verheiratet/geschieden notwendig/unnötig"
    ),
}
DIRECTIONS = {
    "en": (
        "increase/decrease increases/decreases increased/decreased increasing/decreasing "
        "rise/fall rises/falls rose/fell risen/fallen rising/falling grow/shrink grows/shrinks "
        "grew/shrank growing/shrinking growth/decline gain/loss gains/losses gained/lost "
        "raises/lowers raised/lowered raising/lowering expand/contract "
        "higher/lower upper/lower highest/lowest high/low more/less most/least fewer/more "
        "above/below "
        "before/after earlier/later left/right went_up/went_down goes_up/goes_down go_up/go_down "
        "moved_up/moved_down upstairs/downstairs upward/downward "
        "upwards/downwards top/bottom maximum/minimum inside/outside "
        "at_least/at_most more_than/less_than elevated/reduced accelerate/slow upgrade/downgrade "
        "upgraded/downgraded ascending/descending superior/inferior proximal/distal "
        "exceeded/missed outperformed/underperformed majority/minority "
        "extended/shortened prior_to/following previous/next"
    ),
    "de": (
        "erhöht/gesenkt erhöhte/senkte erhöhen/senken Erhöhung/Senkung gestiegen/gefallen "
        "steigt/sinkt stieg/sank steigen/sinken steigend/fallend Anstieg/Rückgang Zunahme/Abnahme "
        "höher/niedriger höhere/niedrigere höheren/niedrigeren hoch/niedrig mehr/weniger "
        "mindestens/höchstens vor/nach vorher/nachher über/unter oberhalb/unterhalb links/rechts "
        "linke/rechte linken/rechten linker/rechter linkes/rechtes oben/unten obere/untere "
        "oberen/unteren maximal/minimal maximum/minimum erste/letzte ersten/letzten "
        "zugenommen/abgenommen verlängert/verkürzt wächst/schrumpft vorne/hinten "
        "innerhalb/außerhalb vergrößert/verkleinert"
    ),
}
# In these the word is none of the pair: `short of breath`, `well as`, `a 26-year-old`.
FIXED = {
    "en": (
        "short of|well as|as well|long as|high school|low back|new york|at all|all right|like a|"
        "like the|would like|looks like|feel like|feels like|felt like|to like|like to|"
        "right now|right away|all of|not all|after all|over the counter|over-the-counter|"
        "over time|over here|more and|more or less|once more|any more|no more|up to|up with|"
        "follow up|follow-up|up for|set up|up on|up-to-date|well-developed|lost to|left the|"
        "left for|left with|has left|have left|was left|were left|been left|left in|"
        "first name|first degree|last name|at first|last week|last year|last month|last time|"
        "last night|back to|back pain|back and|came back|come back|go back|went back|lower back|"
        "upper back|mid back|more than|less than|at least|at most|most of|the most|open to|"
        "full time|full-time|full term|full-term|present illness|presents with|present with|"
        "present for|at present|history of present|end of|the end|in the end|start of|"
        "over the past|over the last|over the next|over the years|just over|light of|back up|"
        "turned out|well-nourished|gain weight|weight gain|weight loss|hair loss|memory loss|"
        "hearing loss|vision loss|loss of|right to|hard to|hard of|long term|long-term|before that|"
        "falls asleep|fell asleep|fall asleep|fell on|fell down|fell in|fell off|bright red|"
        "light headed|same as|the same|free of|like this|like that|such as like|as long|so long|"
        "how long|how often|a little|good bye|good morning|up until|ended up|end up|ends up|"
        "wake up|wakes up|up at|made up|pick up|cold symptoms|a cold|common cold|cold and"
    ),
    "de": (
        "vor allem|über die|über den|über das|nach wie|vor ort|nach wie vor|alle drei|alle zwei|"
        "immer noch|immer wieder|nicht mehr|mehr als|alt und|jahre alt|unter anderem|"
        "unter der nummer|unter umständen|unter folgender|vor dem|nach dem|nach rücksprache|"
        "nach angaben|nach eigenen|nach oben|nach unten|nach links|nach rechts|nach hause"
    ),
}  # fmt: skip

# base, third person, past, participle where it differs from the past.
_VERBS = (
    "take takes took taken/use uses used/have has had/smoke smokes smoked/drink drinks drank "
    "drunk/report reports reported/include includes included/cover covers covered/work works "
    "worked/need needs needed/require requires required/want wants wanted/like likes liked/"
    "know knows knew known/see sees saw seen/feel feels felt/live lives lived/play plays "
    "played/eat eats ate eaten/sleep sleeps slept/pay pays paid/receive receives received/"
    "offer offers offered/allow allows allowed/provide provides provided/support supports "
    "supported/contain contains contained/show shows showed shown/reveal reveals revealed/"
    "cause causes caused/help helps helped/improve improves improved/increase increases "
    "increased/change changes changed/want wants wanted/go goes went gone/come comes came/"
    "get gets got/make makes made/give gives gave given/find finds found/think thinks thought/"
    "say says said/tell tells told/ask asks asked/call calls called/send sends sent/arrive "
    "arrives arrived/leave leaves left/return returns returned/start starts started/stop stops "
    "stopped/begin begins began begun/win wins won/lose loses lost/buy buys bought/sell sells "
    "sold/agree agrees agreed/accept accepts accepted/reject rejects rejected/confirm confirms "
    "confirmed/deny denies denied/affect affects affected/apply applies applied/lead leads led/"
    "occur occurs occurred/happen happens happened/remain remains remained/become becomes "
    "became/exercise exercises exercised/travel travels travelled/undergo undergoes underwent "
    "undergone/develop develops developed/experience experiences experienced/suffer suffers "
    "suffered/complain complains complained/notice notices noticed/tolerate tolerates "
    "tolerated/respond responds responded/attend attends attended/sign signs signed/deliver "
    "delivers delivered/contact contacts contacted/recommend recommends recommended/"
    "fit fits fitted/last lasts lasted/look looks looked/break breaks broke broken/"
    "hold holds held/keep keeps kept/run runs ran/wear wears wore worn/"
    "charge charges charged/expire expires expired/apologize apologizes apologized/"
    "die dies died/kill kills killed/attack attacks attacked/beat beats beat beaten/"
    "score scores scored/announce announces announced/publish publishes published/"
    "warn warns warned/plan plans planned/believe believes believed/produce produces produced/"
    "prevent prevents prevented/reduce reduces reduced/follow follows followed/walk walks "
    "walked/drive drives drove driven/fall falls fell fallen/weigh weighs weighed/"
    "speak speaks spoke spoken/meet meets met/join joins joined/visit visits visited/"
    "own owns owned/refer refers referred/treat treats treated/love loves loved/enjoy enjoys "
    "enjoyed/vomit vomits vomited/wheeze wheezes wheezed/radiate radiates radiated/exhibit "
    "exhibits exhibited/appear appears appeared/want wants wanted/"
    "consume consumes consumed/injure injures injured/perform performs performed"
)
VERBS = tuple(tuple(row.split()) for row in _VERBS.split("/"))
