"""Words that say the opposite of each other, English and German, by what they tell.

A line is one axis and goes on where the next begins with blanks: words of one pole, a bar, words of
the other; `=` before them binds both to what follows. All words of a pole may stand for each other
when a source is read, so a word is on a pole only where it rarely means anything else.
Written for this project: no package that carries a lexical resource with antonyms is small enough
to be asked of everyone (see the guide on evaluators), so this list is all that is known of them.

Forms by -s, -ed, -ing and the like are found by `stem_word`; irregular ones are written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from evaluators.checks.text.statements import stem_word

DIRECTIONS = """
increase rise rose risen rising grow grew grown growth gain climb soar surge jump escalate
  expand expansion raise boost elevate upturn uptick hike | decrease fall fell fallen drop
  decline shrink shrank shrunk shrinkage reduce reduction plunge plummet slump lessen diminish
  dwindle downturn lower cut
improve improvement recover recovery better strengthen | worsen worse worsened deteriorate
  deterioration degrade weaken
higher highest upper | lower lowest
more | less fewer
= first | last
maximum maximal max | minimum minimal min
above exceed exceeding | below beneath
= before prior | after following
earlier sooner | later
early | late belated
accelerate faster quicker speed quicken hasten | decelerate slower slow delay slowed
fast quick rapid swift rapidly quickly swiftly | slow slowly gradual gradually sluggish
longer lengthen extend extended | shorter shorten shortened
larger bigger largest biggest greater | smaller smallest tiniest lesser
= left leftmost | right rightmost
north northern northward northwest northeast | south southern southward
east eastern eastward | west western westward
front anterior | rear posterior
inside within indoors indoor interior internal inner | outside outdoors outdoor exterior
  external outer
upstairs | downstairs
upward upwards | downward downwards
forward forwards onward | backward backwards
older elder oldest eldest | younger youngest
cheaper cheapest | pricier costlier dearer priciest
stronger strongest | weaker weakest
best | worst
easier easiest | harder hardest
widen broaden | narrow narrowed
multiply double doubled triple tripled | halve halved
import | export
inflow | outflow
profit profitable surplus | loss deficit unprofitable
appreciate appreciation | depreciate depreciation
overweight | underweight
overestimate overestimated overstate overstated | underestimate underestimated understate
  understated
proximal | distal
bilateral | unilateral
ascend ascending | descend descending
inhale | exhale
hypertension hypertensive | hypotension hypotensive
hyperthyroidism | hypothyroidism
tachycardia | bradycardia
"""
POLARITIES = """
approve approval accept acceptance endorse adopt ratify authorise authorize grant granted
  consent | reject rejection refuse refusal decline disapprove disapproval veto rebuff deny
  denied denial
agree agreed agreement | disagree disagreed disagreement refuse decline
allow permit permission let enable legalise legalize | forbid forbade forbidden prohibit ban
  prohibition disallow prevent block outlaw bar
confirm confirmed affirm admit acknowledge | deny denied denial refute rebut
pass passed succeed succeeded success successful successfully | fail failed failure unsuccessful
  unsuccessfully flunk
support supported supportive endorse favour favor advocate backing | oppose opposed opposition
  object condemn resist
praise applaud commend laud hail acclaim compliment congratulate | criticise criticize criticism
  condemn denounce slam lambast blame rebuke scold
win won winner victory victorious triumph | lose lost losing loser defeat defeated
include inclusion comprise | exclude exclusion omit omission
start begin began begun beginning commence launch initiate initiation onset | stop end ended
  cease finish conclude halt terminate termination discontinue quit
