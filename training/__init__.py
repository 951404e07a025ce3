"""Training, fine-tuning and export of the networks; never in the wheel."""
