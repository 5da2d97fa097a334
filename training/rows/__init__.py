"""From files to batches: reading, checking, encoding, packing, ordering."""