remember remembered recall | forget forgot forgotten forgetting
love loved enjoy enjoyed adore like liked | hate hated dislike disliked despise loathe detest
trust trusted believe believed | distrust mistrust disbelieve doubt
help helped helpful assist aid | hinder hamper impede obstruct unhelpful
buy bought purchase acquire acquisition buyer | sell sold sale seller divest divestiture
arrive arrival arrived | depart departure departed
lend lent lender | borrow borrower
push pushed | pull pulled
attack attacked attacker | defend defended defender
create created build built construct | destroy destroyed destruction demolish dismantle abolish
hire hired recruit employ | fire fired dismiss dismissed layoff sack sacked
appear appeared emerge | disappear disappeared vanish
stay stayed remain remained | leave leaving depart departed
save saved saving | waste wasted spend spent squander
reveal revealed disclose disclosed expose unveil | hide hid hidden conceal withhold withheld
open opened opening reopen | close closed closure shut
connect connected attach join | disconnect detach separate
encourage encouraged encouragement urge motivate | discourage discouraged deter dissuade
unite united unify merge merger combine | divide divided split separate
release released free freed liberate acquit acquitted | arrest arrested detain detained imprison
  jail jailed capture captured convict convicted
require required mandatory compulsory obligatory mandate | optional voluntary waive exempt
add added addition | remove removed removal delete subtract
attract attracted | repel repelled
punish punished punishment penalise penalize | reward rewarded forgive forgave forgiven pardon
obey comply compliance compliant | disobey violate violation breach noncompliance noncompliant
  defy
protect protected safeguard | endanger threaten harm jeopardise jeopardize
comfort reassure calm soothe | alarm frighten upset
answer answered reply | ask asked inquire
teach taught | learn learned learnt
rescue rescued | abandon abandoned desert
survive survived survival live | die died dead death perish
heal healed cure cured | injure injured hurt wound wounded
win | forfeit
fix fixed repair repaired mend | break broke broken damage damaged
activate activated enable enabled | deactivate deactivated disable disabled
lock locked | unlock unlocked
load loaded | unload unloaded
install installed | uninstall uninstalled
appoint appointed | resign resigned dismiss fire
innocent acquitted | guilty convicted
upgrade upgraded promote promoted promotion | downgrade downgraded demote demoted demotion
invest invested investment | divest divested
ignore ignored neglect neglected overlook | heed notice noticed
respect respected admire admired | disrespect despise insult insulted mock
thank thanked grateful gratitude thankful | ungrateful complain complained
laugh laughed smile smiled | cry cried weep wept sob frown
simplify simplified | complicate complicated
validate validated valid | invalidate invalidated invalid void
positive | negative
tighten tightened | loosen loosened relax
maximise maximize | minimise minimize
deposit deposited | withdraw withdrew withdrawn withdrawal
employed employment | unemployed unemployment jobless
marry married wedding marriage | divorce divorced
intentional intentionally deliberate deliberately | accident accidental accidentally
  unintentional unintentionally
continue continued resume resumed keep | discontinue discontinued stop stopped cease interrupt
inspire inspired | demoralise demoralize
prove proved proven | disprove disproved disproven
seldom rarely infrequently | often frequently regularly usually
always | never
hope hopeful optimism optimistic | despair hopeless pessimism pessimistic
delay delayed postpone postponed | hasten expedite expedited
prefer preferred | avoid avoided
"""
ANTONYMS = """
good great excellent wonderful superb outstanding | bad terrible awful poor horrible dreadful
big large huge enormous giant massive vast sizeable immense | small little tiny minuscule
  miniature
high tall | low short
long lengthy | short brief
wide broad | narrow
thick | thin
deep | shallow
heavy | lightweight light
strong powerful robust | weak feeble frail fragile
hot warm heat | cold cool chilly
new fresh recent modern | old ancient outdated obsolete stale
young youthful | old elderly aged
rich wealthy affluent | poor impoverished
easy simple straightforward effortless | hard difficult complex complicated tough challenging
happy glad cheerful joyful delighted pleased joy happiness | sad unhappy miserable upset sorrow
  sadness depressed
