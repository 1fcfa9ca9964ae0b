"""The stage `issue`: which certificates and keys are to be made now, and how own CAs make them."""
