"""What commands show and write: files, bars, waiting for jobs."""
