"""The report of a training or a validation: one document as JSON, and its page made from nothing else."""
