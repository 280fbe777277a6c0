"""The HTTP edge: two small applications and the server that carries them."""
