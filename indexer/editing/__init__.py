"""An atlas that grows or shrinks without a new fit: `index --append` and `forget`."""
