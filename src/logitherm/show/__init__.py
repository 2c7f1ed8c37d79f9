"""Drawing: plain rows in, something to look at out. Nothing here knows what a rule or a trace is."""