safe secure safety | unsafe dangerous hazardous insecure risky danger
clean | dirty filthy
full | empty
dry | wet damp
loud noisy | quiet silent
bright | dark dim
smooth | rough
sharp | dull blunt
soft | hard firm
cheap inexpensive affordable | expensive costly pricey unaffordable
beautiful pretty attractive handsome | ugly unattractive hideous
clever smart intelligent wise brilliant | stupid foolish dumb unintelligent
brave courageous fearless courage | cowardly afraid fearful cowardice timid
honest truthful sincere honesty | dishonest deceitful insincere lying dishonesty
kind gentle caring compassionate | cruel harsh unkind cruelty brutal
polite courteous | rude impolite
patient patience | impatient impatience
friendly welcoming amicable | hostile unfriendly hostility
healthy well | sick ill unhealthy
alive living | dead deceased
true correct accurate accurately right | false wrong incorrect inaccurate incorrectly
possible feasible | impossible infeasible
likely probable probably | unlikely improbable
certain sure confident | uncertain unsure doubtful
legal lawful legally | illegal unlawful illegally
fair just | unfair unjust
equal equally | unequal unequally
common frequent widespread ubiquitous prevalent | rare uncommon infrequent scarce
normal typical usual ordinary | abnormal atypical unusual extraordinary
important significant crucial vital essential significantly | unimportant insignificant trivial
  negligible minor insignificantly
major | minor
necessary needed | unnecessary needless
useful | useless
public publicly | private privately
domestic local national | foreign international global
permanent permanently | temporary temporarily
present | absent
complete completed entire whole completely fully entirely | incomplete partial partially partly
abundant plentiful ample abundance | limited scarce sparse insufficient scarcity lack
sufficient enough adequate | insufficient inadequate
unlimited | limited restricted
effective effectively | ineffective ineffectively
efficient efficiently | inefficient inefficiently
active actively | inactive passive passively
stable stability steady | unstable instability volatile volatility
similar same identical alike similarly | different dissimilar distinct differently
direct directly | indirect indirectly
formal formally | informal informally
familiar | unfamiliar
known famous renowned | unknown obscure
visible | invisible
available availability | unavailable unavailability
aware | unaware
able capable ability | unable incapable inability
willing willingly eager | unwilling reluctant reluctantly unwillingly
experienced | inexperienced
satisfied satisfying content satisfaction | dissatisfied unsatisfied disappointed
  dissatisfaction disappointing
reliable dependable | unreliable
responsible | irresponsible
reasonable | unreasonable
relevant | irrelevant
regular regularly | irregular irregularly
independent independently independence | dependent dependence
popular | unpopular
fortunate fortunately lucky luckily | unfortunate unfortunately unlucky unluckily
comfortable comfortably comfort | uncomfortable discomfort uncomfortably
pleasant | unpleasant
clear clearly | unclear vague vaguely ambiguous
consistent consistently | inconsistent inconsistently
conscious | unconscious
expected predictable expectedly | unexpected unpredictable unexpectedly surprising
appropriate | inappropriate
favourable favorable | unfavourable unfavorable adverse
beneficial benefit advantage advantageous | harmful detrimental disadvantage drawback
success triumph | failure disaster
hero | villain
friend ally | enemy foe rival
love affection | hatred hate
peace peaceful peacefully | war violent violence
= day daytime | night nighttime
morning | evening night
summer | winter
spring | autumn
man men male boy gentleman | woman women female girl lady
king | queen
adult grownup | child children kid
past | future upcoming
= single | multiple several
former | latter
mental mentally | physical physically
primary | secondary
maternal | paternal
prenatal | postnatal
central | peripheral
dorsal | ventral
birth born | death
show shown showed | hide hid hidden
absence | presence
win won gain gained | lose lost loss
individual individually | collective collectively
advance advanced | retreat retreated basic
civilian | military
retail | wholesale
quarterly | annual annually yearly
teacher professor instructor | student pupil
doctor physician | nurse
employer boss | employee worker
customer client | supplier vendor seller
landlord | tenant
plaintiff prosecution prosecutor | defendant defence defense
urban city | rural countryside
ally allied | opponent adversary
theory theoretical | practice practical
optimist | pessimist
victory | defeat
income revenue | expense expenditure
asset | liability
supply | demand
cause | effect consequence
question | answer
strength | weakness
entrance entry | exit
acute | chronic
benign | malignant
mild slight mildly slightly | severe severely serious
sterile | contaminated infected
voluntary | involuntary
oral orally | intravenous intravenously topical
systolic | diastolic
soluble | insoluble
symmetric symmetrical | asymmetric asymmetrical
tender | nontender
reactive responsive | unresponsive nonreactive
unique | common
flexible | rigid inflexible
generous generously | stingy selfish greedy
humble modest | arrogant proud
calm relaxed | nervous anxious tense agitated
excited enthusiastic enthusiastically enthusiasm thrilled | bored indifferent unenthusiastic
  apathetic apathy
