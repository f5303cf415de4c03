"""Side-by-side measurements against other libraries and simulations of our own intervals; not part of the package."""
