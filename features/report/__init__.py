"""Reports: one document as JSON, and its page made from nothing else."""
