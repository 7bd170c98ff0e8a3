"""Imagining: notes taken apart into control maps, put back together, and made anew."""
