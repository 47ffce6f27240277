"""Where daily bars come from. A source never falls back to another one."""
