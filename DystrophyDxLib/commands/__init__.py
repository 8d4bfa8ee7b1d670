"""The command line `dystrophydx`."""
