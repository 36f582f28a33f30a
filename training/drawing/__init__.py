"""The paper's figures: what a network does on a clip, as numbers and as pictures."""
