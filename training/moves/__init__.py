"""Motion capture, varied and put before cameras: where all made-up data begins."""
