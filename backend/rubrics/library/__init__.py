"""Rubrics that come with Strop, one YAML file each; `backend.rubrics.find_rubric` reads them."""
