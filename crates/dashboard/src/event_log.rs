//! What happens in the swarms, as log lines.
