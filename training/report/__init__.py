"""What the reports of a training, a validation and a comparison say; how a report is drawn is in `features.report`."""
