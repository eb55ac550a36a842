"""Model and cohort file to scores and reports."""
