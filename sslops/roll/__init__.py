"""The stage `roll`: a ready `next` becomes `curr`, once DNS is known to show both."""
