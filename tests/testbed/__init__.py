# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Kubernetes, real chains and their images, made from package registries alone."""