interested interesting fascinating | uninterested uninteresting boring
busy | idle
careful carefully cautious cautiously | careless carelessly reckless recklessly
guilty | innocent
loyal faithful loyalty | disloyal unfaithful treacherous
strict strictly | lenient
transparent open | opaque secretive
native | foreign
natural | artificial synthetic
raw | cooked
single unmarried | married
sober | drunk intoxicated
asleep sleeping | awake
together jointly | separately apart alone
online | offline
automatic automatically | manual manually
wireless | wired
vertical vertically | horizontal horizontally
external | internal
senior | junior
professional | amateur
democracy democratic | dictatorship autocratic authoritarian
majority | minority
quality | quantity
ancient | modern
fiction fictional | nonfiction factual
genuine authentic real | fake counterfeit false
original | copy copied
sweet | bitter sour
fertile | infertile barren
simultaneous simultaneously | sequential sequentially
constant constantly continuous continuously | intermittent intermittently occasional
  occasionally
specific specifically | general vague
sensible | absurd ridiculous
lenient | harsh
ascending | descending
overpaid | underpaid
taxable | exempt
voluntarily | forcibly
solvent | insolvent bankrupt
refundable | nonrefundable
prepaid | postpaid
eligible | ineligible
licensed | unlicensed
insured | uninsured
vaccinated | unvaccinated
edible | inedible
literate | illiterate
mortal | immortal
moral ethical | immoral unethical
rational | irrational
mature | immature
perfect flawless | imperfect flawed
popularity | unpopularity
"""
QUANTITIES = """
= all every each entire alle aller jeder jede jedes | half few minority some several none hälfte
  wenige einige manche keine
= most majority meisten mehrheit | half few minority none hälfte wenige minderheit keine
= half hälfte | all most majority minority few none alle meisten mehrheit wenige
= few minority hardly barely wenige minderheit kaum | all most majority many half alle meisten
  mehrheit viele
= none | all most majority many some several half few
= many numerous viele zahlreiche | few none wenige
= dozen dutzend | couple pair paar
"""
GERMAN = """
direction
steigen stieg stiegen gestiegen steigt anstieg wachsen wuchs gewachsen wächst zunahme zunehmen
  zugenommen erhöhen erhöht erhöhung erhöhte | sinken sank sanken gesunken sinkt fallen fiel
  fielen gefallen rückgang abnehmen abnahme abgenommen senken gesenkt senkung senkte verringern
  verringert reduziert
mehr | weniger
höher höhere höheren höherer höchste | niedriger niedrigere niedrigeren tiefer niedrigste
mindestens wenigstens | höchstens maximal
= vor | nach
früher früh | später spät
= über oberhalb | unter unterhalb
= links linke linken linker linkes | rechts rechte rechten rechter rechtes
nördlich norden | südlich süden
östlich osten | westlich westen
schneller schnell | langsamer langsam
länger | kürzer
größer größere größeren größte | kleiner kleinere kleineren kleinste
besser verbessert verbesserung verbesserte | schlechter verschlechtert verschlechterung
  schlimmer verschlechterte
gewinn gewonnen gewann gewinnen | verlust verloren verlor verlieren
= erster erste ersten | letzter letzte letzten
polarity
genehmigt genehmigen genehmigung bewilligt angenommen akzeptiert zugestimmt zustimmung stimmte |
  abgelehnt ablehnen ablehnung lehnte verweigert verweigerte zurückgewiesen
