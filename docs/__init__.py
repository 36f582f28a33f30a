"""The site: pages, and the scripts that make its drawings and pictures."""
