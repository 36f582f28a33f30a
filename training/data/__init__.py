"""Samples on their way to the network: crops, augmentation, kept feature maps, batches."""