bestätigt bestätigen bestätigte bestätigung | bestritten bestreitet bestritt dementiert verneint
  verneinte verneinen
erlaubt erlauben gestattet zulässig | verboten verbieten verbot untersagt unzulässig
bestanden erfolgreich erfolg gelungen gelang | durchgefallen gescheitert scheiterte erfolglos
  misslungen fehlgeschlagen
funktioniert funktionierte | versagt versagte defekt ausgefallen
begonnen begann beginnt beginnen beginn gestartet | beendet endete endet ende gestoppt
  abgebrochen abgesetzt
gekauft kaufte kaufen kauf | verkauft verkaufte verkaufen verkauf
geöffnet öffnete offen | geschlossen schloss
aktiviert | deaktiviert
einig zugestimmt | uneinig widersprochen widersprach
lobte gelobt lob | kritisierte kritisiert kritik
eingestellt | entlassen gekündigt
freigesprochen | verurteilt
immer stets | nie niemals
antonym
gut gute guten guter gutes hervorragend | schlecht schlechte schlechten schlechter schlechtes
groß große großen großer großes | klein kleine kleinen kleiner kleines
hoch hohe hohen hoher hohes | niedrig niedrige niedrigen niedriger niedriges
neu neue neuen neuer neues | alt alte alten alter altes
lang lange langen langer langes | kurz kurze kurzen kurzer kurzes
stark starke starken starker starkes | schwach schwache schwachen schwacher schwaches
leicht leichte leichten leichter leichtes | schwer schwere schweren schwerer schweres
warm warme warmen heiß heiße | kalt kalte kalten kühl
reich reiche reichen | arm arme armen
möglich | unmöglich
wichtig wichtige wichtigen | unwichtig unwichtige
zufrieden | unzufrieden
sicher sichere sicheren | unsicher gefährlich
richtig korrekt | falsch inkorrekt
gültig | ungültig
bekannt | unbekannt
verfügbar | nicht-verfügbar vergriffen
vollständig vollständige | unvollständig teilweise
akut akute akuten | chronisch chronische chronischen
gutartig gutartige | bösartig bösartige
häufig häufige oft | selten seltene
teuer teure teuren | billig günstig
pünktlich | verspätet unpünktlich
freundlich | unfreundlich
gesund | krank
privat private privaten | öffentlich öffentliche öffentlichen
vorteil vorteile | nachteil nachteile
mann männlich männer | frau weiblich frauen
vater | mutter
bruder | schwester
sohn | tochter
positiv | negativ
schuldig | unschuldig
leer | voll
"""


class Pole(NamedTuple):
    """One end of an axis: its words and those of the other end, as stems.

    Attributes:
        bound: the words say something of what follows them only: `the left knee`, `after lunch`.
    """

    kind: str
    same: frozenset[str]
    other: frozenset[str]
    bound: bool = False


def _read(text: str, kind: str) -> Iterator[tuple[str, Pole]]:
    for line in text.strip().replace("\n  ", " ").splitlines():
        bound = line.startswith("= ")
        ends = [frozenset(map(stem_word, end.split())) for end in line.lstrip("= ").split("|")]
        if len(ends) == 1:
            kind = line.strip()
            continue
        # Each line of quantities is read one way: `some` are no denial of `all`.
        for same, other in (ends,) if kind == "quantity" else (ends, ends[::-1]):
            pole = Pole(kind, same - other, other - same, bound)
            yield from ((stem, pole) for stem in pole.same)


def _index() -> dict[str, tuple[Pole, ...]]:
    found: dict[str, list[Pole]] = {}
    texts = ((DIRECTIONS, "direction"), (POLARITIES, "polarity"), (ANTONYMS, "antonym"),
             (QUANTITIES, "quantity"), (GERMAN, "direction"))  # fmt: skip
    for text, kind in texts:
        for stem, pole in _read(text, kind):
            found.setdefault(stem, []).append(pole)
    return {stem: tuple(poles) for stem, poles in found.items()}


OPPOSITES: dict[str, tuple[Pole, ...]] = _index()
