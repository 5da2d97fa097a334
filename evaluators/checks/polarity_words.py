"""The words by which polarity is read: what denies, hedges, asserts, joins and breaks."""

from __future__ import annotations

from evaluators.checks.words import listed

NOT = frozenset({"not", "n't", "never"})
DENIERS = frozenset(listed("no without denies deny denying denied negative"))
TRIGGERS = frozenset({*NOT, *DENIERS, "any", "you"})
DETERMINERS = frozenset(
    listed("a an the any his her their its our my your this that these those some")
)
PRONOUNS = frozenset(listed("i he she we they it you there who this that these those"))
TRANSPARENT = frozenset(DETERMINERS | {"of"})
AUXILIARIES = frozenset(
    listed("was were is are am be been being has have had did does do will would can could")
)
ADVERBS = frozenset(
    listed(
        "also now ever still already again currently really very quite actually yet even so fully "
        "been just been completely entirely at all either"
    )
)
# Such words make the whole sentence useless as a witness, for or against.
HEDGES = frozenset(
    listed(
        "if whether may might could would should must possible possibly probable probably likely "
        "unlikely perhaps maybe suspect suspected suspicion suspicious risk risks avoid prevent "
        "prevents monitor evaluate evaluated rule ruled exclude excluded concern concerned worry "
        "worried fear feared unless until otherwise seem seems seemed appear appears appeared "
        "apparently think thinks thought believe believes believed guess doubt doubts unclear "
        "unsure uncertain unknown differential versus vs question questionable screening assess "
        "resolved resolving resolves stopped gone ceased better improved denial hardly barely "
        "scarcely rarely seldom neither refuse refused refuses declined claims claimed alleged "
        "allegedly supposedly hypothetical potential potentially cannot lack lacks unable fail "
        "fails failed ask asks asked requests requested wants wanted hopes hope expect expects"
    )
)
PSEUDO = frozenset(
    (a, b)
    for a, seconds in {
        "not": "only just sure certain necessarily merely simply always all every entirely quite "
        "completely fully much many enough even until so yet because very well without",
        "n't": "only just sure certain necessarily merely always all every entirely quite much "
        "many enough even until yet think know believe because really too very recall remember",
        "no": "longer doubt matter more less later sooner wonder one problem problems worries "
        "idea further other change changes difference",
        "without": "doubt question fail further",
        "never": "mind again before",
        "all": "but",
        "nothing": "but",
        "anything": "but",
        "used": "to",
        "other": "than",
        "rather": "than",
        "more": "than",
        "less": "than",
        "or": "not",
        "like": "this that these",
        "as": "needed",
        "in": "case",
    }.items()
    for b in seconds.split()
)
PSEUDO_HEADS = frozenset(first for first, _ in PSEUDO)
BREAKS = frozenset(
    listed(
        "; : ( ) [ ] . ! ? | • — – but however although though except aside apart besides because "
        "since while whereas which who whom whose so then instead yet despite when where after "
        "before unless until"
    )
)
JOINS = frozenset({",", "or", "nor", "and", "/", "&"})
# A list of nouns ends where a clause of its own begins.
CLAUSE_HEADS = frozenset(
    listed(
        "i he she we they it you there has have had is are was were am does do did will would can "
        "reports reported states stated presents presented complains complained notes noted says "
        "said admits endorses appears remains continues takes took also that"
    )
)
PREPOSITIONS = frozenset(
    listed(
        "in on at with to over around under by during for from into onto near between through "
        "upon about against within per as than like than across towards toward via regarding"
    )
)
LIGHT = frozenset(
    listed(
        "have has had having been being be experience experienced experiencing report reported "
        "reporting complain complained complaining notice noticed noticing feel felt feeling show "
        "showed shown reveal revealed demonstrate demonstrated get got getting contain contained "
        "include included any a an the"
    )
)
ASSERTING = frozenset(
    listed(
        "has have had having reports reported complains complained with develops developed "
        "experiences experienced experiencing gets got received admits endorses notes noted shows "
        "showed reveals revealed is was are were am been felt feels feeling includes included "
        "positive exhibits exhibited demonstrates demonstrated sustained suffered suffers "
        "been being contains contained"
    )
)
BARE_WITH = frozenset(
    listed(
        "presents presented presenting diagnosed male female man woman patient boy girl gentleman "
        "lady associated along admitted"
    )
)
DEGREES = frozenset(
    listed(
        "mild moderate severe slight bad terrible some occasional intermittent constant persistent "
        "high low acute chronic new recent significant worsening mildly intense sharp dull bit "
        "little lot of"
    )
)
PRESENT = frozenset(
    listed("noted seen found present reported observed detected identified appreciated evident")
)
GENERIC = frozenset(
    listed(
        "problem issu chang complaint concern evidenc sign symptom history difficulty thing other "
        "further additional significant acut reason need idea longer more one way time patient "
        "customer difference question doubt matter detail information medication treatment plan "
        "none nothing nobody someth anyth any anything everything much work case all part note "
        "answer comment known recent prior previou abnormal normal abnormality finding relief"
    )
)
# Both sides of a contradiction must speak of the same time and mood.
TIMES = frozenset(
    listed(
        "now currently today tonight tomorrow yesterday presently previously formerly initially "
        "recently ago last next past prior history earlier later before after since until during "
        "anymore again sometimes often usually occasionally morning night will would can could "
        "ever always once used still yet already first second third week month year when while"
    )
)
KIN = {
    form: kin
    for kin, forms in {
        "mother": "mother mom mum mommy mama mother's maternal",
        "father": "father dad daddy papa paternal",
        "brother": "brother brothers",
        "sister": "sister sisters",
        "son": "son sons",
        "daughter": "daughter daughters",
        "child": "child children kid kids baby",
        "wife": "wife",
        "husband": "husband",
        "grandmother": "grandmother grandma",
        "grandfather": "grandfather grandpa",
        "aunt": "aunt aunts",
        "uncle": "uncle uncles",
        "cousin": "cousin cousins",
        "family": "family familial relatives relative parents parent siblings sibling grandparents",
        "partner": "partner boyfriend girlfriend fiance fiancee roommate friend",
    }.items()
    for form in forms.split()
}
