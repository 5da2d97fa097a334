"""Masking: identifiers of people are found in texts and surrogates put in their place.

    policy.py                   what a project masks, and how (YAML, versioned, hashed)
    identifiers/kinds.py        the kinds of identifiers: one entry each in KINDS
    identifiers/checks.py       check digits: which numbers are right, and how a surrogate's is made
                                right
    identifiers/finders.py      identifiers by shape, check digit, and the words that announce them
    identifiers/names.py        people, by lists, titles and how texts introduce them
    identifiers/leads.py        how texts introduce people: what stands before a name, and after one
    identifiers/logins.py       user names: those that are made of a name, and those that are
                                announced
    identifiers/dates.py        dates and high ages, and their shift
    identifiers/draw.py         what is chosen by a key, and cannot be guessed without it
    identifiers/surrogates.py   what stands in an identifier's place
    documents.py                the texts of one document masked together
    files.py                    the rows of an import masked, whole or not at all
    keys.py                     STROP_MASKING_KEY: keys of surrogates and of originals
    stored.py                   policies and originals in the database, and who looked

All but `stored.py` know no database; an import that masks is `../importing/masked_import.py`.
"""
