"""Names that are known as such wherever they stand, at the head of a sentence too.

Given names, places and bodies that are written in capitals; no list of what may be a name, only of
what is one nearly always. Words that are common nouns, verbs or months as well (Grace, Will, May,
Mark, Turkey) are left out.
"""

from __future__ import annotations

from evaluators.checks.text.claims import listed

GIVEN = frozenset(
    listed(
        "aaron abigail abdul adam adele adrian agnes ahmed aidan alan albert alejandro alex "
        "alexander alexandra alexis alfred ali alice alicia alison allison alyssa amanda amelia "
        "amir amy ana andrea andreas andrew andy angela angelica anita ann anna anne annie anthony "
        "antonio arnold arthur ashley audrey barbara barry beatrice becky ben benjamin bernard "
        "bernie beth betty beverly bob bobby boris brad bradley brandon brenda brendan brian "
        "bridget bruce bryan caitlin caleb calvin cameron camilla carla carlos carmen carol "
        "caroline catherine cathy cecilia celia charles charlie charlotte chloe chris christian "
        "christina christine christopher cindy claire clara claudia clive colin connor conrad "
        "craig curtis cynthia daisy dan daniel danielle danny darren dave david deborah denise "
        "dennis derek diana diane diego dominic donald donna dora doris dorothy doug douglas dylan "
        "eddie edgar edith eduardo edward eileen elaine eleanor elena eli elias elijah elizabeth "
        "ella ellen emil emily emma eric erica erik esther ethan eugene eva evan evelyn fatima "
        "felix fernando fiona frances francesca francis frank fred freddie frederick gabriel "
        "gareth gary gavin gemma geoff geoffrey george georgia gerald gerard giovanni gloria "
        "gordon greg gregory greta gustav guy hannah hans harold harriet harry hassan heather "
        "hector heidi helen helena henry herbert hilary holly howard hugh hugo hussein ian ibrahim "
        "igor ingrid irene isaac isabel isabella ivan jack jackie jackson jacob jacqueline jake "
        "james jamie jan jane janet janice jared jasmine jason javier jay jean jeff jeffrey jenna "
        "jennifer jenny jeremy jerome jerry jesse jessica jill jim jimmy joan joanna joanne joe "
        "joel johan johann john johnny jonah jonas jonathan jordan jorge jose joseph josephine "
        "josh joshua joyce juan judith judy julia julian julie juliet julius justin karen karl "
        "kate katherine kathleen kathryn kathy katie katrina keith kelly ken kenneth kevin khalid "
        "kieran kimberly kirsten kristen kristina kurt kyle larry laura lauren laurence leah lena "
        "leo leon leonard leroy leslie liam lily linda lisa liz logan lorenzo lorraine louis "
        "louise lucas lucia lucy luis luke lydia lynn madison maggie malcolm manuel marcel marco "
        "marcus margaret maria marie marilyn mario marion marjorie marlene martha martin mary "
        "mateo matt matthew maureen maurice max maya megan mei melanie melissa michael michelle "
        "miguel mike mila miranda miriam mitchell mohamed mohammed molly monica morgan moritz "
        "nadia nancy naomi natalie natasha nathan neil nick nicholas nicola nicole nigel nina noah "
        "nora norman oliver olivia omar oscar otto owen pablo pamela patricia paul paula pauline "
        "pedro penelope peter phil philip phillip phoebe phyllis pierre priya rachel rafael raj "
        "ralph ramon randy raymond rebecca reginald renee ricardo richard rick rita robert roberto "
        "robin rodney roger roland ron ronald rosa rosemary ross roy russell ruth ryan sabrina "
        "samantha samuel sandra sara sarah scott sean sebastian sergio seth shannon sharon sheila "
        "shirley silvia simon sofia sophia sophie stefan stella stephanie stephen steve steven "
        "stuart susan suzanne sylvia tamara tanya tara ted teresa terry theodore theresa thomas "
        "tiffany tim timothy tina todd tom tommy toni tony tracy trevor tyler ursula valerie "
        "vanessa vera veronica victoria vincent viktor virginia vivian vladimir walter wanda wayne "
        "wendy wesley wilhelm willem william winston xavier yasmin yolanda yusuf yvonne zachary "
        "zoe zoey"
    )
)
PLACES = frozenset(
    listed(
        "afghanistan africa alabama alaska albania algeria amsterdam andalusia angola antarctica "
        "arabia argentina arizona arkansas armenia asia athens atlanta auckland austin australia "
        "austria azerbaijan baghdad baltimore bangkok bangladesh barcelona bavaria beijing beirut "
        "belarus belfast belgium belgrade berlin bolivia bosnia boston brazil brisbane bristol "
        "britain brooklyn brussels bucharest budapest bulgaria burma cairo california cambodia "
        "cambridge cameroon canada cardiff caracas chicago cleveland cologne colombia colorado "
        "copenhagen croatia cuba cyprus dakota dallas damascus delaware delhi denmark denver "
        "detroit dubai dublin ecuador edinburgh egypt england estonia ethiopia europe finland "
        "florence florida france frankfurt geneva georgia germany ghana glasgow greece greenland "
        "guatemala haiti hamburg hanoi havana hawaii helsinki honduras houston hungary iceland "
        "idaho illinois india indiana indonesia iowa iran iraq ireland israel istanbul italy "
        "jakarta jamaica japan jerusalem johannesburg kabul kansas karachi kashmir kazakhstan "
        "kentucky kenya kiev korea kosovo kuwait kyiv kyoto lagos lebanon leeds libya lisbon "
        "lithuania liverpool london louisiana luxembourg madagascar madrid malaysia manchester "
        "manhattan manila maryland massachusetts melbourne mexico miami michigan milan milwaukee "
        "minneapolis minnesota mississippi missouri moldova mongolia montana montreal morocco "
        "moscow mozambique mumbai munich myanmar nairobi namibia naples nebraska nepal netherlands "
        "nevada newcastle nicaragua nigeria norway nottingham oakland ohio oklahoma ontario oregon "
        "orlando oslo ottawa oxford pakistan palestine panama paraguay paris pennsylvania peru "
        "philadelphia philippines pittsburgh poland portugal prague quebec riyadh romania rome "
        "russia rwanda salzburg scotland seattle senegal seoul serbia shanghai siberia sicily "
        "singapore slovakia slovenia somalia spain stockholm stuttgart sudan sweden switzerland "
        "sydney syria taiwan tanzania tehran tennessee texas thailand tokyo toronto tunisia uganda "
        "ukraine uruguay utah vancouver venezuela venice vermont vienna vietnam virginia wales "
        "warsaw washington wisconsin wyoming yemen yorkshire zambia zimbabwe zurich"
    )
)
BODIES = frozenset(
    listed(
        "BBC CNN NBC CBS FBI CIA NSA NASA NATO UNESCO UNICEF OPEC FIFA UEFA NFL NBA NHL MLB "
        "FDA CDC EPA IRS IMF WTO IBM BMW SAP HSBC DHL UCLA ESPN HBO FEMA NHS AOL "
        "AMD NYSE ECB"
    )
)
