"""Commands about people and programs: `strop user`, `strop token`."""
