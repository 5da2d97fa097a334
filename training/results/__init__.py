"""What a training leaves: its result, curve, costs, figures and model card."""
