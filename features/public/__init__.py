"""Readers of public cohort formats, one file per format."""
