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
    r"|kunden|zu|geburts)?name"
    r"|(?:nach|sur)?name, (?:vor|fore|first )?names?"
    r"|vornamen?|nachname|surname|forenames?|familienname|zuname|(?:account|card|policy) ?holder"
    r"|(?:konto|karten|depot)?inhaber(?:in)?|versicherte[rn]?|versicherungsnehmer(?:in)?"
    r"|auftraggeber(?:in)?|empfänger(?:in)?|payee|beneficiary|begünstigte[r]?|customer|client|kunde"
    r"|kundin|mandant(?:in)?|next of kin|angehörige[r]?|hausarzt|hausärztin|consultant"
    r"|behandelnder arzt|attending|physician|referring doctor|signed|unterzeichne[rt]|spouse"
    r"|ehemann|ehefrau|contact|ansprechpartner(?:in)?|agent|sachbearbeiter(?:in)?|emergency contact"
    r"|notfallkontakt|mother|father|mutter|vater|tenant|landlord|mieter(?:in)?|vermieter(?:in)?"
    r"|witness|zeuge|zeugin|claimant|defendant|kläger(?:in)?|beklagte[r]?|employee|mitarbeiter"
    r"|betreuer(?:in)?|author|surgeon|operat(?:or|eur(?:in)?)"
    r"|assisten(?:t|tin|z)|ana?esthetist|anästhesist(?:in)?|(?:kunden)?berater(?:in)?|advis[eo]r"
    r"|caller|anrufer(?:in)?|antragsteller(?:in)?|applicant|(?:darlehens|kredit)nehmer(?:in)?"
    r"|borrower|bürge|bürgin|guarantor|referrer|zuweis(?:er|erin|ung)|klient(?:in)?|carer"
    r"|neighbou?r|nachbar(?:in)?|member|mitglied|(?:beneficial |joint )?(?:owners?|holders?)"
    r"|wirtschaftlich berechtigte[r]?|(?:family|given) name|gp surgery|attn|z\. ?hd\."
    r"|(?:erstellt|diktiert|geschrieben|geprüft|gesehen|freigegeben|bearbeitet) von|geprüft"
    r"|(?:dictated|transcribed|seen|reviewed|verified|approved|prepared|checked) by)"
    r"\s*(?:\([^()\n]{1,12}\)\s*)?[:=|]\s*\Z",
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
    r"|member|holder|beneficiary|executor|trustee"
    r"|tochter|sohn|ehefrau|ehemann|mutter|vater|bruder|schwester|tante|onkel|cousine?"
    r"|enkel(?:in)?|partner(?:in)?|freund(?:in)?|nachbar(?:in)?|kundin|kunde|patientin|pfleger(?:in)?"
    r"|betreuer(?:in)?|kollegin|kollege|chef(?:in)?|berater(?:in)?|anwalt|anwältin"
    r"|(?:schul)?schwester|hebamme|lehrer(?:in)?|vermieter(?:in)?|zeuge|zeugin|mieter(?:in)?"
    r"|bürge|bürgin|mitantragsteller(?:in)?|klient(?:in)?|mitglied"
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
    r"|mein name (?:ist|lautet)|ich heiße"
    r"|ich heisse|heißt|hier (?:ist|spricht)|namens|née|nee|geborene[r]?|geb\.|dear|liebe[r]?"
    r"|hallo|hello|hi"
    r"|(?:kind|best|warm) regards|regards|sincerely|yours|yours truly|mit freundlichen grüßen"
    r"|mit besten grüßen|freundliche grüße|gruß|grüße|all the best|best wishes|cheers"
    r"|viele grüße|beste grüße|herzliche grüße|lg|mfg|vg|thanks|danke|i\.\s?a\.|i\.\s?v\."
    r"|gez\.)[\s,:]*\Z",
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
