"""How texts introduce people: what stands before a name, and what stands after one.

Each expression is held against the text right before a word (it ends there) or right after a name
of two words (it begins there). No list of names is needed for what they show.
"""

from __future__ import annotations

import re

COLONS = (":", "=", "|")
REACH = 44  # characters before a name in which something may introduce it

_THING = (  # whose name is no person's: `Product name: Widget Deluxe`
    r"(?<!file)(?<!file )(?<!host)(?<!host )(?<!product )(?<!produkt)(?<!company )(?<!firmen)"
    r"(?<!brand )(?<!trade )(?<!drug )(?<!datei)(?<!domain )(?<!project )(?<!projekt)"
)
AFTER_COLON = re.compile(
    # The short ones end other words too: `Plan:`, `Scan:`.
    r"(?:patient(?:in|enname)?|(?<![^\W\d_])(?:pat|pt|gp|from|von|to|an|cc|gez)"
    rf"|{_THING}(?:full |patient |first |last |former |maiden |vor-? ?und "
    r"|kunden|zu|geburts)?name|(?:nach|sur)?name, (?:vor|fore|first )?names?|vornamen?|nachname"
    r"|surname|forenames?|familienname|zuname|(?:account|card|policy) ?holder|(?:konto|karten"
    r"|depot)?inhaber(?:in)?|versicherte[rn]?|versicherungsnehmer(?:in)?|auftraggeber(?:in)?"
    r"|empfänger(?:in)?|payee|beneficiary|begünstigte[r]?|customer|client|kunde|kundin"
    r"|mandant(?:in)?|next of kin|angehörige[r]?|hausarzt|hausärztin|consultant|behandelnder arzt"
    r"|attending|physician|referring doctor|signed|unterzeichne[rt]|spouse|ehemann|ehefrau|contact"
    r"|ansprechpartner(?:in)?|agent|sachbearbeiter(?:in)?|emergency contact|notfallkontakt|mother"
    r"|father|mutter|vater|tenant|landlord|mieter(?:in)?|vermieter(?:in)?|witness|zeuge|zeugin"
    r"|claimant|defendant|kläger(?:in)?|beklagte[r]?|employee|mitarbeiter|betreuer(?:in)?|author"
    r"|surgeon|operat(?:or|eur(?:in)?)|assisten(?:t|tin|z)|ana?esthetist|anästhesist(?:in)?"
    r"|(?:kunden)?berater(?:in)?|advis[eo]r|caller|anrufer(?:in)?|antragsteller(?:in)?|applicant"
    r"|(?:darlehens|kredit)nehmer(?:in)?|borrower|bürge|bürgin|guarantor|referrer|zuweis(?:er|erin"
    r"|ung)|klient(?:in)?|carer|neighbou?r|nachbar(?:in)?|member|mitglied|(?:beneficial "
    r"|joint )?(?:owners?|holders?)|wirtschaftlich berechtigte[r]?|(?:family|given) name|gp surgery"
    r"|attn|z\. ?hd\.|(?:erstellt|diktiert|geschrieben|geprüft|gesehen|freigegeben|bearbeitet) von"
    r"|geprüft|(?:dictated|transcribed|seen|reviewed|verified|approved|prepared"
    r"|checked) by)\s*(?:\([^()\n]{1,12}\)\s*)?[:=|]\s*\Z",
    re.IGNORECASE,
)
FORM_LABEL = re.compile(
    r"(?:\A|\n)[ \t]*(?:\d{1,2}[.)][ \t]+)?(?:surname|forenames?"
    r"|(?:family|given|first|last|maiden|former|full)[ ]names?|names?|nachname"
    r"|vornamen?|familienname|geburtsname|zuname)[ \t]{1,4}\Z",
    re.IGNORECASE,
)
SPEAKERS = re.compile(
    r"(?:patient(?:in)?|pat|pt|customer|client|kund(?:e|in)|agent|doctor|mother|father|mutter|vater"
    r"|from|von|to|an|cc|witness|zeuge|zeugin|employee|mitarbeiter|tenant|landlord|spouse"
    r"|operator|caller|anrufer(?:in)?|(?:kunden)?berater(?:in)?|advis[eo]r|member|mitglied"
    r"|klient(?:in)?|carer|neighbou?r|nachbar(?:in)?)\b",
    re.IGNORECASE,
)
SURE_LEADS = re.compile(
    r"(?:my name is|name is (?:spelled|spelt)|mein name (?:ist|lautet)|ich heiße"
    r"|ich heisse)[\s:]+\Z",
    re.IGNORECASE,
)
_KIN = (
    r"customer|client|patient|pt|daughter|son|wife|husband|mother|father|brother|sister|aunt|uncle"
    r"|niece|nephew|cousin|(?:grand|step)(?:son|daughter|mother|father)|partner|fiancée?|friend"
    r"|neighbou?r|nurse|agent|doctor|surgeon|midwife|therapist|teacher|carer|colleague|boss"
    r"|advis[eo]r|(?:social|case) worker|solicitor|lawyer|landlord|witness|tenant|claimant|manager"
    r"|member|holder|beneficiary|executor|trustee|tochter|sohn|ehefrau|ehemann|mutter|vater|bruder"
    r"|schwester|tante|onkel|cousine?|enkel(?:in)?|partner(?:in)?|freund(?:in)?|nachbar(?:in)?"
    r"|kundin|kunde|patientin|pfleger(?:in)?|betreuer(?:in)?|kollegin|kollege|chef(?:in)?"
    r"|berater(?:in)?|anwalt|anwältin|(?:schul)?schwester|hebamme|lehrer(?:in)?|vermieter(?:in)?"
    r"|zeuge|zeugin|mieter(?:in)?|bürge|bürgin|mitantragsteller(?:in)?|klient(?:in)?|mitglied"
)
ROLES = re.compile(
    r"(?:^|[^\W\d_]*[\W_])(?:"
    + _KIN
    + r"|(?:handled|seen|assisted|signed|verified|reviewed|approved"
    r"|completed|witnessed|prepared) by|(?:bearbeitet|unterschrieben|gesehen|geprüft|betreut) von"
    r"|(?:spoke|speaking|spoken|met|meeting) (?:to|with)|(?:sprach|gesprochen|telefonat|gespräch)"
    r" mit|under the care of|escalated to|passed to|weitergeleitet an|übergeben an|es berichtet"
    r"|between|zwischen)(?:,|\s\([^()\n]{2,14}\))?\s+\Z",
    re.IGNORECASE,
)
NAMED = re.compile(
    r"(?:(?:someone|somebody|person|lady|gentleman|man|woman|colleague|agent|girl|boy|child|adviser"
    r"|advisor) (?:called|named)|namens|mit (?:dem|vollem) namen|genannt)\s+\Z",
    re.IGNORECASE,
)
GREETING = re.compile(
    r"(?:good (?:morning|afternoon|evening|day)|hello|hi|hey|hallo|guten (?:tag|morgen|abend)"
    r"|thank you|thanks|cheers|danke)[,\s]{1,2}\Z",
    re.IGNORECASE,
)
LEADS = re.compile(
    r"(?:my name is|name is|name was|(?:spelled|spelt|buchstabiert)|named|i am called|this is"
    r"|mein name (?:ist|lautet)|ich heiße|ich heisse|heißt|hier (?:ist|spricht)|namens|née|nee"
    r"|geborene[r]?|geb\.|dear|liebe[r]?|hallo|hello|hi|(?:kind|best|warm) regards|regards"
    r"|sincerely|yours|yours truly|mit freundlichen grüßen|mit besten grüßen|freundliche grüße|gruß"
    r"|grüße|all the best|best wishes|cheers|viele grüße|beste grüße|herzliche grüße|lg|mfg|vg"
    r"|thanks|danke|i\.\s?a\.|i\.\s?v\.|gez\.)[\s,:]*\Z",
    re.IGNORECASE,
)
ASKED = re.compile(
    r"(?:name|speaking (?:to|with)|who (?:am i|have i|is)|mit wem|wer (?:ist|spricht)|holder"
    r"|inhaber)[^\n?]{0,24}\?\s*\n[^\n:]{2,16}:\s*(?:(?:yes|yeah|yep|it['’]?s|it is|sure"
    r"|my [^\W\d_]+|ja|das ist|mein mann|meine frau)[,.\s]+){0,3}\Z",
    re.IGNORECASE,
)
ASKED_REACH = 90
ROLE = re.compile(_KIN, re.IGNORECASE)
BEFORE_GIVEN = frozenset(["by", "from", "with", "and", "for", "to", "von", "mit", "für", "und"])
BEFORE_INITIAL = re.compile(
    r"(?:\A|[\n:(|;]|\b(?:by|with|under|of|and|dr|dr\.|from|to|von|bei|durch|und|mit|an|berichtet"
    r"|gez|gez\.))\s*\Z",
    re.IGNORECASE,
)
_POSTS = (
    r"consultant|physician|surgeon|registrar|general practitioner|social worker|head of|director"
    r"|manager|team leader|branch|nurse|solicitor|associate|partner at|case worker|gp\b"
    r"|(?:ober|chef|assistenz|stations|haus|fach)(?:arzt|ärztin)|leit(?:er|erin|ung)\b"
    r"|rechtsanw(?:alt|ältin)|notar(?:in)?\b|sozialdienst|sozialarbeiter|sachbearbeiter"
    r"|geschäftsführer|kundenberater|teamleiter"
)
FOLLOWED = re.compile(
    r"\s?<[^<>\s@]+@|\s?\(?(?:[,\s-]{0,3}(?:geb\.|geboren|born\b|d\.?o\.?b)|[,\s(-]{0,3}\*\s?\d)"
    rf"|,?[\s(]{{1,2}}(?:{_POSTS})"
    r"|,? (?:says?|said|rang|phoned|wrote|writes|told|called (?:the|us|to|about)|lives at"
    r"|banks with|consents|will call|dropped (?:by|off)|is (?:the|also|my|her|his)\b"
    r"|schildert|schreibt|schrieb|sagt|sagte|rief|berichtet|bittet|möchte|bestätigt|wünscht"
    r"|wohnt|ist auch)\b",
    re.IGNORECASE,
)
