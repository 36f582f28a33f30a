"""From a video and its tracks to SMPL parameters: by landmarks and a fit, or by
the STAF network.
"""
