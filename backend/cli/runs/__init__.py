"""Commands about runs: `strop run`, `strop report`."""
