"""Columns of a cohort: which column of a file is which, and how its values are read and set against each other."""
