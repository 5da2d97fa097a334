"""The kinds of identifiers: one entry in KINDS says how a kind is found and what replaces it.

To add one: its entry here, its templates in `tests/benchmarks/_masking_notes.py`; a test walks this
table. People, dates and ages are found by `names` and `dates`, over a whole document.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.services.datasets.masking.identifiers import checks
from backend.services.datasets.masking.identifiers.finders import (
    NO,
    SHAPED,
    Finder,
    announced,
    ibans,
    presidio,
    shaped,
)
from backend.services.datasets.masking.identifiers.places import STREET_FINDERS, TOWN_FINDERS
from backend.services.datasets.masking.identifiers.surrogates import (
    Surrogate,
    address,
    age,
    bic,
    day,
    email,
    ip_address,
    login,
    numbered,
    person,
    town,
    web_address,
)

EN, DE = frozenset({"en"}), frozenset({"de"})
BOTH = EN | DE


@dataclass(frozen=True, slots=True)
class IdentifierKind:
    """A kind of identifier.

    Attributes:
        title: what people call it.
        languages: languages of texts in which it is looked for.
        finders: ways to find it; none of the kinds that whole documents are needed for.
        surrogate: what stands in its place.
    """

    title: str
    surrogate: Surrogate
    finders: tuple[Finder, ...] = ()
    languages: frozenset[str] = BOTH


_PHONE = (
    r"(?:tel(?:ephone|efon|efonnummer|\.|:)?|ph(?:one)?|fax|mobile?|mob\.|mobil|cell(?:phone)?"
    r"|handy|rufnummer|call(?:\sme|\sher|\shim|\sback)?\s(?:on|at)|reach\w*(?:\sme|\sher"
    r"|\shim)?\s(?:on|at)|erreichbar(?:\sunter)?|contact|kontakt|durchwahl|rückruf(?:nummer)?"
    r"|festnetz|pager|bleep|landline|hotline|anrufen|whatsapp|text\w*(?:\sme|\sher|\shim)?\s(?:on"
    r"|at))"
)
_CALLABLE = r"(\+?\(?\d[\d\s().\-/]{4,22}\d)"
_VEHICLE = (
    r"(?:plates?|registration|reg\b|vehicle|car\b|van\b|truck|kennzeichen|kfz|fahrzeug"
    r"|wagen|auto\b|pkw|lkw)"
)
_CODE = r"(\d{2,4}(?:[\s-]{1,3}\d{2,4}){0,3})"


KINDS: dict[str, IdentifierKind] = {
    "PERSON": IdentifierKind("name of a person", person),
    "LOGIN": IdentifierKind("user name", login),
    "BIRTH_DATE": IdentifierKind("date of birth", day),
    "DATE": IdentifierKind("date", day),
    "AGE": IdentifierKind("age above 89", age),
    "EMAIL": IdentifierKind(
        "e-mail address",
        email,
        (
            shaped(
                r"[\pL\d._%+'-]{1,64}(?:\s?@\s?|\s?[(\[]\s?(?:at|ät|AT)\s?[)\]]\s?)"
                r"(?:[\pL\d-]{1,63}(?:\.|\s\.|\s?[(\[](?:dot|punkt"
                r"|DOT)[)\]]\s?)){1,5}[\pL\d-]{2,24}",
                weight=0.97,
            ),
        ),
    ),
    "URL": IdentifierKind(
        "web address",
        web_address,
        (shaped(r"(?i)(?:https?://|www\.)[^\s<>\"')\]]{2,400}[\pL\d/]", weight=0.97),),
    ),
    "IP": IdentifierKind(
        "network address",
        ip_address,
        (
            shaped(
                r"((?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d))",
                weight=0.93,
                near=r"(?:\bip\b|address|adresse|host|server|login|log|rechner|client|from|von)",
            ),
            shaped(r"(?i)((?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4})", weight=0.93),
        ),
    ),
    "IBAN": IdentifierKind(
        "bank account (IBAN)",
        numbered(checks.repair_iban, keep=2),
        (
            ibans(checks.is_iban, checks.IBAN_LENGTHS),
            presidio("IbanRecognizer", certain_only=True),
            announced(
                r"ibans?(?:" + NO + r")?",
                value=r"([a-z]{2}[ -]?\d{2}(?:[ -]?[a-z\d]){9,30})",
                least=8,
            ),
        ),
    ),
    "BIC": IdentifierKind(
        "bank (BIC)",
        bic,
        (
            announced(
                r"(?:bic|swift)(?:[\s/-]{1,3}(?:bic|swift))?(?:[\s-]?code)?",
                value=r"([a-z]{4}(?:de|at|ch|gb|us|fr|nl|lu|it|es|be|ie|pl|dk"
                r"|se)[a-z\d]{2}(?:[a-z\d]{3})?)",
                least=0,
            ),
            shaped(r"([A-Z]{4}(?:DE|AT|CH|GB|US|FR|NL|LU|IT|ES)[A-Z2-9]\d[A-Z\d]{0,3})"),
            shaped(r"([A-Z]{4}(?:DE|AT|CH|GB|US|FR|NL|LU|IT|ES)[A-Z\d]{2}XXX)"),
        ),
    ),
    "CARD": IdentifierKind(
        "payment card",
        numbered(checks.repair_card, keep=1),
        (
            shaped(r"(\d{4}(?:[\s.-]{0,2}\d{4}){2}[\s.-]{0,2}\d{1,7})", check=checks.is_card),
            shaped(r"(3\d{3}[\s-]?\d{6}[\s-]?\d{5})", check=checks.is_card),
            presidio("CreditCardRecognizer", certain_only=True),
            announced(
                r"(?:credit|debit|kredit|giro|ec|bank|visa|master|amex)[\s-]?(?:card|karte)?" + NO,
                r"(?:card|karten?)" + NO,
                r"(?:(?:kredit|giro|ec-?|bank|debit)?karte|(?:credit |debit |bank )?card"
                r"|girocard|mastercard|visa|amex)",
                value=r"(\d[\d \t.-]{8,26}\d)",
                least=8,
            ),
        ),
    ),
    "NHS": IdentifierKind(
        "NHS number",
        numbered(checks.repair_nhs),
        (
            shaped(
                r"(\d{3}[\s-]?\d{3}[\s-]?\d{4})",
                check=checks.is_nhs,
                near=r"nhs|patient|nummer|number|no\b",
            ),
            presidio("NhsRecognizer", certain_only=True),
            announced(r"nhs(?:" + NO + ")?", value=r"(\d[\d -]{8,14}\d)", least=9),
        ),
        EN,
    ),
    "KVNR": IdentifierKind(
        "German number of a person insured",
        numbered(checks.repair_kvnr),
        (
            shaped(r"(?i)([a-z]\s?\d{3}\s?\d{3}\s?\d{3})", check=checks.is_kvnr),
            presidio("DeHealthInsuranceRecognizer", certain_only=True),
        ),
        DE,
    ),
    "TAX_ID": IdentifierKind(
        "tax number",
        numbered(checks.repair_tax_id, only_if=checks.is_tax_id),
        (
            shaped(r"(\d{2}[\s/]?\d{3}[\s/]?\d{3}[\s/]?\d{3})", check=checks.is_tax_id),
            presidio("DeTaxIdRecognizer", certain_only=True),
            announced(
                r"(?:steuer|st)[\s.-]{0,2}(?:id|ident\w*|nummer|nr\.?)(?:[\s-]?(?:nr\.?|nummer))?",
                r"(?:steuerliche\s)?identifikationsnummer",
                r"idnr\.?",
                r"tax(?:payer)?[\s-]?(?:id|identification|ref\w*)?(?:" + NO + ")?",
                r"(?:tin|utr|itin|ein|vat)" + "(?:" + NO + ")?",
                value=r"((?:de)?\d[\d\s/]{6,15}\d)",
                least=8,
            ),
        ),
    ),
    "PENSION_ID": IdentifierKind(
        "German pension insurance number",
        numbered(checks.repair_pension),
        (
            shaped(r"(?i)(\d{2}\s?\d{6}\s?[a-z]\s?\d{3})", check=checks.is_pension),
            presidio("DeSocialSecurityRecognizer", certain_only=True),
            announced(
                r"(?:sozialversicherungs|rentenversicherungs|sv|rv)[\s-]{0,2}(?:nummer|nr\.?"
                r"|nrn\.?)",
                r"(?:sv|rv)nr\.?",
                value=r"(\d{2}[\s]?\d{6}[\s]?[a-z][\s]?\d{3})",
                least=8,
            ),
        ),
        DE,
    ),
    "SOCIAL_SECURITY": IdentifierKind(
        "social security number (US, UK)",
        numbered(),
        (
            shaped(r"(\d{3}-\d{2}-\d{4})", weight=0.95),
            shaped(r"([A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D])", weight=0.95),
            announced(
                r"(?:ssn|social security|soc\.? sec\.?)(?:" + NO + ")?",
                value=r"([x*\d]{3}[\s.-]{0,3}[x*\d]{2}[\s.-]{0,3}\d{4})",
                least=4,
            ),
            announced(
                r"(?:nino|ni|national insurance)(?:" + NO + ")?",
                value=r"([a-z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[a-d])",
                least=6,
            ),
            presidio("UsSsnRecognizer", certain_only=True),
        ),
        EN,
    ),
    "MRN": IdentifierKind(
        "number of a patient or a case",
        numbered(),
        (
            announced(
                r"m\.?r\.?n\.?(?:" + NO + ")?",
                r"med(?:ical|\.)?\s?rec(?:ord|\.)?(?:" + NO + ")?",
                r"(?:hosp(?:ital|\.)?|unit|chart|record|encounter|visit|accession|specimen|sample"
                r"|lab|admission|episode|study|case|file|claimant)" + NO,
                r"(?:patient(?:en)?|pat\.?|pt\.?)" + NO,
                r"(?:fall|aufn\.?|aufnahme|kranken(?:akten|blatt)?|akten|befund|auftrags|labor|proben"
                r"|behandlungs"
                r"|journal|histologie|eingangs)[\s.-]{0,2}(?:nummer|nr\.?|id|zahl)",
                r"(?:hospital|chart|patient|record) ?#",
                r"piz|pid|kis-id",
            ),
            announced(
                r"(?:hosp(?:ital|\.)?|unit|episode|spell|encounter|admission|chart|aufnahme|fall|akte"
                r"|patient(?:in)?)",
                least=6,
                weight=SHAPED,
            ),
        ),
    ),
    "INSURANCE": IdentifierKind(
        "insurance number",
        numbered(),
        (
            announced(
                r"(?:polic(?:y|e)|policen|member(?:ship)?|insurance|insured|subscriber|group"
                r"|medicare|medicaid|plan|beneficiary|health\splan|cert(?:ificate)?)(?:\s(?:policy"
                r"|member|id))?" + NO,
                r"(?:versicherten|versicherungs?|kranken(?:kassen|versicherten|versicherungs?)?"
                r"|kassen|mitglieds|vers\.?|versicherungsschein|policen|kv|egk)[\s.-]{0,2}(?:nummer"
                r"|nr\.?|id|kennung)",
                r"(?:versichertennr|vsnr|kvnr|kvnummer|medicare|medicaid)\.?",
            ),
            announced(r"(?:policy|plan|police|versichert|versicherung)", least=7, weight=SHAPED),
            presidio("UsMbiRecognizer", certain_only=True),
        ),
    ),
    "ACCOUNT": IdentifierKind(
        "bank account or bank code",
        numbered(),
        (
            announced(
                r"(?:acc(?:oun)?ts?|a/c|acct\.?|bank account|checking|savings|current account"
                r"|sort[\s-]?code|routing|aba|loan account|deposit|brokerage)(?:\s(?:account|code"
                r"|ending(?:\sin)?))?(?:" + NO + ")?",
                r"(?:konto|kto\.?|giro(?:konto)?|depot|spar(?:konto|buch)?|referenzkonto"
                r"|gegenkonto)[\s.-]{0,2}(?:nummer|nr\.?)?",
                r"(?:blz|bankleitzahl)",
            ),
            announced(r"(?:blz|bankleitzahl)", value=r"(\d[\d ]{5,10}\d)", least=6),
            announced(r"sort[\s-]?code", value=r"(\d[\d -]{4,9}\d)", least=6),
            shaped(r"(\d{2}-\d{2}-\d{2})", near=r"sort|account|a/c|acc\b"),
            announced(
                r"(?:bank(?:ing)?(?:\swith\s\pL{2,12})?\s(?:under|as)|account\sto\sbe\s\pL{4,10}"
                r"|(?:einzahlung|überweisung|gutschrift)\sauf|auf\s(?:das\s|mein\s)?konto)",
                least=6,
                weight=SHAPED,
            ),
        ),
    ),
    "CUSTOMER": IdentifierKind(
        "customer or member number",
        numbered(),
        (
            announced(
                r"(?:customer|client|cust\.?|user|login|online[\s-]banking|participant|employee"
                r"|staff|personnel|student|license|licence|registration|device"
                r"|serial)(?:\s(?:ref(?:erence)?|id))?" + NO,
                r"(?:customer|client|user|employee|staff|member)[\s-](?:id|ref|reference)",
                r"(?:kunden|kd\.?|mandanten|personal|pers\.?|teilnehmer|legitimations|benutzer"
                r"|nutzer|anmelde|matrikel|geräte|serien|mitarbeiter|zugangs"
                r"|vertragspartner)[\s.-]{0,2}(?:nummer|nr\.?|id|kennung|kennziffer|zeichen)",
                r"kdnr\.?|lanr|bsnr",
            ),
        ),
    ),
    "CONTRACT": IdentifierKind(
        "contract, claim or file reference",
        numbered(),
        (
            announced(
                r"(?:contract|agreement|mortgage|loan|lease|claim|invoice|order|ticket|transaction"
                r"|payment|booking|application|complaint|docket|tracking|prescription|rx|referral"
                r"|authorization|matter|file)(?:\s(?:ref(?:erence)?|id))?" + NO,
                r"(?:our|your|my)\sref(?:erence)?\.?|ref(?:erence|\.)?" + NO + r"?|reference",
                r"(?:contract|transaction|claim|case|payment|booking)\s(?:ref(?:erence)?|id)",
                r"(?:vertrags?|darlehens?|kredit|rechnungs|vorgangs|schadens?|schaden|auftrags"
                r"|bestell|buchungs|transaktions|beleg|mandats|antrags|ticket|beschwerde|referenz"
                r"|geschäfts|bauspar|leasing|rezept|überweisungs)[\s.-]{0,2}(?:nummer|nr\.?|id"
                r"|zeichen|referenz)",
                r"vertrag|aktenzeichen|az\.?|geschäftszeichen|gz\.?|mandatsreferenz|verwendungszweck"
                r"|zeichen",
            ),
            shaped(r"(\d{1,3}\s\p{Lu}\pL{0,3}\s\d{1,5}/\d{2,4})"),
            announced(
                r"(?:agreement|contract|mortgage|loan|facility|claim|complaint|case|call\sid|about|re"
                r"|ref|darlehen|kredit|beschwerde|anruf|schaden|antrag|vorgang|wegen)",
                least=7,
                weight=SHAPED,
            ),
        ),
    ),
    "DOCUMENT": IdentifierKind(
        "passport, identity card or driving licence",
        numbered(),
        (
            announced(
                r"(?:pass(?:port)?|reisepass|personalausweis|ausweis(?:dokument)?|perso"
                r"|identity\s(?:card|document)|proof\sof\sidentity|id[\s-]card"
                r"|driv\w*(?:'s)?\s?licen[cs]e|führerschein|dl|aufenthaltstitel|visum|visa"
                r"|travel document)[\s.-]{0,2}(?:numbers?|nummer|no\.?|nr\.?|id|#)?,?",
                value=r"([a-z]{0,5}\d[a-z\d]*(?:[ -]?[a-z\d]*\d[a-z\d]*){0,4}"
                r"|[a-z][a-z\d]{6,12}\d)",
                least=3,
            ),
            presidio("DePassportRecognizer"),
            presidio("DeIdCardRecognizer"),
            presidio("UkDrivingLicenceRecognizer"),
        ),
    ),
    "SECRET": IdentifierKind(
        "PIN, TAN or password",
        numbered(),
        (
            announced(
                r"(?:pin|tan|cvv2?|cvc2?|puk|otp|security code|prüfziffer|kartenprüfnummer"
                r"|sicherheitscode|passcode|telefon-?pin|verification code"
                r"|one-time code)(?:[\s-]?(?:number|code|nummer))?",
                value=_CODE,
            ),
            announced(
                r"(?:password|passwort|kennwort|pwd)", value=r"[:=\s]{1,3}(\S{5,40})", least=1
            ),
        ),
    ),
    "PLATE": IdentifierKind(
        "licence plate",
        numbered(),
        (
            shaped(
                r"([A-ZÄÖÜ]{1,3}[\s-]{1,2}[A-Z]{1,2}[\s-]{0,2}\d{1,4}\s?[EH]?)",
                r"((?i)[a-z]{2}\d{2}\s?[a-z]{3})",
                weight=0.85,
                near=_VEHICLE,
            ),
            announced(
                r"(?:licen[cs]e\s?plate|number\s?plate|plates?|registration|reg\.?|kennzeichen"
                r"|kfz-kz\.?)(?:" + NO + ")?",
                value=r"([a-z\d]{1,4}(?:[ -][a-z\d]{1,4}){0,2})",
                least=1,
                weight=0.85,
            ),
        ),
    ),
    "PHONE": IdentifierKind(
        "telephone or fax number",
        numbered(keep_prefix=True),
        (
            shaped(
                r"(\+\s?\d{1,3}[\s.\-/]{0,2}(?:\(0?\d{0,5}\)[\s.\-/]{0,2})?"
                r"\d{1,6}(?:[\s.\-/]{1,3}\d{1,8}){0,6})",
                r"(\+\s?\d{8,15})",
                r"(00\d{2}[\s.\-/]{0,2}(?:\(0\)\s?)?\d{2,5}(?:[\s.\-/]{1,2}\d{2,8}){1,4})",
                check=lambda plain: 7 <= len(plain) <= 16,
                weight=0.96,
            ),
            shaped(
                r"(\(\s?0\d{1,5}\s?\)[\s/-]{0,3}\d{3,9}(?:[\s-]{1,3}\d{1,5}){0,3})",
                r"(0\d{2,5}\s?[/–-]\s?\d{3,9}(?:[\s-]{1,2}\d{1,6}){0,4})",
                r"(0[1-9]\d{1,3}[\s.]\d{2,8}(?:[\s.]\d{2,6}){0,4})",
                r"(0[1-9]\d{8,11})",
                r"(\(\d{3}\)[\s-]{0,2}\d{3}[\s.-]\d{4})",
                r"(\d{3}[.-]\d{3}[.-]\d{4})",
                r"(1?[-.\s]?\d{3}[-.\s]\d{3}[-.]\d{4})",
                check=lambda plain: 8 <= len(plain) <= 14,
                weight=0.88,
            ),
            announced(_PHONE, value=_CALLABLE, least=5, weight=0.89),
        ),
    ),
    "ADDRESS": IdentifierKind("street with its number", address, STREET_FINDERS),
    "TOWN": IdentifierKind("postcode and town", town, TOWN_FINDERS),
}


def title_of(kind: str) -> str:
    """What people call a kind; a kind of the policy by its own name."""
    return KINDS[kind].title if kind in KINDS else kind.lower().replace("_", " ")
