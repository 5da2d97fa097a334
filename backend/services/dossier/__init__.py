"""Dossier: one signed archive on one candidate, for whoever has to answer for it.

check_dossier   the checker that lies in the archive; needs no Strop, and writes the archive too
signing         the key of the installation, and what it signs
subject         the comparison that a dossier is about, and codes in place of names
inputs          every figure with its recipe and the scores of which it is made
sections/       what the index tells, by the headings of NIST's AI RMF and of the EU's AI Act: bar,
                digests, leaks, reviews, decisions; content: sentences, tables and files of one
answers         what Strop cannot know, and the team writes
pages           the index as Markdown, HTML and JSON
make            all of it together, checked by the checker before it leaves
"""
