"""Five stories as projects: what a team of that field would begin with.

stories     the five by name, and what each folder holds
begin       a project begun from a story: rubric, bar, prompt, examples
world       surrogates of people, dates and amounts, in English and German
rows        the examples of each story, written from a seed

A folder holds `story.yaml` (about, checks, health and fairness), `bar.yaml`, `rubric.yaml`,
`prompt.yaml` and `masking.yaml`. All people are surrogates: nobody of these names was ever a
customer or a patient.
"""
