"""Where an output says the contrary: denials, opposites, swapped roles."""
