"""Facts of a text: dates, numbers with units, quantities, names; a source's index of them."""
