"""Cohort file to validated feature table: the catalogue, the readers, HER2 status and the simulator."""
