"""How long sampling takes, beside its peers and in a decoding step: `make bench` writes docs/performance.md."""
