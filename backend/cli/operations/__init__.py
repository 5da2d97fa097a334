"""Commands that keep an installation: init, up, worker, doctor, backup, restore."""
