"""Synthetic candidates: a model drafts rows, checks drop what is unfit, experts decide on the rest.

sources/    documents, failures and slices as what drafts are drawn from, nothing of the test split;
            briefs: what the model is asked, one for each draft
parsing     what a model wrote, as an input and an answer
sifting     why a draft is dropped: copies, leaks, what its source does not say
asking      a request for drafts, laid down with its briefs
batches     which briefs are answered next, and when drafting ends
storing     what is stored at the end
draftings   draftings and drafts, found and listed; records: as plain values and in sentences
figures     what became of the drafts, counted
desk        the queue in which experts approve or correct, and how each draft stands
twins       the same set with and without its synthetic rows, compared

That none enters a training set unapproved is the business of `curation.drafts`.
"""
