"""What drafts are drawn from: documents, failures, slices, and briefs of them."""
