"""One file from one machine to many behind links of the same rate: how long it takes, and what the source sends."""
