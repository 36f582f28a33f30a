# SPDX-License-Identifier: GPL-3.0-or-later
"""From a video to motion files: the backend as a child process, its installation, the queue."""
