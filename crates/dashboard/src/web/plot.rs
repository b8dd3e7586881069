//! Plots, drawn as SVG.
