"""What a model makes of biomarkers: by mechanism step, against literature and truth, and how sure that is."""
