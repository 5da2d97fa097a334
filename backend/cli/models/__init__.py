"""Commands about models: `strop adapter`, `strop serve`."""
