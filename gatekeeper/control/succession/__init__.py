"""One program follows another without refusing a connection."""
