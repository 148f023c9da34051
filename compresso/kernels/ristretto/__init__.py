"""The kernels of ``ristretto``; docs/notes/ristretto-kernels.md says how to change them.

``slices`` is the coder's path over the voxels, ``contexts`` the neighbours that predict each
question, ``mixer`` the combination of several predictions at efforts 2 and 3, ``labels`` the coding
of labels that no neighbour has, ``coder`` the range coder, and ``start`` the layout of the counters
and their initial values.
"""
