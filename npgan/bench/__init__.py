"""``npgan bench``: how fast this is here, beside PyTorch, JAX and plain NumPy on the same work.

`contest` is the heart: it checks that all contestants compute the same, then lets them take turns. A suite
(`layers`, `steps`, `products`, ...) lists its works; `ours`, `torch_contestants` and `jax_contestants` do them.
"""
