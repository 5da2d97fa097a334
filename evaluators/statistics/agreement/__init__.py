"""Agreement of raters: coefficients, pairs of raters, models of raters."""
