"""Pages that explain a model's scores: of a cohort, and of one patient."""
